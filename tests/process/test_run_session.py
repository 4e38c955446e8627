# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov run` from the outside: the command is where it would be without it."""

import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import tap
from governed import COREGOV, PATIENCE, Case, state_of, wait_until


class Session(Case):
    """The command is where it would be without us."""

    def setUp(self):
        super().setUp()
        self.govern()

    def test_statuses(self):
        n_ended = 0
        for script, status in (("exit 0", 0), ("exit 7", 7), ("exit 255", 255),
                               ("kill -TERM $$", 143), ("kill -KILL $$", 137),
                               ("kill -INT $$", 130), ("kill -SEGV $$", 139)):
            found, _, err = self.run_it("-q", "sh", "-c", "ulimit -c 0; " + script)
            self.assertEqual(found, status, script + err)
            n_ended += 1
            ended = self.governor.wait_for("ended", n_ended)
            self.assertEqual(ended, f"ended /org/coregov/Governor1/task/_{n_ended} {status}")

    def test_what_cannot_be_executed(self):
        folder = self.path("script")
        with open(folder, "w", encoding="ascii") as file:
            file.write("echo no\n")
        for n, (word, status) in enumerate((("/nowhere/x", 127), ("nowhere-x", 127),
                                            (folder, 126), ("/", 126)), 1):
            found, _, err = self.run_it("-q", "--", word)
            self.assertEqual(found, status)
            self.assertIn(f"'{word}' cannot be executed", err)
            self.assertEqual(self.governor.wait_for("ended", n).split()[2], str(status))

    def test_streams_and_folder(self):
        status, out, err = self.run_it("-q", "sh", "-c", "cat; pwd; echo err >&2", input="in\n",
                                       cwd=self.folder.name)
        self.assertEqual(status, 0)
        self.assertEqual(out, f"in\n{os.path.realpath(self.folder.name)}\n")
        self.assertEqual(err, "err\n")

    def test_limits_and_mask(self):
        def limit():
            os.umask(0o027)
            resource.setrlimit(resource.RLIMIT_NOFILE, (99, 123))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.nice(3)

        script = "umask; ulimit -Sn; ulimit -Hn; ulimit -c; nice"
        status, out, err = self.run_it("-q", "sh", "-c", script, preexec_fn=limit)
        self.assertEqual(status, 0, err)
        self.assertEqual(out.split(), ["0027", "99", "123", "0", str(os.nice(0) + 3)])

    def test_environment(self):
        env = self.environment(MINE="1")
        _, out, _ = self.run_it("-q", "env", env=env)
        found = dict(line.split("=", 1) for line in out.splitlines())
        added = {k: v for k, v in found.items() if k not in env}
        fd, path, token = added.pop("COREGOV_PROGRESS").split(":")
        self.assertEqual((fd, path[:6], len(token)), ("199", "/proc/", 16))
        self.assertTrue(added.pop("COREGOV_TASK_PID").isdigit())
        self.assertEqual(added, {"OMP_WAIT_POLICY": "PASSIVE"})
        self.assertEqual({k: found.get(k) for k in env}, env)
        _, out, _ = self.run_it("-q", "--threads", "3", "--target", "1", "sh", "-c",
                                "echo $OMP_NUM_THREADS $PYTHONUNBUFFERED $OMP_WAIT_POLICY")
        self.assertEqual(out, "3 1 PASSIVE\n")
        _, out, _ = self.run_it("-q", "--threads", "3", "sh", "-c",
                                "echo $OMP_NUM_THREADS $OMP_WAIT_POLICY",
                                env=self.environment(OMP_NUM_THREADS="9", OMP_WAIT_POLICY="ACTIVE"))
        self.assertEqual(out, "9 ACTIVE\n")

    def test_signal_dispositions(self):
        def ignore():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])

        words = ("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
        plain = subprocess.run(words, capture_output=True, text=True, check=True,
                               preexec_fn=ignore, restore_signals=False)
        status, out, err = self.run_it("-q", *words, preexec_fn=ignore, restore_signals=False)
        self.assertEqual((status, out), (0, plain.stdout), err)

    def test_killed_with_its_parent(self):
        """Where the caller has asked for that."""
        middle = ("import ctypes, os, subprocess, sys\n"
                  "libc = ctypes.CDLL(None)\n"
                  "process = subprocess.Popen(sys.argv[1:],\n"
                  "    preexec_fn=lambda: libc.prctl(1, 9, 0, 0, 0))\n"
                  "sys.stdin.readline()\nos._exit(0)\n")
        process = subprocess.Popen(
            [sys.executable, "-c", middle, COREGOV, "run", "-q", "sh", "-c",
             "echo $$; exec sleep 1000"], env=self.environment(), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.finish, process)
        pid = int(process.stdout.readline())
        process.stdin.write("\n")
        process.stdin.flush()
        wait_until(lambda: state_of(pid) in (None, "Z"), "the command to end with its parent")

    def test_descriptors(self):
        read_fd, write_fd = os.pipe()
        process = self.start("-q", "sh", "-c", f"echo through >&{write_fd}; "
                             f"exec {write_fd}>&- 1>&- 0<&-; read x <{self.path('fifo')}",
                             pass_fds=(write_fd,), stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        os.mkfifo(self.path("fifo"))
        os.close(write_fd)
        # The command has let go of them, so nobody holds them.
        with os.fdopen(read_fd) as file:
            self.assertEqual(file.read(), "through\n")
        self.assertEqual(process.stdout.read(), b"")
        self.assertIsNone(process.poll())
        with self.assertRaises(BrokenPipeError):
            while True:
                os.write(process.stdin.fileno(), b"x" * 65536)
        with open(self.path("fifo"), "w", encoding="ascii") as file:
            file.write("go\n")
        self.assertEqual(process.wait(PATIENCE), 0)
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass

    def test_process_group_and_session(self):
        process = self.start("-q", "sh", "-c", "ps -o pgid=,sid= -p $$ || cut -d' ' -f5,6 "
                             "/proc/self/stat", stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
        words = process.communicate()[0].split()
        self.assertEqual(words, [str(process.pid)] * 2)

    def test_launcher_killed(self):
        marker = self.path("out")
        for option in ((), ("--feed", "output")):
            with open(marker, "w", encoding="ascii") as file:
                process = self.start("-q", *option, "sh", "-c",
                                     f"echo begun; read x <{self.path('fifo')}; echo loss 0.5; "
                                     "sleep 0.1; echo done", stdout=file)
            if not os.path.exists(self.path("fifo")):
                os.mkfifo(self.path("fifo"))
            wait_until(lambda: "begun" in open(marker, encoding="ascii").read(), "the command")
            process.kill()
            process.wait()
            with open(self.path("fifo"), "w", encoding="ascii") as file:
                file.write("go\n")
            wait_until(lambda: "done" in open(marker, encoding="ascii").read(), "its end")
        self.governor.wait_for("report 0 0.5")

    def test_governor_gone_meanwhile(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for end in (self.governor.end, self.end_bus):
            process = self.start("-q", "sh", "-c", f"read x <{fifo}; exit 5")
            with open(fifo, "w", encoding="ascii") as file:
                end()
                file.write("go\n")
            self.assertEqual(process.wait(PATIENCE), 5)

    def test_another_governor_hears_of_the_end(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        process = self.start("-q", "sh", "-c", f"read x <{fifo}; exit 5")
        with open(fifo, "w", encoding="ascii") as file:
            self.governor.end()
            self.end_bus()
            self.govern()
            file.write("go\n")
        self.assertEqual(process.wait(PATIENCE), 5)
        self.assertEqual(self.governor.wait_for("ended"),
                         "ended /org/coregov/Governor1/task/_1 5")


class Signals(Case):
    SCRIPT = """
import os, signal, sys
names = sys.argv[1:]
for name in names:
    signal.signal(getattr(signal, name),
                  lambda n, f: os.write(1, (signal.Signals(n).name + "\\n").encode()))
os.write(1, b"ready %d\\n" % os.getpid())
while sys.stdin.readline() not in ("end\\n", ""):
    pass
"""

    def setUp(self):
        super().setUp()
        self.govern()
        with open(self.path("catch.py"), "w", encoding="ascii") as file:
            file.write(self.SCRIPT)

    def catch(self, *names, **how):
        process = self.start("-q", sys.executable, self.path("catch.py"), *names, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, **how)
        word, pid = process.stdout.readline().split()
        self.assertEqual(word, "ready")
        return process, int(pid)

    def end(self, process):
        out, _ = process.communicate("end\n", timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)
        return out.split()

    def test_forwarded(self):
        names = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM",
                 "SIGWINCH", "SIGPWR"]
        process, _ = self.catch(*names)
        for name in names:
            process.send_signal(getattr(signal, name))
            self.assertEqual(process.stdout.readline().strip(), name)
        self.assertEqual(self.end(process), [])

    def test_ends_what_does_not_catch_it(self):
        process, _ = self.catch()
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_stopped_and_continued(self):
        # In a group of its own: one without a parent in its session is not stopped by a terminal.
        process, pid = self.catch("SIGUSR1", preexec_fn=os.setpgrp)
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: state_of(pid) == "T" and state_of(process.pid) == "T", "both to stop")
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: state_of(pid) != "T" and state_of(process.pid) != "T", "both to go on")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.stdout.readline().strip(), "SIGUSR1")
        self.assertEqual(self.end(process), [])

    def test_stopped_by_a_governor(self):
        process, pid = self.catch("SIGUSR1")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state_of(pid) == "T", "the command to stop")
        # The launcher is there for what comes next.
        process.send_signal(signal.SIGUSR1)
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(process.stdout.readline().strip(), "SIGUSR1")
        self.assertNotEqual(state_of(process.pid), "T")
        self.assertEqual(self.end(process), [])

    def test_of_the_command_itself(self):
        """What it sends to its group is not sent back."""
        script = ("import os, signal\n"
                  "signal.signal(signal.SIGUSR1, lambda n, f: os.write(1, b'USR1\\n'))\n"
                  "signal.signal(signal.SIGUSR2, lambda n, f: os.write(1, b'USR2\\n'))\n"
                  "os.killpg(0, signal.SIGUSR1)\n"
                  "os.kill(os.getppid(), signal.SIGUSR1)\n"
                  "input()\n")
        process = self.start("-q", sys.executable, "-c", script, text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             start_new_session=True)
        self.assertEqual(process.stdout.readline(), "USR1\n")
        # By the time that this one is through, the others are.
        process.send_signal(signal.SIGUSR2)
        self.assertEqual(process.stdout.readline(), "USR2\n")
        out, _ = process.communicate("\n", timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, ""))


class Terminal(Case):
    """On a terminal of its own, with the command in its foreground group."""

    def setUp(self):
        super().setUp()
        try:
            self.master, self.slave = pty.openpty()
        except OSError as error:
            self.skipTest(f"no pseudo-terminal can be opened here: {error}")
        self.addCleanup(os.close, self.master)
        self.govern()
        self.shown = b""

    def on_terminal(self, *words, **how):
        """As a shell would start it, which is gone: the launcher leads the session."""
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **how}
        return self.start(*words, start_new_session=True,
                          preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **streams)

    def read_until(self, text):
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.shown:
            self.assertLess(time.monotonic(), end, self.shown)
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 4096)
        return self.shown

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def test_stays_a_terminal(self):
        self.set_size(33, 77)
        process = self.on_terminal("-q", "--target", "0.1", "sh", "-c",
                                   "tty; test -t 1 && test -t 2 && stty size && echo end")
        shown = self.read_until("end").decode()
        self.assertEqual(shown.split(), [os.ttyname(self.slave), "33", "77", "end"])
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_interrupt_reaches_it_once(self):
        script = ("import os, signal, sys\n"
                  "signal.signal(signal.SIGINT, lambda n, f: os.write(1, b'caught\\n'))\n"
                  "signal.signal(signal.SIGUSR1, lambda n, f: os.write(1, b'after\\n'))\n"
                  "print('ready', flush=True)\n"
                  "while sys.stdin.readline() not in ('end\\n', ''):\n    pass\n")
        process = self.on_terminal("-q", sys.executable, "-c", script)
        self.read_until("ready")
        os.write(self.master, b"\x03")
        self.read_until("caught")
        process.send_signal(signal.SIGUSR1)
        shown = self.read_until("after")
        self.assertEqual(shown.count(b"caught"), 1)
        os.write(self.master, b"end\n")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_interrupted_as_the_command(self):
        process = self.on_terminal("-q", "sh", "-c", "echo ready; exec sleep 1000")
        self.read_until("ready")
        os.write(self.master, b"\x03")
        # A shell shows 130, and ends its script.
        self.assertEqual(process.wait(PATIENCE), -signal.SIGINT)
        self.assertEqual(self.governor.wait_for("ended").split()[2], "130")

    def test_stop_and_continue(self):
        """A shell with job control: Ctrl-Z gives the terminal back, fg goes on."""
        shell = subprocess.Popen(["bash", "--norc", "-i"], stdin=self.slave, stdout=self.slave,
                                 stderr=self.slave, start_new_session=True,
                                 env=self.environment(PS1="prompt> "),
                                 preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(self.finish, shell)
        self.read_until("prompt> ")
        os.write(self.master, f"{COREGOV} run -q sh -c 'echo re''ady; read x; echo got $x'\n"
                 .encode())
        self.read_until("ready")
        os.write(self.master, b"\x1a")
        self.read_until("Stopped")
        os.write(self.master, b"echo in-$((1 + 1))-between\n")
        self.read_until("in-2-between")
        os.write(self.master, b"fg\n")
        self.read_until("fg\r\n")
        os.write(self.master, b"word\n")
        self.read_until("got word")
        os.write(self.master, b"echo status-$?; exit\n")
        self.read_until("status-0")
        shell.wait(PATIENCE)

    def test_output_by_name_is_on_a_terminal_too(self):
        self.set_size(33, 77)
        script = ("import os\nprint('step 1: loss 0.5')\n"
                  "while True:\n    print(*os.get_terminal_size(1), flush=True)\n"
                  "    if input() == 'end':\n        break\n")
        process = self.on_terminal("-q", "--feed", "output", sys.executable, "-c", script)
        self.read_until("77 33")
        self.governor.wait_for("report 1 0.5")
        self.set_size(44, 88)
        # One question at a time: what comes to a terminal that is full of them is dropped.
        end = time.monotonic() + PATIENCE
        while b"88 44" not in self.shown:
            self.assertLess(time.monotonic(), end, self.shown)
            self.shown = b""
            os.write(self.master, b"\n")
            self.read_until(" ")
        os.write(self.master, b"end\n")
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_only_what_is_no_terminal_is_read(self):
        script = "test -t 1 && test ! -t 2 && echo yes; echo loss 0.7 >&2; echo loss 0.6"
        process = self.on_terminal("-q", "--target", "0.1", "sh", "-c", script,
                                   stderr=subprocess.PIPE)
        self.assertEqual(process.stderr.read(), b"loss 0.7\n")
        self.read_until("yes\r\nloss 0.6")
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertEqual(self.governor.said("report"), ["report 0 0.7"])


if __name__ == "__main__":
    tap.main()
