# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion for coregov(1) and coregovd(8) in bash, with or without bash-completion. Two tables say
# what there is, and the test check-completions compares them with --help. Where a file is wanted
# nothing is replied, and readline completes it itself, since it knows how to quote.

_coregov_commands()
{
	echo 'budget bundle cancel doctor drain list pause resume run set show show-config simulate wait'
}

# The options of a command; "=" is behind those that want a value.
_coregov_options()
{
	local client='-j/--json -s/--system -u/--user -h/--help'

	case $1 in
	budget | cancel | pause | resume | set | show) echo "$client" ;;
	bundle) echo '-p/--policy= -x/--set= -e/--enforcer= -m/--meter= -t/--trace= -o/--output=
		-v/--verbose -n/--dry-run -S/--submit -u/--user -s/--system -j/--json -h/--help' ;;
	doctor) echo '-j/--json -h/--help' ;;
	drain) echo "-o/--off $client" ;;
	list | wait) echo "-a/--all $client" ;;
	run) echo '-n/--name= -t/--target= -d/--deadline= -T/--threads= -f/--feed= -o/--on-target=
		-O/--on-deadline= -g/--grace= -w/--wait-start -r/--require -u/--user -s/--system
		-q/--quiet -h/--help' ;;
	show-config) echo '-c/--check -f/--files -j/--json -r/--root= -u/--user -h/--help' ;;
	simulate) echo '-p/--policy= -x/--set= -J/--jobs= -S/--summary -t/--trace= -q/--quiet -j/--json
		-h/--help' ;;
	coregovd) echo '-b/--budget= -c/--check-config -f/--foreground -l/--log-level= -r/--root= -u/--user -h/--help -V/--version' ;;
	esac
}

_coregov_values()
{
	case $1 in
	--enforcer) echo 'cgroup1 cgroup2 signal' ;;
	--feed) echo 'auto file: none output output: shm' ;;
	--log-level) echo 'debug err info notice warning' ;;
	--meter) echo 'bpf cgroup proc' ;;
	--on-deadline | --on-target) echo 'stop yield' ;;
	--policy) echo 'core edf edf-drop equal exclusive fifo fixed flowcon halving laira lara optimus oracle rr script slaq srpt tradl' ;;
	--set) echo 'core.capacity-part= core.chance-power= core.charge-due= core.charge-unused= core.laxity-part= core.never-odds= core.part-slope= core.room-power= core.unseen-chance= core.unseen-part= core.unseen-spread= edf-drop.margin= edf-drop.reports= edf-drop.third-weight= flowcon.back-off-most= flowcon.floor-part= flowcon.interval= flowcon.threshold= halving.first-rung= halving.keep= halving.trial-part= laira.check-reports= laira.discount= laira.doubt= laira.explore-part= laira.gain-change= laira.gain= laira.noise= laira.ridge= laira.size= laira.slice-first= laira.slice-most= laira.spread-change= laira.spread-line= laira.spread-speed= laira.step= laira.wander= lara.discount= lara.explore-part= optimus.fresh-factor= optimus.fresh-reports= optimus.third-weight= optimus.unit= optimus.unseen-part= rr.turn= slaq.decay= slaq.least-part= slaq.trial-part= slaq.unit= srpt.quantile= tradl.back-off-most= tradl.floor-part= tradl.interval= tradl.threshold=' ;;
	--threads) echo 'auto' ;;
	esac
}

# The long name of option $2 of command $1, if its value is the next word. Letters without a value may
# be before it, as in "-qn".
_coregov_wants_value()
{
	local options option flags=

	options=$(_coregov_options "$1")
	for option in $options; do
		[[ $option == *= ]] || flags+=${option:1:1}
	done
	for option in $options; do
		if [[ $option == *= && $2= =~ ^(${option#*/}|-[$flags]*${option:1:1}=)$ ]]; then
			option=${option#*/}
			echo "${option%=}"
		fi
	done
}

# The names of tasks; nothing where no governor runs. Strings are escaped in JSON, so that the
# pattern is found in no task's command.
_coregov_tasks()
{
	"${words[0]/#\~/$HOME}" list --json "$@" 2>/dev/null </dev/null |
		grep -o '{"number":[0-9]*,"name":"[^"\\]*"' | sed 's/.*"name":"//; s/"$//'
}

# The words up to the cursor, not split at "=" and ":" as COMP_WORDS is; starts[] has where each
# begins in COMP_WORDS.
_coregov_split()
{
	local rest=${COMP_LINE:0:COMP_POINT} trimmed word i

	for ((i = 0; i <= COMP_CWORD; i++)); do
		trimmed=${rest#"${rest%%[![:space:]]*}"}
		word=${COMP_WORDS[i]}
		if ((i == COMP_CWORD)); then
			word=$trimmed
		fi
		if [[ $i == 0 || $trimmed != "$rest" ]]; then
			words+=("$word")
			starts+=("$i")
		else
			words[-1]+=$word
		fi
		rest=${trimmed#"$word"}
	done
}

# Replies those of $2 that begin as the current word, each behind $1, which is there already.
# Readline replaces only what is behind the last "=" or ":".
_coregov_reply()
{
	local breaks=${COMP_WORDBREAKS//[^=:]/} typed=${words[-1]} word kept=

	if [[ -n $breaks && $typed == *["$breaks"]* ]]; then
		kept=${typed%"${typed##*["$breaks"]}"}
	fi
	for word in $2; do
		if [[ $1$word == "$typed"* ]]; then
			word=$1$word
			COMPREPLY+=("${word#"$kept"}")
		fi
	done
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:] ]]; then
		compopt -o nospace
	fi
}

_coregov_reply_option()
{
	local option names=

	for option in $(_coregov_options "$command"); do
		option=${option#*/}
		names+=" ${option%=}"
	done
	_coregov_reply '' "$names"
}

# The value of option $1; $2 is what of the current word is before it.
_coregov_reply_value()
{
	local before=$2 value=${words[-1]#"$2"}

	case $1 in
	--trace) compopt -o default ;;
	--output | --root) compopt -o dirnames ;;
	--feed)
		if [[ $value == file:* ]]; then
			compopt -o default
		else
			_coregov_reply "$before" "$(_coregov_values "$1")"
		fi
		;;
	--policy)
		# simulate takes several.
		if [[ $command == simulate && $value == *,* ]]; then
			before+=${value%,*},
		fi
		_coregov_reply "$before" "$(_coregov_values "$1")"
		;;
	*) _coregov_reply "$before" "$(_coregov_values "$1")" ;;
	esac
}

# The command behind `coregov run`, whose first word is $1: as it would be completed alone.
_coregov_reply_command()
{
	if declare -F _comp_command_offset >/dev/null; then
		_comp_command_offset "${starts[$1]}"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "${starts[$1]}"
	elif (($1 == ${#words[@]} - 1)) && [[ ${words[-1]} != */* ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "${words[-1]}" | sort -u)
	else
		compopt -o default
	fi
}

# What is no option and no value of one; $1 such words are before it.
_coregov_reply_argument()
{
	case $command in
	bundle | simulate) compopt -o default ;;
	cancel | pause | resume | wait) _coregov_reply '' "$(_coregov_tasks "${place[@]}")" ;;
	show) (($1 > 0)) || _coregov_reply '' "$(_coregov_tasks --all "${place[@]}")" ;;
	set)
		case $1,${words[-1]} in
		0,*) _coregov_reply '' "$(_coregov_tasks "${place[@]}")" ;;
		*,deadline=*) _coregov_reply deadline= 'none now+' ;;
		*,target=*) _coregov_reply target= none ;;
		*,threads=*) _coregov_reply threads= auto ;;
		*) _coregov_reply '' 'deadline= target= threads=' ;;
		esac
		;;
	esac
}

_coregov()
{
	local words=() starts=() place=() command option='' i=1 n_arguments=0 is_past_options=0

	COMPREPLY=()
	_coregov_split
	command=${words[0]##*/}
	if [[ $command != coregovd ]]; then
		if ((${#words[@]} <= 2)); then
			_coregov_reply '' "$(_coregov_commands) --help --version"
			return
		fi
		command=${words[1]}
		i=2
	fi
	for (( ; i < ${#words[@]} - 1; i++)); do
		if [[ -n $option ]]; then
			option=
		elif ((is_past_options)) || [[ ${words[i]} != -?* ]]; then
			n_arguments=$((n_arguments + 1))
			if [[ $command == run ]]; then
				is_past_options=1
				break
			fi
		elif [[ ${words[i]} == -- ]]; then
			is_past_options=1
		else
			[[ ! ${words[i]} =~ ^(-s|-u|--system|--user)$ ]] || place=("${words[i]}")
			option=$(_coregov_wants_value "$command" "${words[i]}")
		fi
	done
	if [[ -n $option ]]; then
		_coregov_reply_value "$option" ''
	elif ((!is_past_options)) && [[ ${words[-1]} == --*=* ]]; then
		option=${words[-1]%%=*}
		_coregov_reply_value "$option" "$option="
	elif ((!is_past_options)) && [[ ${words[-1]} == -* ]]; then
		_coregov_reply_option
	elif [[ $command == run ]]; then
		_coregov_reply_command "$i"
	else
		_coregov_reply_argument "$n_arguments"
	fi
}

complete -F _coregov coregov coregovd
