# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion of `coregov` and `coregovd` in real shells: what is typed, then Tab, in a terminal for
bash and zsh, and as fish itself says for fish."""

import json
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import unittest

import tap
from bus_case import COREGOV, PATIENCE, BusCase

COMPLETIONS = pathlib.Path(os.environ["SOURCE"], "governor", "cli", "completions")
PROMPT = "@@ "
NOWHERE = {"COREGOV_BUS_ADDRESS": "unix:path=/nowhere/bus"}


class Terminal:
    """A shell in a terminal of its own, ended with it. Its output is read and means nothing, but for
    the prompt."""

    def __init__(self, command, folder, env):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            try:
                os.chdir(folder)
                os.execvpe(command[0], command, env)
            finally:
                os._exit(127)
        self.output = b""

    def wait_for(self, text):
        while text not in self.output:
            if not select.select([self.terminal], [], [], PATIENCE)[0]:
                raise AssertionError(f"nothing more comes after {self.output}")
            self.output += os.read(self.terminal, 4096)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def end(self):
        try:
            while os.read(self.terminal, 4096):
                pass
        except OSError:  # the other end is closed
            pass
        os.waitpid(self.process, 0)
        os.close(self.terminal)


class Shell:
    """What a shell makes of a line that is typed and completed: its words."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("coregov", "coregovd"):
            (folder / "bin" / name).symlink_to(COREGOV)
        shown = folder / "bin" / "shown"
        shown.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{folder}/shown\n')
        shown.chmod(0o755)
        (folder / "here").mkdir()

    def environment(self, env):
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return {**os.environ, "TERM": "dumb", "HOME": str(self.folder),
                "ZDOTDIR": str(self.folder), **env, "PATH": path}

    def type(self, command, line, env):
        """After Tab, `shown` is put in front of the line."""
        terminal = Terminal(command, self.folder / "here", self.environment(env))
        terminal.wait_for(PROMPT.encode())
        terminal.type(f"{line}\t\x01shown \nexit\n")
        terminal.end()
        return (self.folder / "shown").read_text().splitlines()[1:]


class Bash(Shell):
    def complete(self, line, env):
        (self.folder / "rc").write_text(
            f"PS1='{PROMPT}'; source {COMPLETIONS}/coregov.bash\n"
            "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'\n")
        return self.type(["bash", "--noprofile", "--rcfile", str(self.folder / "rc"), "-i"],
                         line, env)


class Zsh(Shell):
    def complete(self, line, env):
        (self.folder / ".zshrc").write_text(
            f"PS1='{PROMPT}'; fpath=({COMPLETIONS} $fpath); unset zle_bracketed_paste\n"
            f"autoload -Uz compinit; compinit -u -d {self.folder}/dump; bindkey -e\n")
        return self.type(["zsh", "-i"], line, env)


class Fish(Shell):
    def complete(self, line, env):
        result = subprocess.run(
            ["fish", "--no-config", "-c",
             f"source {COMPLETIONS}/coregov.fish; complete --do-complete=$argv[1]", line],
            cwd=self.folder / "here", env=self.environment(env), timeout=PATIENCE, check=False,
            capture_output=True, text=True)
        if result.stderr:
            raise AssertionError(result.stderr)
        found = [text.split("\t")[0] for text in result.stdout.splitlines()]
        words = shlex.split(line)[1:]
        return words[:-1] + found if len(found) == 1 else words


class ShellCase:
    """Mixed into a test case for each shell."""

    shell = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        name = cls.shell.__name__.lower()
        if not shutil.which(name):
            raise unittest.SkipTest(f"{name} is missing: install the package {name}")

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="coregov-completions-")
        self.addCleanup(folder.cleanup)
        self.typed = self.shell(pathlib.Path(folder.name))
        (self.typed.folder / "here" / "a folder").mkdir()
        (self.typed.folder / "here" / "my file").touch()

    def becomes(self, line, *ends, env=None):
        """The last words of the line, once it is completed."""
        words = self.typed.complete(line, NOWHERE if env is None else env)
        self.assertEqual([word.rstrip("/") for word in words[len(words) - len(ends):]],
                         list(ends), line)


class Words(ShellCase):
    def test_commands(self):
        self.becomes("coregov simu", "simulate")
        self.becomes("coregov show-", "show-config")
        self.becomes("coregov --ver", "--version")
        self.becomes("coregov --he", "--help")

    def test_options(self):
        self.becomes("coregov run --on-t", "run", "--on-target")
        self.becomes("coregov list --al", "--all")
        self.becomes("coregov show x --sys", "--system")
        self.becomes("coregov budget --js", "--json")
        self.becomes("coregov doctor --al", "--al")
        self.becomes("coregovd --check", "--check-config")

    def test_closed_sets(self):
        self.becomes("coregov bundle --policy=eq", "--policy=equal")
        self.becomes("coregov bundle -p eq", "-p", "equal")
        self.becomes("coregov bundle --enforcer si", "signal")
        self.becomes("coregov bundle -m pr", "proc")
        self.becomes("coregov run --on-target st", "stop")
        self.becomes("coregov run -O yi", "yield")
        self.becomes("coregov run --feed sh", "shm")
        self.becomes("coregov run --feed fi", "file:")
        self.becomes("coregov simulate -p core,eq", "core,equal")
        self.becomes("coregov simulate --set core.cap", "--set", "core.capacity-part=")
        self.becomes("coregov simulate -x core.unseen-p", "core.unseen-part=")
        self.becomes("coregov bundle --set=core.ro", "--set=core.room-power=")

    def test_keys(self):
        self.becomes("coregov set x dead", "x", "deadline=")
        self.becomes("coregov set x target=no", "target=none")
        self.becomes("coregov set x threads=a", "threads=auto")

    def test_files(self):
        self.becomes("coregov bundle m", "my file")
        self.becomes("coregov simulate m", "my file")
        self.becomes("coregov bundle --trace m", "my file")
        self.becomes("coregov bundle --trace=m", "--trace=my file")
        self.becomes("coregov run --feed file:m", "file:my file")
        self.becomes("coregov bundle --output a", "a folder")
        self.becomes("coregov bundle --output m", "m")
        self.becomes("coregovd --root a", "a folder")

    def test_no_file_where_none_is_wanted(self):
        for line in ("coregov list m", "coregov run --name m", "coregov m", "coregov budget m",
                     "coregovd m"):
            self.becomes(line, "m")
        # fish looks inside words, too, and policies have an m.
        self.becomes("coregov bundle --policy my", "my")

    def test_the_command_to_run(self):
        command = self.typed.folder / "bin" / "trainquickly"
        command.write_text("")
        command.chmod(0o755)
        for words in ("", "-- ", "-q -n x ", "-qn x -- ", "--name x --quiet -- ", "--name=x "):
            self.becomes(f"coregov run {words}trainq", "trainquickly")
        self.becomes("coregov run -- cat m", "cat", "my file")
        self.becomes("coregov run cat m", "cat", "my file")
        self.becomes("coregov run -- cat --requ", "--requ")
        self.becomes("coregov run -- --requ", "--requ")
        self.becomes("coregov run -n trainq", "trainq")

    def test_without_a_governor_there_are_no_tasks(self):
        for command in ("cancel", "pause", "resume", "set", "show", "wait"):
            self.becomes(f"coregov {command} m", command, "m")


class Tasks(ShellCase):
    host_options = ()

    def test_names(self):
        self.host.tell("task mine 0")
        self.host.tell("task other 0")
        self.host.tell("task past 0")
        self.host.tell("end past learned")
        for command in ("cancel", "pause", "resume", "set", "show", "wait"):
            self.becomes(f"coregov {command} mi", command, "mine", env=self.env)
        self.becomes("coregov pause mine ot", "mine", "other", env=self.env)
        self.becomes("coregov pause --json ot", "other", env=self.env)
        self.becomes("coregov pause pa", "pa", env=self.env)
        self.becomes("coregov show pa", "past", env=self.env)
        self.becomes("coregov show mine ot", "ot", env=self.env)
        self.becomes("coregov set mine ot", "ot", env=self.env)


class WordsInBash(Words, unittest.TestCase):
    shell = Bash


class WordsInZsh(Words, unittest.TestCase):
    shell = Zsh


class WordsInFish(Words, unittest.TestCase):
    shell = Fish


class TasksInBash(Tasks, BusCase):
    shell = Bash


class TasksInZsh(Tasks, BusCase):
    shell = Zsh


class TasksInFish(Tasks, BusCase):
    shell = Fish


class Replies(unittest.TestCase):
    """All that the function for bash replies, where a terminal would show a list."""

    SCRIPT = """
        compopt() { echo "compopt $*"; }
        . "$1"
        eval "$2"
        COMP_LINE=$3 COMP_POINT=${#3} COMP_WORDS=("${@:4}") COMP_CWORD=$(($# - 4))
        _coregov
        printf '%s\\n' "${COMPREPLY[@]}"
    """

    def replies(self, line, before=""):
        words = re.findall(r"[=:]+|[^\s=:]+", line) + [""] * line.endswith(" ")
        result = subprocess.run(
            ["bash", "-c", self.SCRIPT, "bash", COMPLETIONS / "coregov.bash", before, line, *words],
            env={**os.environ, **NOWHERE}, capture_output=True, text=True, timeout=PATIENCE,
            check=True)
        self.assertEqual(result.stderr, "")
        return result.stdout.split("\n")[:-1]

    def test_lists(self):
        self.assertIn("bundle", self.replies("coregov "))
        self.assertEqual(self.replies("coregov drain --"),
                         ["--off", "--json", "--system", "--user", "--help"])
        self.assertEqual(self.replies("coregov run -o "), ["stop", "yield"])
        self.assertEqual(self.replies("coregov bundle --enforcer=cg"), ["cgroup1", "cgroup2"])
        self.assertEqual(self.replies("coregov bundle --enforcer="),
                         ["cgroup1", "cgroup2", "signal"])
        self.assertEqual(self.replies("coregov set x "), ["deadline=", "target=", "threads="])
        self.assertEqual(self.replies("coregov set x deadline="), ["none", "now+"])

    def test_words_that_are_not_split(self):
        """COMP_WORDBREAKS is the user's; what is replied is the whole word then."""
        self.assertEqual(self.replies("coregov bundle --meter=b", before="COMP_WORDBREAKS=' '"),
                         ["--meter=bpf"])

    def test_names_within_commands(self):
        """What a task was started with looks like a task."""
        task = {"number": 1, "name": "mine", "command": ['{"number":2,"name":"bad"', "\\"]}
        listed = json.dumps({"tasks": [task, {"number": 3, "name": "other"}]},
                            separators=(",", ":"))
        with tempfile.TemporaryDirectory(prefix="coregov-completions-") as folder:
            fake = pathlib.Path(folder, "coregov")
            fake.write_text(f"#!/bin/sh\ncat <<'END'\n{listed}\nEND\n")
            fake.chmod(0o755)
            self.assertEqual(self.replies(f"{fake} show "), ["mine", "other"])

    def test_bash_completion(self):
        """It completes the command, of which it is told where it begins in COMP_WORDS."""
        for name in ("_command_offset", "_comp_command_offset"):
            offset = f"{name}() {{ echo offset $1 ${{COMP_WORDS[$1]}}; }}"
            for line, wanted in (("coregov run python3 f", "offset 2 python3"),
                                 ("coregov run --name=x -f file:a -- python3 f",
                                  "offset 10 python3")):
                self.assertIn(wanted, self.replies(line, before=offset))


if __name__ == "__main__":
    tap.main()
