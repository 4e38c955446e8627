# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov run` from the outside, with a governor that governs nothing, on a bus of its own."""

import os
import pty
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

import tap

COREGOV = os.environ["COREGOV"]
FAKE_GOVERNOR = os.environ["FAKE_GOVERNOR"]
PYTHON_PACKAGE = os.environ["PYTHON_PACKAGE"]
PATIENCE = 60

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

# Learns in five steps.
LEARN = "for i in 1 2 3 4 5; do echo \"step $i: loss 0.$((9 - i))\"; done"


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.01)


def state_of(pid):
    """R, S, T, ...; None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


class Governor:
    """A fake governor and what it has said so far."""

    def __init__(self, address, *settings):
        self.lines = []
        self.process = subprocess.Popen(
            [FAKE_GOVERNOR, *settings], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "COREGOV_BUS_ADDRESS": address})
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.wait_for("ready")

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, start):
        return [line for line in self.lines if line.startswith(start)]

    def wait_for(self, start, n=1):
        wait_until(lambda: len(self.said(start)) >= n, f"the governor to say '{start}'")
        return self.said(start)[n - 1]

    def option(self, name):
        found = self.said(f"option {name} ")
        return found[0].split(" ", 2)[2] if found else None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="coregov-test-")
        self.addCleanup(self.folder.cleanup)
        self.governor = None
        self.address = "unix:path=" + self.path("bus")
        self.bus = None

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start_bus(self):
        if not shutil.which("dbus-daemon"):
            self.skipTest("there is no dbus-daemon to be a bus (Debian: dbus-daemon)")
        with open(self.path("bus.conf"), "w", encoding="ascii") as file:
            file.write(BUS_CONFIG.format(path=self.path("bus")))
        self.bus = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile",
                                     "--config-file=" + self.path("bus.conf")],
                                    stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_bus)
        wait_until(lambda: os.path.exists(self.path("bus")), "the bus")

    def end_bus(self):
        if self.bus:
            self.bus.kill()
            self.bus.wait()
            self.bus = None
            os.unlink(self.path("bus"))

    def govern(self, *settings):
        if not self.bus:
            self.start_bus()
        self.governor = Governor(self.address, *settings)
        self.addCleanup(self.governor.end)
        return self.governor

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items()
               if k not in ("PYTHONUNBUFFERED", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
        return {**env, "COREGOV_BUS_ADDRESS": self.address, **more}

    def start(self, *words, env=None, **how):
        process = subprocess.Popen([COREGOV, "run", *words], env=env or self.environment(),
                                   **how)
        self.addCleanup(self.finish, process)
        return process

    @staticmethod
    def finish(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def run_it(self, *words, env=None, **how):
        done = subprocess.run([COREGOV, "run", *words], env=env or self.environment(),
                              capture_output=True, text=True, timeout=PATIENCE, check=False,
                              **how)
        return done.returncode, done.stdout, done.stderr


class Absent(Case):
    """No governor: the command runs all the same, and as if we were not there."""

    def assert_ungoverned(self, why):
        marker = self.path("ran")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        # At the same time: some take their five seconds.
        plain = self.start("--", "sh", "-c", "echo ran; exit 7", **pipes)
        required = self.start("--require", "--", "touch", marker, **pipes)
        out, err = plain.communicate(timeout=PATIENCE)
        self.assertEqual((plain.returncode, out), (7, "ran\n"))
        self.assertIn(why, err)
        self.assertIn("runs ungoverned", err)
        self.assertEqual(err.count("\n"), 1)
        _, err = required.communicate(timeout=PATIENCE)
        self.assertEqual(required.returncode, 69, err)
        self.assertIn("--require", err)
        self.assertFalse(os.path.exists(marker))

    def test_no_bus(self):
        self.assert_ungoverned("no governor runs here, for lack of a bus")

    def test_no_governor(self):
        self.start_bus()
        self.assert_ungoverned("no governor runs here")

    def test_governor_that_hangs(self):
        self.govern("hang", "1")
        self.assert_ungoverned("the governor does not answer")

    def test_governor_that_vanishes(self):
        for option in ((), ("--require",)):
            governor = self.govern("vanish", "1")
            status, out, err = self.run_it(*option, "--", "echo", "ran")
            self.assertEqual((status, out), (69, "") if option else (0, "ran\n"), err)
            governor.end()

    def test_governor_that_cannot(self):
        self.govern("error", "org.coregov.Error.NotGoverned", "sentence", "it has no enforcer")
        self.assert_ungoverned("it has no enforcer")

    def test_governor_of_another_kind(self):
        self.govern("error", "org.freedesktop.DBus.Error.UnknownMethod", "sentence", "what?")
        self.assert_ungoverned("what?")

    def test_bus_that_hangs(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(self.path("bus"))
        listener.listen()
        self.assert_ungoverned("the governor does not answer")

    def test_bus_that_hangs_up(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path("bus"))
        listener.listen()
        thread = threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(2)])
        thread.start()
        self.assert_ungoverned("the governor cannot be asked")
        thread.join()
        listener.close()

    def test_is_the_command_itself(self):
        process = self.start("sh", "-c", "echo $$", stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
        self.assertEqual(int(process.communicate()[0]), process.pid)

    def test_statuses(self):
        for words, status, says in ((("true",), 0, ""), (("false",), 1, ""),
                                    (("/nowhere/x",), 127, "cannot be executed"),
                                    (("nowhere-x",), 127, "cannot be executed"),
                                    (("/etc/passwd",), 126, "Permission denied")):
            found, _, err = self.run_it("--", *words)
            self.assertEqual(found, status, words)
            self.assertIn(says, err)

    def test_environment_is_untouched(self):
        _, out, _ = self.run_it("--target", "0.1", "env")
        self.assertEqual(set(out.splitlines()) - {"_=" + shutil.which("env")},
                         {f"{k}={v}" for k, v in self.environment().items() if k != "_"})


class Options(Case):
    """What is wrong is told before anything runs: no bus is looked for."""

    def assert_refused(self, says, *words):
        marker = self.path("ran")
        status, out, err = self.run_it(*words, "touch", marker)
        self.assertEqual((status, out), (64, ""), err)
        self.assertIn(says, err)
        self.assertEqual(err.count("\n"), 1)
        self.assertFalse(os.path.exists(marker))

    def test_values(self):
        for says, *words in (
                ("write '<='", "--target", "loss < 1"),
                ("not a finite decimal number", "-t", "low"),
                ("has passed already", "--deadline", "2020-01-01 10:00"),
                ("has passed already", "--deadline", "0s"),
                ("no unit", "--deadline", "45"),
                ("is no deadline", "--deadline", "soon"),
                ("neither 'auto' nor a number", "--threads", "0"),
                ("neither 'auto' nor a number", "--threads", "1.5"),
                ("did you mean 'output'?", "--feed", "outptu"),
                ("names no file", "--feed", "file"),
                ("did you mean 'keras'?", "--feed", "output:kears"),
                ("did you mean 'yield'?", "--target", "1", "--on-target", "yeild"),
                ("neither 'stop' nor 'yield'", "--deadline", "1h", "--on-deadline", "kill"),
                ("no unit", "--grace", "10"),
                ("is no name of a task", "--name", "a b"),
                ("is no name of a task", "--name", "x" * 65),
                ("there is nothing to learn", "--on-target", "stop"),
                ("there is no end", "--on-deadline", "stop"),
                ("which of the two?", "--user", "--system")):
            with self.subTest(words=words):
                self.assert_refused(says, *words)

    def test_unknown(self):
        self.assert_refused("did you mean '--target'?", "--taget", "1")
        self.assert_refused("did you mean '--on-deadline'?", "--on-dedline=stop")
        self.assert_refused("unknown option '-x'", "-x")

    def test_missing(self):
        for words, says in (((), "no command given"), (("--",), "no command given"),
                            (("--target",), "--target needs a value"), (("-n",), "-n needs")):
            status, _, err = self.run_it(*words)
            self.assertEqual(status, 64)
            self.assertIn(says, err)

    def test_those_behind_the_command_are_its_own(self):
        _, out, _ = self.run_it("echo", "--target", "-q")
        self.assertEqual(out, "--target -q\n")

    def test_broken_preset_file(self):
        os.makedirs(self.path("coregov/presets"))
        with open(self.path("coregov/presets/mine.preset"), "w", encoding="ascii") as file:
            file.write("[preset]\nnonsense = 1\n")
        env = self.environment(XDG_CONFIG_HOME=self.folder.name)
        status, out, err = self.run_it("--target", "1", "echo", "ran", env=env)
        self.assertEqual((status, out), (0, "ran\n"))
        self.assertIn("mine.preset:2", err)
        status, out, err = self.run_it("--feed", "output", "echo", "ran", env=env)
        self.assertEqual((status, out), (65, ""))
        self.assertIn("mine.preset:2", err)


class Submitted(Case):
    """What the governor is asked, and what its answer does."""

    def test_options(self):
        governor = self.govern()
        before = time.time()
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        status, _, err = self.run_it(
            "--name", "mine", "--target", "accuracy >= 0.9 for 3", "--deadline", "now+2h",
            "--threads", "3", "--on-target", "stop", "--on-deadline", "yield", "--grace", "1.5s",
            "--wait-start", "--", "sh", "-c", "exit 0", cwd=self.folder.name)
        self.assertEqual(status, 0, err)
        for name, value in (("Name", "mine"), ("Target", "accuracy >= 0.9 for 3"),
                            ("Threads", "3"), ("OnTarget", "stop"), ("OnDeadline", "yield"),
                            ("GraceUSec", "1500000"), ("WaitStart", "1"),
                            ("Command", "[sh] [-c] [exit 0]"),
                            ("Directory", os.path.realpath(self.folder.name)),
                            ("DeadlineRealtime", None)):
            self.assertEqual(governor.option(name), value, name)
        end = int(governor.option("DeadlineBoottime")) / 1e6
        self.assertTrue(boot + 7200 <= end <= boot + 7200 + time.time() - before, end)

    def test_no_options(self):
        governor = self.govern()
        status, _, err = self.run_it("true")
        self.assertEqual(status, 0, err)
        for name in ("Name", "Target", "Threads", "OnTarget", "OnDeadline", "GraceUSec",
                     "WaitStart", "DeadlineRealtime", "DeadlineBoottime"):
            self.assertIsNone(governor.option(name), name)

    def test_deadline_of_the_clock(self):
        governor = self.govern()
        status, _, err = self.run_it("--deadline", "2100-01-01 00:00", "true",
                                     env=self.environment(TZ="UTC0"))
        self.assertEqual(status, 0, err)
        self.assertEqual(governor.option("DeadlineRealtime"), "4102444800000000")

    def test_words_that_are_not_utf8(self):
        governor = self.govern()
        status, out, err = self.run_it("printf", "%s", b"\xff".decode(errors="surrogateescape"),
                                       errors="surrogateescape")
        self.assertEqual((status, out), (0, "\udcff"), err)
        governor.wait_for("ended")

    def test_process_waits_at_the_gate(self):
        governor = self.govern()
        process = self.start("--quiet", "sh", "-c", "echo $$", stdout=subprocess.PIPE, text=True)
        pid = int(process.communicate()[0])
        self.assertEqual(governor.said("process"), [f"process {pid} {os.path.realpath(COREGOV)}"])

    def test_prospects(self):
        for prospect, says in (("likely", "likely to make it"),
                               ("unlikely", "unlikely to make it"),
                               ("unknown", "not yet known to make it")):
            governor = self.govern("prospect", prospect)
            _, _, err = self.run_it("--target", "1", "--deadline", "1h", "true")
            self.assertEqual(err, f"coregov: task made: {says}; 'coregov show made'\n")
            _, _, err = self.run_it("--target", "1", "--name", "own", "true")
            self.assertEqual(err, f"coregov: task own: {says}; 'coregov show own'\n")
            _, _, err = self.run_it("--quiet", "--target", "1", "true")
            self.assertEqual(err, "")
            _, _, err = self.run_it("true")
            self.assertEqual(err, "coregov: task made: governed; 'coregov show made'\n")
            governor.end()

    def test_refusals(self):
        for error, status in (("org.coregov.Error.BadTarget", 65),
                              ("org.coregov.Error.BadDeadline", 65),
                              ("org.coregov.Error.NameTaken", 65),
                              ("org.freedesktop.DBus.Error.InvalidArgs", 65),
                              ("org.coregov.Error.OverLimit", 75),
                              ("org.coregov.Error.Draining", 75),
                              ("org.coregov.Error.NotYours", 77),
                              ("org.freedesktop.DBus.Error.AccessDenied", 77)):
            governor = self.govern("error", error, "sentence", "because of this")
            marker = self.path("ran")
            found, _, err = self.run_it("touch", marker)
            self.assertEqual((found, err), (status, "coregov: because of this\n"), error)
            self.assertFalse(os.path.exists(marker))
            governor.end()

    def test_answer_that_takes_long(self):
        governor = self.govern("deaf", "1")
        process = self.start("sleep", "1000", stderr=subprocess.PIPE, text=True)
        governor.wait_for("submit")
        self.assertIn("the governor, which is busy", process.stderr.readline())
        # It is alive, so it is waited for; a signal ends that.
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_wait_for_a_share(self):
        governor = self.govern("hold", "1")
        marker = self.path("ran")
        process = self.start("--wait-start", "touch", marker)
        governor.wait_for("held")
        self.assertFalse(os.path.exists(marker))
        governor.process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertTrue(os.path.exists(marker))

    def test_launcher_killed_while_it_waits(self):
        governor = self.govern("hold", "1")
        marker = self.path("ran")
        process = self.start("--wait-start", "touch", marker)
        pid = int(governor.wait_for("process").split()[1])
        governor.wait_for("held")
        process.kill()
        process.wait()
        wait_until(lambda: state_of(pid) in (None, "Z"), "the process at its gate to end")
        self.assertFalse(os.path.exists(marker))

    def test_page_that_is_none(self):
        self.govern("page", "none")
        status, out, err = self.run_it("--target", "1", "sh", "-c", "echo ${COREGOV_PROGRESS-no}")
        self.assertEqual((status, out), (0, "no\n"))
        self.assertIn("heard only if it reports by itself", err)


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
                  "signal.signal(signal.SIGUSR1, lambda n, f: print('USR1', flush=True))\n"
                  "signal.signal(signal.SIGUSR2, lambda n, f: print('USR2', flush=True))\n"
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
        def lead():
            termios.tcgetattr(0)
            import fcntl  # pylint: disable=import-outside-toplevel
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave, **how}
        process = self.start(*words, start_new_session=True, preexec_fn=lead, **streams)
        return process

    def read_until(self, text):
        end = time.monotonic() + PATIENCE
        while text.encode() not in self.shown:
            self.assertLess(time.monotonic(), end, self.shown)
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 4096)
        return self.shown

    def set_size(self, rows, columns):
        import fcntl  # pylint: disable=import-outside-toplevel
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def test_stays_a_terminal(self):
        self.set_size(33, 77)
        process = self.on_terminal("-q", "--target", "0.1", "sh", "-c",
                                   "tty; test -t 1 && test -t 2 && stty size && echo end")
        shown = self.read_until("end").decode()
        self.assertEqual(shown.split(), [os.ttyname(self.slave), "33", "77", "end"])
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_interrupt_reaches_it_once(self):
        script = ("import signal, sys\n"
                  "signal.signal(signal.SIGINT, lambda n, f: print('caught', flush=True))\n"
                  "signal.signal(signal.SIGUSR1, lambda n, f: print('after', flush=True))\n"
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
                                 preexec_fn=lambda: __import__("fcntl").ioctl(
                                     0, termios.TIOCSCTTY, 0))
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
        end = time.monotonic() + PATIENCE
        while b"88 44" not in self.shown:
            self.assertLess(time.monotonic(), end, self.shown)
            os.write(self.master, b"\n")
            self.shown += os.read(self.master, 4096)
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


class Feeds(Case):
    def setUp(self):
        super().setUp()
        self.govern()

    def reports(self):
        return [line.split(" ", 1)[1] for line in self.governor.said("report")]

    EXPECTED = ["1 0.8", "2 0.7", "3 0.6", "4 0.5", "5 0.4"]

    def test_output(self):
        for words in (("--target", "0.1"), ("--feed", "output"), ("--feed", "output:generic")):
            status, out, err = self.run_it("-q", *words, "sh", "-c", LEARN)
            self.assertEqual((status, err), (0, ""))
            self.governor.wait_for("ended")
            self.assertEqual(out.splitlines()[4], "step 5: loss 0.4")
            # All of them were there before the end was told.
            self.assertTrue(self.governor.lines[-1].startswith("ended"))
            self.assertEqual(self.reports(), self.EXPECTED)
            self.assertIn("facts speaks=0 relayed=1", self.governor.lines)
            self.governor.lines.clear()

    def test_output_is_left_alone(self):
        for words in ((), ("--target", "0.1", "--feed", "none"),
                      ("--target", "0.1", "--feed", "shm")):
            read_fd, write_fd = os.pipe()
            inode = os.fstat(write_fd).st_ino
            process = self.start("-q", *words, "sh", "-c",
                                 LEARN + "; readlink /proc/self/fd/1; "
                                 "echo ${COREGOV_PROGRESS-none}", stdout=write_fd)
            os.close(write_fd)
            with os.fdopen(read_fd) as file:
                out = file.read().splitlines()
            self.assertEqual(process.wait(PATIENCE), 0)
            self.assertEqual(out[5], f"pipe:[{inode}]")
            self.assertEqual(out[6] == "none", "none" in words)
            self.assertEqual(self.reports(), [])

    def test_every_byte_goes_through(self):
        data = os.urandom(3 << 20)
        with open(self.path("data"), "wb") as file:
            file.write(data)
        with open(self.path("out"), "wb") as file:
            process = self.start("-q", "--target", "1", "cat", self.path("data"), stdout=file)
            self.assertEqual(process.wait(PATIENCE), 0)
        with open(self.path("out"), "rb") as file:
            self.assertEqual(file.read(), data)

    def test_order_of_two_streams_in_one(self):
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo out $i; echo err $i >&2; done"
        with open(self.path("log"), "w", encoding="ascii") as file:
            process = self.start("-q", "--target", "1", "sh", "-c", script, stdout=file,
                                 stderr=file)
            self.assertEqual(process.wait(PATIENCE), 0)
        with open(self.path("log"), encoding="ascii") as file:
            lines = file.read().splitlines()
        self.assertEqual(lines, [f"{s} {i}" for i in range(1, 10) for s in ("out", "err")])

    def test_reader_that_goes(self):
        script = f"{COREGOV} run -q --target 1 yes | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], env=self.environment(), text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.stdout, f"y\n{128 + signal.SIGPIPE}\n", done.stderr)

    def test_reader_that_does_not_read(self):
        process = self.start("-q", "--target", "1", "sh", "-c", "head -c 300000 /dev/zero",
                             stdout=subprocess.PIPE)
        self.governor.wait_for("submit")
        time.sleep(0.2)
        self.assertIsNone(process.poll())
        self.assertEqual(len(process.stdout.read()), 300000)
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_what_goes_on_in_the_background(self):
        script = f"(read x <{self.path('fifo')}; echo late) & echo begun"
        os.mkfifo(self.path("fifo"))
        process = self.start("-q", "--target", "1", "sh", "-c", script, stdout=subprocess.PIPE,
                             text=True)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.governor.wait_for("ended")
        with open(self.path("fifo"), "w", encoding="ascii") as file:
            file.write("go\n")
        self.assertEqual(process.stdout.read(), "begun\nlate\n")

    def test_program_that_speaks_for_itself(self):
        script = ("import coregov\nprint('step 1: loss 0.9', flush=True)\n"
                  "import time, sys\nsys.stdin.readline()\n"
                  "coregov.report(2, loss=0.8)\n"
                  "print('step 3: loss 0.1', flush=True)\n"
                  "coregov.report(4, loss=0.7)\n")
        env = self.environment(PYTHONPATH=PYTHON_PACKAGE)
        process = self.start("-q", "--target", "0.1", sys.executable, "-c", script, env=env,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.governor.wait_for("report 1 0.9")
        out, _ = process.communicate("\n", timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, "step 1: loss 0.9\nstep 3: loss 0.1\n"))
        self.governor.wait_for("ended")
        self.assertEqual(self.reports(), ["1 0.9", "2 0.8", "4 0.7"])
        self.assertIn("facts speaks=1 relayed=0", self.governor.lines)

    def test_file(self):
        script = (f"echo step,loss; for i in 1 2 3; do echo $i,0.$((9 - i)); done")
        log = self.path("log.csv")
        status, _, err = self.run_it("-q", "--feed", f"file:{log}", "sh", "-c",
                                     f"({script}) >{log}")
        self.assertEqual((status, err), (0, ""))
        self.governor.wait_for("ended")
        self.assertEqual(self.reports(), ["1 0.8", "2 0.7", "3 0.6"])
        self.assertTrue(self.governor.lines[-1].startswith("ended"))


if __name__ == "__main__":
    tap.main()
