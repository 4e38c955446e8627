# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov run` from the outside: what it asks of a governor, runs without one, and hears."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import tap
from governed import COREGOV, PATIENCE, Case, state_of, wait_until

PYTHON_PACKAGE, FAIL_EPOLL = (os.environ[name] for name in ("PYTHON_PACKAGE", "FAIL_EPOLL"))
PR_SET_CHILD_SUBREAPER = 36

# Learns in five steps.
LEARN = "for i in 1 2 3 4 5; do echo \"step $i: loss 0.$((9 - i))\"; done"


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
        self.assert_ungoverned("governor")
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
        self.assertEqual(set(out.splitlines()),
                         {f"{k}={v}" for k, v in self.environment().items()})


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

    def test_threads(self):
        """auto is said where it was said: another default of the governor does not count then."""
        for words, asked, variable in ((("--threads", "auto"), "0", "unset"), ((), None, "unset"),
                                       (("--threads", "2"), "2", "2")):
            governor = self.govern()
            status, out, err = self.run_it("-q", *words, "sh", "-c",
                                           "echo ${OMP_NUM_THREADS-unset}")
            self.assertEqual((status, out, err), (0, variable + "\n", ""))
            self.assertEqual(governor.option("Threads"), asked)
            governor.end()

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

    def test_target_that_nobody_hears_of(self):
        governor = self.govern()
        says = ("coregov: task made has reported no val_loss so far: say where it is to be read by --feed, "
                "see coregov-run(1)\n")
        target = ("--target", "val_loss <= 0.1")
        for words, says in ((target, says), ((*target, "--quiet", "--name", "made"), says),
                            ((*target, "--quiet"), says.replace("made", "3")),
                            ((*target, "--feed", "shm"), says), ((), "")):
            with self.subTest(words=words):
                process = self.start(*words, "sh", "-c", "echo begun; read word",
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True)
                if "--quiet" not in words:
                    self.assertIn("task made", process.stderr.readline())
                self.assertEqual(process.stdout.readline(), "begun\n")
                governor.process.send_signal(signal.SIGUSR2)
                if says:
                    self.assertEqual(process.stderr.readline(), says)
                # Once, and the end is heard as always.
                _, rest = process.communicate("go\n", timeout=PATIENCE)
                self.assertEqual((process.returncode, rest), (0, ""))

    def test_governor_that_is_started_again(self):
        governor = self.govern("vanish", "1")
        process = self.start("--target", "1", "--", "echo", "ran", stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        first = governor.wait_for("process").split()[1]
        governor.end()
        # Not at once: systemd takes a moment, too.
        time.sleep(0.5)
        governor = self.govern()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (0, "ran\n"), err)
        self.assertEqual(err, "coregov: task made: not yet known to make it; 'coregov show made'\n")
        # The same process, at its gate all the while.
        self.assertEqual(governor.wait_for("process").split()[1], first)

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


class Fails(Case):
    """Status 125: it is the launcher itself that cannot, and nobody else that would not."""

    def test_no_descriptors(self):
        """However few there are: the command runs, or it is said why not, and that no governor was asked."""
        self.govern()
        statuses = []
        for most in range(4, 32):  # with 3 no shared library can be opened
            limited = {"env": self.environment(), "text": True, "capture_output": True,
                       "timeout": PATIENCE, "check": False}
            words = ["bash", "-c", f'ulimit -n {most} && exec "$@"', "sh", COREGOV, "run"]
            plain = subprocess.run([*words, "echo", "ran"], **limited)
            self.assertEqual((plain.returncode, plain.stdout), (0, "ran\n"), plain.stderr)
            required = subprocess.run([*words, "--require", "echo", "ran"], **limited)
            statuses.append(required.returncode)
            with self.subTest(most):
                if required.returncode == 0:
                    self.assertEqual(required.stdout, "ran\n")
                    self.assertIn("governed", plain.stderr)
                    continue
                self.assertEqual((required.returncode, required.stdout), (125, ""),
                                 required.stderr)
                self.assertRegex(required.stderr, "^coregov: .*: Too many open files, and "
                                 "--require asks for one: the command was not run\n$")
                self.assertIn("Too many open files, so the command runs ungoverned", plain.stderr)
        self.assertGreater(statuses.count(125), 0)
        self.assertEqual(statuses, sorted(statuses, reverse=True))

    def test_launcher_killed_before_the_gate_opens(self):
        """Its child ends with that status, for whoever waits for it then."""
        libc = ctypes.CDLL(None, use_errno=True)
        self.assertEqual(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0)
        self.addCleanup(libc.prctl, PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        governor = self.govern("hold", "1")
        process = self.start("--wait-start", "touch", self.path("ran"))
        pid = int(governor.wait_for("process").split()[1])
        process.kill()
        process.wait()
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 125)
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_cannot_wait_for_the_command(self):
        """It runs on, under its governor: it is not ended for that."""
        self.govern()
        os.mkfifo(self.path("go"))
        process = self.start(
            "sh", "-c", f"touch {self.path('fail')}; read go <{self.path('go')}; "
            f"touch {self.path('ran')}",
            env=self.environment(LD_PRELOAD=FAIL_EPOLL, FAIL_EPOLL_WHEN=self.path("fail")))
        pid = int(self.governor.wait_for("process").split()[1])
        wait_until(lambda: os.path.exists(self.path("fail")), "the command to begin")
        process.send_signal(signal.SIGWINCH)  # goes on to the command, which does not mind
        self.assertEqual(process.wait(PATIENCE), 125)
        self.assertNotIn(state_of(pid), (None, "Z"))
        with open(self.path("go"), "w", encoding="ascii") as file:
            file.write("go\n")
        wait_until(lambda: os.path.exists(self.path("ran")), "the command to go on")


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

    def configure(self, text):
        os.makedirs(self.path("coregov"), exist_ok=True)
        with open(self.path("coregov/coregov.conf"), "w", encoding="ascii") as file:
            file.write(text)
        return self.environment(XDG_CONFIG_HOME=self.folder.name)

    # What no preset knows.
    MINE = "for i in 1 2; do echo \"<<$i/0.$((9 - i))>>\"; done"

    def test_presets_of_the_configuration(self):
        env = self.configure(f"[governor]\npresets = /nowhere '{self.path('my own')}'\n")
        os.makedirs(self.path("my own"))
        with open(self.path("my own/mine.preset"), "w", encoding="ascii") as file:
            file.write("[preset]\n[line one]\n"
                       r"match = '^<<(?<step>\d+)/(?<loss>(?&number))>>'" "\n")
        for words in (("--target", "0.1"), ("--feed", "output:mine"),
                      ("--user", "--feed", "output")):
            status, _, err = self.run_it("-q", *words, "sh", "-c", self.MINE, env=env)
            self.assertEqual((status, err), (0, ""))
            self.governor.wait_for("ended")
            self.assertEqual(self.reports(), ["1 0.8", "2 0.7"], words)
            self.governor.lines.clear()
        # The system's governor has not been told of them, nor has another configuration.
        elsewhere = self.environment(XDG_CONFIG_HOME="/nowhere")
        for words, other in ((("--system",), env), ((), elsewhere)):
            status, out, err = self.run_it(*words, "--feed", "output:mine", "echo", "ran",
                                           env=other)
            self.assertEqual((status, out), (64, ""))
            self.assertIn("unknown preset 'mine'", err)

    def test_configuration_that_is_wrong(self):
        """It is the governor's, and keeps nobody from running."""
        env = self.configure("[governor]\npresets = more\n")
        for words in (("--target", "0.1"), ("--feed", "output:generic")):
            status, out, err = self.run_it("-q", *words, "sh", "-c", LEARN, env=env)
            self.assertEqual((status, out.count("\n")), (0, 5))
            self.assertIn("coregov.conf:2: presets: 'more' is not an absolute path", err)
            self.assertEqual(err.count("\n"), 1)
            self.governor.wait_for("ended")
            self.assertEqual(self.reports(), self.EXPECTED)
            self.governor.lines.clear()
        # What else is wrong in there is not this command's, and unread where nothing is printed.
        env = self.configure("[governor]\nbudgte = 1cpu\nbudget = 100000cpu\n")
        self.assertEqual(self.run_it("-q", "--target", "1", "true", env=env), (0, "", ""))
        env = self.configure("nonsense")
        self.assertEqual(self.run_it("-q", "true", env=env), (0, "", ""))

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
