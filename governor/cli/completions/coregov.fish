# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion for coregov(1) and coregovd(8) in fish. The test check-completions compares the commands,
# options and sets of values with --help.

# True where the first word behind coregov is one of these; without any, where there is none yet.
function __coregov_at
    set -l words (commandline -opc)
    if test (count $argv) = 0
        test (count $words) = 1
    else
        test (count $words) -gt 1; and contains -- $words[2] $argv
    end
end

# The words behind the command that are no options.
function __coregov_arguments
    string match -v -- '-*' (commandline -opc)[3..]
end

# The names of tasks; nothing where no governor runs. Strings are escaped in JSON, so that the
# pattern is found in no task's command.
function __coregov_tasks
    set -l words (commandline -opc)
    set -l place (string match -r -- '^(?:-s|-u|--system|--user)$' $words)
    $words[1] list --json $argv $place 2>/dev/null </dev/null |
        string match -ar '{"number":[0-9]*,"name":"[^"\\\\]*"' |
        string replace -r '.*"name":"(.*)"' '$1'
end

# The feeds $argv, or the files behind "file:".
function __coregov_feeds
    set -l typed (string replace -r -- '^(--feed=|-f)' '' (commandline -ct))
    if string match -q -- 'file:*' $typed
        string replace -r -- '^' file: (__fish_complete_path (string replace file: '' -- $typed))
    else
        string split ' ' -- $argv
    end
end

# The keys of `coregov set`, or the words that one of them knows.
function __coregov_changes
    switch (commandline -ct)
        case 'deadline=*'
            string split ' ' 'deadline=none deadline=now+'
        case 'target=*'
            echo target=none
        case 'threads=*'
            echo threads=auto
        case '*'
            string split ' ' 'deadline= target= threads='
    end
end

# Where the command of `coregov run` begins among the words; behind them where it is not there yet.
function __coregov_command_at
    set -l words (commandline -opc)
    set -l at 3
    while test $at -le (count $words)
        if test "$words[$at]" = --
            echo (math $at + 1)
            return
        else if string match -qr -- '^--(name|target|deadline|threads|feed|on-target|on-deadline|grace)$|^-[wrusqh]*[ntdTfoOg]$' $words[$at]
            set at (math $at + 2)
        else if string match -q -- '-?*' $words[$at]
            set at (math $at + 1)
        else
            break
        end
    end
    echo $at
end

# True from the first word of that command on. Where it is to come, an option may come as well.
function __coregov_in_command
    __coregov_at run
    and test (__coregov_command_at) -le (math (count (commandline -opc)) + 1)
end

function __coregov_before_command
    set -l words (commandline -opc)
    __coregov_at run; and test (__coregov_command_at) -gt (count $words); and test $words[-1] != --
end

# That command, as it would be completed alone.
function __coregov_command
    set -l words (commandline -opc)
    set -l at (__coregov_command_at)
    complete --do-complete=(string join -- ' ' (string escape -- $words[$at..]) (commandline -ct))
end

set -l policies 'core edf edf-drop equal exclusive fifo fixed flowcon halving laira lara optimus oracle rr script slaq srpt tradl'
set -l enforcers 'cgroup1 cgroup2 signal'
set -l meters 'bpf cgroup proc'
set -l ends 'stop yield'
set -l settings 'core.capacity-part= core.chance-power= core.charge-due= core.charge-unused= core.laxity-part= core.never-odds= core.part-slope= core.room-power= core.unseen-chance= core.unseen-part= core.unseen-spread= edf-drop.margin= edf-drop.reports= edf-drop.third-weight= flowcon.back-off-most= flowcon.floor-part= flowcon.interval= flowcon.threshold= halving.first-rung= halving.keep= halving.trial-part= laira.check-reports= laira.discount= laira.doubt= laira.explore-part= laira.gain-change= laira.gain= laira.noise= laira.ridge= laira.size= laira.slice-first= laira.slice-most= laira.spread-change= laira.spread-line= laira.spread-speed= laira.step= laira.wander= lara.discount= lara.explore-part= optimus.fresh-factor= optimus.fresh-reports= optimus.third-weight= optimus.unit= optimus.unseen-part= rr.turn= slaq.decay= slaq.least-part= slaq.trial-part= slaq.unit= srpt.quantile= tradl.back-off-most= tradl.floor-part= tradl.interval= tradl.threshold='
set -l levels 'debug err info notice warning'
set -l feeds 'auto file: none output output: shm'

complete -c coregov -f
complete -c coregov -n __coregov_at -s h -l help -d 'print help'
complete -c coregov -n __coregov_at -l version -d 'print the version'

complete -c coregov -n __coregov_at -a budget -d 'show or change the budget of a governor'
complete -c coregov -n __coregov_at -a bundle -d 'run a bundle of trainings under a budget of CPUs'
complete -c coregov -n __coregov_at -a cancel -d 'stop tasks before their end'
complete -c coregov -n __coregov_at -a doctor -d 'what works on this machine, and how to mend what does not'
complete -c coregov -n __coregov_at -a drain -d 'take no new tasks'
complete -c coregov -n __coregov_at -a list -d 'the tasks under a governor'
complete -c coregov -n __coregov_at -a pause -d 'give tasks nothing for a while'
complete -c coregov -n __coregov_at -a resume -d 'let paused tasks go on'
complete -c coregov -n __coregov_at -a run -d "run one command under the machine's governor"
complete -c coregov -n __coregov_at -a set -d "change a task's deadline, target or threads"
complete -c coregov -n __coregov_at -a show -d 'all about one task'
complete -c coregov -n __coregov_at -a show-config -d 'the configuration in force, and where it comes from'
complete -c coregov -n __coregov_at -a simulate -d 'what would a policy make of recorded curves?'
complete -c coregov -n __coregov_at -a wait -d 'wait until tasks have ended'
set -l client budget cancel drain list pause resume set show wait
complete -c coregov -n "__coregov_at $client" -s j -l json -d 'for programs'
complete -c coregov -n "__coregov_at $client" -s s -l system -d 'the governor of the machine'
complete -c coregov -n "__coregov_at $client" -s u -l user -d 'your own governor'
complete -c coregov -n "__coregov_at $client" -s h -l help -d 'print help'
complete -c coregov -n '__coregov_at list wait' -s a -l all -d 'those that are left out otherwise, too'
complete -c coregov -n '__coregov_at drain' -s o -l off -d 'takes tasks again'

complete -c coregov -n '__coregov_at bundle' -s p -l policy -x -a "$policies" -d "instead of the bundle's own"
complete -c coregov -n '__coregov_at bundle' -s x -l set -x -a "$settings" -d 'a parameter of the policy'
complete -c coregov -n '__coregov_at bundle' -s e -l enforcer -x -a "$enforcers" -d 'instead of the best that works'
complete -c coregov -n '__coregov_at bundle' -s m -l meter -x -a "$meters" -d 'instead of the best that works'
complete -c coregov -n '__coregov_at bundle' -s t -l trace -r -F -d 'record every slot in a SQLite database'
complete -c coregov -n '__coregov_at bundle' -s o -l output -x -a "(__fish_complete_directories)" -d 'keep the output of each task'
complete -c coregov -n '__coregov_at bundle' -s v -l verbose -d 'show the output of the tasks'
complete -c coregov -n '__coregov_at bundle' -s n -l dry-run -d 'print what would have been granted'
complete -c coregov -n '__coregov_at bundle' -s S -l submit -d 'run it under the governor that is there'
complete -c coregov -n '__coregov_at bundle' -s u -l user -d 'with --submit: under your own governor'
complete -c coregov -n '__coregov_at bundle' -s s -l system -d "with --submit: under the system's"
complete -c coregov -n '__coregov_at bundle' -s j -l json -d 'for programs'
complete -c coregov -n '__coregov_at bundle' -s h -l help -d 'print help'

complete -c coregov -n '__coregov_at doctor' -s j -l json -d 'for programs'
complete -c coregov -n '__coregov_at doctor' -s h -l help -d 'print help'

complete -c coregov -n __coregov_before_command -s n -l name -x -d 'what the task is called'
complete -c coregov -n __coregov_before_command -s t -l target -x -d "learned well: 'loss <= 0.1'"
complete -c coregov -n __coregov_before_command -s d -l deadline -x -d '45min, now+2h or 18:30'
complete -c coregov -n __coregov_before_command -s T -l threads -x -a auto -d 'the CPUs it can use at once'
complete -c coregov -n __coregov_before_command -s f -l feed -x -a "(__coregov_feeds '$feeds')" -d 'where its progress is read'
complete -c coregov -n __coregov_before_command -s o -l on-target -x -a "$ends" -d 'once it has learned'
complete -c coregov -n __coregov_before_command -s O -l on-deadline -x -a "$ends" -d 'when its time is up'
complete -c coregov -n __coregov_before_command -s g -l grace -x -d 'between being asked to stop and being stopped'
complete -c coregov -n __coregov_before_command -s w -l wait-start -d 'do not start before there is a share for it'
complete -c coregov -n __coregov_before_command -s r -l require -d 'do not run it without a governor'
complete -c coregov -n __coregov_before_command -s u -l user -d 'your own governor'
complete -c coregov -n __coregov_before_command -s s -l system -d 'the governor of the machine'
complete -c coregov -n __coregov_before_command -s q -l quiet -d 'say nothing where all is well'
complete -c coregov -n __coregov_before_command -s h -l help -d 'print help'

complete -c coregov -n '__coregov_at show-config' -s c -l check -d 'print nothing but what is wrong'
complete -c coregov -n '__coregov_at show-config' -s f -l files -d 'from the files, also where a governor runs'
complete -c coregov -n '__coregov_at show-config' -s j -l json -d 'for programs'
complete -c coregov -n '__coregov_at show-config' -s r -l root -x -a "(__fish_complete_directories)" -d 'the configuration of the system below it'
complete -c coregov -n '__coregov_at show-config' -s u -l user -d 'your own governor'
complete -c coregov -n '__coregov_at show-config' -s h -l help -d 'print help'

complete -c coregov -n '__coregov_at simulate' -s p -l policy -x -a "(__fish_complete_list , 'string split \" \" -- $policies')" -d "instead of each bundle's own"
complete -c coregov -n '__coregov_at simulate' -s x -l set -x -a "$settings" -d 'a parameter of a policy'
complete -c coregov -n '__coregov_at simulate' -s J -l jobs -x -d 'so many at the same time'
complete -c coregov -n '__coregov_at simulate' -s S -l summary -d 'the summary only'
complete -c coregov -n '__coregov_at simulate' -s t -l trace -r -F -d 'a database with every slot'
complete -c coregov -n '__coregov_at simulate' -s q -l quiet -d 'show no progress'
complete -c coregov -n '__coregov_at simulate' -s j -l json -d 'for programs'
complete -c coregov -n '__coregov_at simulate' -s h -l help -d 'print help'

complete -c coregovd -f
complete -c coregovd -s b -l budget -x -d 'such as 1.5cpu or 75%'
complete -c coregovd -s c -l check-config -d 'only check the configuration'
complete -c coregovd -s f -l foreground -d 'stay in the foreground, as it does anyway'
complete -c coregovd -s l -l log-level -x -a "$levels" -d 'how much it tells'
complete -c coregovd -s r -l root -x -a "(__fish_complete_directories)" -d 'with --check-config: that below it'
complete -c coregovd -s u -l user -d 'your own governor'
complete -c coregovd -s h -l help -d 'print help'
complete -c coregovd -s V -l version -d 'the version'

complete -c coregov -n '__coregov_at bundle simulate' -F
complete -c coregov -n '__coregov_at cancel pause resume wait' -a '(__coregov_tasks)'
complete -c coregov -n '__coregov_at show; and test (count (__coregov_arguments)) = 0' -a '(__coregov_tasks --all)'
complete -c coregov -n '__coregov_at set; and test (count (__coregov_arguments)) = 0' -a '(__coregov_tasks)'
complete -c coregov -n '__coregov_at set; and test (count (__coregov_arguments)) -gt 0' -a '(__coregov_changes)'
complete -c coregov -n __coregov_in_command -a '(__coregov_command)'
