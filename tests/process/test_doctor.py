# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov doctor` from the outside, on the machine that there is: what it says is what runs do, and
nothing is changed by asking."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import unittest

import tap
from test_bundle import COREGOV, PATIENCE, Case, groups_of, processes_of, wait_until, works
from test_coregovd import COREGOVD, Service, groups

STATES = ["ok", "degraded", "broken"]  # by exit status


def doctor(*options, prefix=(), **more):
    return subprocess.run([*prefix, COREGOV, "doctor", *options], capture_output=True, text=True,
                          timeout=PATIENCE, check=False, **more)


# Says that its threads are there, which wait for nothing.
THREADS = """
import threading
for _ in range(5):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
while True: pass
"""


class Report:
    def checks(self, **more):
        """{name: check} of --json, whose form and status are right."""
        ended = doctor("--json", **more)
        self.assertEqual(ended.stderr, "")
        report = json.loads(ended.stdout)
        self.assertEqual(list(report), ["schema", "worst", "checks"])
        self.assertEqual(report["schema"], 1)
        for check in report["checks"]:
            self.assertEqual(list(check), ["name", "state", "found", "remedy"])
            self.assertTrue(check["found"])
            self.assertEqual(check["remedy"] is None, check["state"] == "ok", check)
        worst = max(STATES.index(check["state"]) for check in report["checks"])
        self.assertEqual(report["worst"], STATES[worst])
        self.assertEqual(ended.returncode, worst)
        return {check["name"]: check for check in report["checks"]}


class Doctor(Report, Case):
    def test_a_line_for_each(self):
        names = list(self.checks())
        ended = doctor()
        lines = [line for line in ended.stdout.splitlines() if not line.startswith(" ")]
        self.assertEqual([line.split()[1] for line in lines], names)
        self.assertTrue({line.split()[0] for line in lines} <= set(STATES), lines)
        self.assertNotIn("\x1b", ended.stdout)
        self.assertEqual(ended.stderr, "")

    def test_it_says_what_a_run_does(self):
        checks = self.checks()
        said = works().stderr
        for what in "enforcer", "meter":
            chosen = checks[what]["found"].split()[0].rstrip(":")
            self.assertIn(f"coregov: {what} {chosen}", said)

    def test_a_user_without_a_group(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if subprocess.run([*prefix, "test", "-x", COREGOV], check=False).returncode:
            self.skipTest("the build is not readable for everybody")
        checks = self.checks(prefix=prefix)
        for name in "enforcer", "guarantee", "meter":
            self.assertEqual(checks[name]["state"], "degraded", checks[name])
        self.assertIn("signal (cgroup2: ", checks["enforcer"]["found"])
        self.assertEqual(checks["meter"]["remedy"], checks["enforcer"]["remedy"])

    def test_nothing_is_left_or_changed(self):
        before = pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8")
        with subprocess.Popen([COREGOV, "doctor"], stdout=subprocess.DEVNULL) as process:
            process.wait(PATIENCE)
        self.assertEqual(groups_of(process.pid), [])
        self.assertEqual(pathlib.Path("/proc/self/cgroup").read_text(encoding="utf-8"), before)

    def test_a_run_beside_it(self):
        """Its claim, and its task whose threads may spin."""
        self.write("threads.py", THREADS)
        path = self.bundle({"crowd": {
            "command": self.python("threads.py"), "deadline": "50s", "target": "0.5",
            "environment": "OMP_WAIT_POLICY=ACTIVE"}}, budget="0.5cpu")
        with self.start(path) as run:
            try:
                wait_until(lambda: run.poll() is not None or processes_of("threads.py"), "the task")
                self.assertIsNone(run.poll(), "it ended at once")
                if self.checks()["enforcer"]["found"].startswith("signal"):
                    self.skipTest("no groups can be made here")
                wait_until(lambda: "has 6 threads" in self.checks()["threads"]["found"],
                           "its threads")
                checks = self.checks()
                self.assertIn(f"coregov-{run.pid}-", checks["claims"]["found"])
                self.assertIn("(0.5)", checks["claims"]["found"])
                self.assertNotIn(f"coregov-{run.pid}-", checks["leftovers"]["found"])
                self.assertIn("task crowd of", checks["threads"]["found"])
                self.assertIn("OMP_WAIT_POLICY=PASSIVE", checks["threads"]["remedy"])
            finally:
                run.terminate()
                run.communicate(timeout=PATIENCE)

    def test_what_a_dead_run_has_left(self):
        """By a process of it: the keeper ends what it can, so here is one it does not know of."""
        dead = subprocess.Popen(["true"])  # a pid that has been, with the wrong start time
        dead.wait()
        name = f"coregov-{dead.pid}-1"
        with subprocess.Popen(["sleep", "1000"], env={**os.environ, "COREGOV_RUN": name}) as left:
            try:
                wait_until(lambda: self.checks()["leftovers"]["state"] != "ok", "the leftover")
                found = self.checks()["leftovers"]
                self.assertEqual(found["state"], "degraded")
                self.assertIn(name, found["found"])
                self.assertIsNone(left.poll(), "it looks only")
                # Its command clears it away.
                path = f"{os.path.dirname(COREGOV)}:{os.environ['PATH']}"
                mended = subprocess.run(["sh", "-c", found["remedy"]], capture_output=True, text=True,
                                        env={**os.environ, "PATH": path}, check=False)
                self.assertEqual(mended.returncode, 0, mended.stderr)
                self.assertEqual(left.wait(PATIENCE), -signal.SIGKILL)
            finally:
                left.kill()
        self.assertNotIn(name, self.checks()["leftovers"]["found"])

    def test_groups_that_a_dead_run_has_left(self):
        dead = subprocess.Popen(["true"])
        dead.wait()
        group = pathlib.Path("/sys/fs/cgroup/cpu", f"coregov-{dead.pid}-1")
        try:
            group.mkdir()
        except OSError as error:
            self.skipTest(f"no group can be made here: {error}")
        try:
            self.assertIn(group.name, self.checks()["leftovers"]["found"])
            self.assertTrue(group.exists(), "it looks only")
        finally:
            group.rmdir()

    def test_a_quota_around_us(self):
        group = pathlib.Path("/sys/fs/cgroup/cpu", f"test-doctor-{os.getpid()}")
        try:
            group.mkdir()
        except OSError as error:
            self.skipTest(f"no group can be made here: {error}")
        try:
            (group / "cpu.cfs_quota_us").write_text("50000", encoding="ascii")
            check = self.checks(prefix=("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$@"',
                                        "sh"))["quota"]
            self.assertEqual(check["state"], "degraded", check)
            self.assertIn(f"'{group}' allows 0.5 of", check["found"])
            self.assertEqual(check["remedy"], f"echo -1 | tee '{group}/cpu.cfs_quota_us'")
        finally:
            group.rmdir()

    def test_presets_that_cannot_be_read(self):
        os.makedirs(self.path("coregov/presets"))
        self.write("coregov/presets/bad.preset", "[preset]\nnonsense = 1\n")
        env = {**os.environ, "XDG_CONFIG_HOME": self.path("")}
        check = self.checks(env=env)["presets"]
        self.assertEqual(check["state"], "broken")
        self.assertIn("bad.preset:2", check["found"])
        self.assertEqual(doctor(env=env).returncode, 2)
        subprocess.run(["sh", "-c", check["remedy"]], check=True)
        self.assertEqual(self.checks(env=env)["presets"]["state"], "ok")

    def test_few_files(self):
        words = ("sh", "-c", 'ulimit -n 200 && exec "$@"', "sh")
        check = self.checks(prefix=words)["limits"]
        self.assertEqual(check["state"], "degraded", check)
        self.assertIn("at most 200 open files", check["found"])


class Governed(Report, Service):
    """A coregovd, and tasks of it."""

    def found(self, name):
        return self.checks(env=self.env)[name]

    def group(self, name=""):
        """Where the quota is, of all or of one task."""
        found = [path for path in groups(self.daemon.pid)
                 if os.path.exists(f"{path}/cpu.cfs_quota_us") or os.path.exists(f"{path}/cpu.max")]
        if not found:
            self.skipTest("no groups can be made here")
        return pathlib.Path(found[0], name)

    def test_threads(self):
        self.env["OMP_WAIT_POLICY"] = "ACTIVE"
        self.started("crowd", "--", "python3", "-c", THREADS)
        self.group()
        self.until(lambda: "has 6 threads" in self.found("threads")["found"])
        check = self.found("threads")
        self.assertEqual(check["state"], "degraded")
        self.assertRegex(check["found"], rf"^task crowd of coregovd-{self.daemon.pid}-\d+: process "
                         rf"\d+ has 6 threads for 0\.\d+ CPUs")
        self.assertIn("env OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 coregov run --threads 1 -- COMMAND",
                      check["remedy"])
        # And that mends it.
        self.assertEqual(self.coregov("cancel", "crowd")[0], 0)
        self.until(lambda: self.task_now("crowd")["phase"] == "ended")
        self.env["OMP_WAIT_POLICY"] = "PASSIVE"
        self.started("calm", "--threads", "1", "--", "python3", "-c", THREADS)
        self.assertEqual(self.found("threads")["state"], "ok", self.found("threads"))

    def test_threads_that_are_asked_for(self):
        self.env["OMP_NUM_THREADS"] = "3"
        self.started("many", "--threads", "2", "--", "python3", "-c", THREADS)
        check = self.found("threads")
        self.assertEqual(check["state"], "degraded", check)
        self.assertIn("is told by OMP_NUM_THREADS=3 to start that many threads, and the task may have "
                      "0.4 CPUs at most", check["found"])
        self.assertIn("env OMP_NUM_THREADS=1 coregov run --threads 1 -- COMMAND", check["remedy"])

    def test_threads_without_groups(self):
        """What is stopped and continued has none: its governor says what it has."""
        self.stop(self.daemon)
        self.conf.write_text(self.configuration + "enforcer = signal\n")
        self.daemon = self.start_daemon()
        self.env["OMP_WAIT_POLICY"] = "ACTIVE"
        self.started("crowd", "--", "python3", "-c", THREADS)
        self.until(lambda: "task crowd of a governor: " in self.found("threads")["found"])
        self.assertIn("coregov run --threads 1", self.found("threads")["remedy"])
        self.assertEqual(self.found("governor")["found"], "0.4 CPUs for 1 tasks")

    def test_a_budget_that_somebody_else_sets(self):
        self.assertEqual(self.found("governor")["found"], "0.4 CPUs for 0 tasks")
        self.started("spin", "--", "sh", "-c", "while :; do :; done")
        knob = self.group() / "cpu.cfs_quota_us"
        if not knob.exists():
            self.skipTest("the cpu controller is not on v1 here")
        self.assertRegex(self.found("governor")["found"], rf"^0.4 CPUs for 1 tasks, as '/.*{knob.parent.name}' "
                         "has it$")
        knob.write_text("90000", encoding="ascii")
        check = self.found("governor")
        self.assertEqual(check["state"], "degraded", check)
        self.assertIn("has 0.9 CPUs, and the budget is 0.4 CPUs: somebody else has set cpu.cfs_quota_us",
                      check["found"])
        self.assertEqual(check["remedy"], "coregov budget 0.4cpu")
        # And that mends it.
        self.assertEqual(self.coregov(*check["remedy"].split()[1:])[0], 0)
        self.assertEqual(self.found("governor")["state"], "ok")

    def test_it_does_not_answer(self):
        self.daemon.send_signal(signal.SIGSTOP)
        try:
            check = self.found("governor")
        finally:
            self.daemon.send_signal(signal.SIGCONT)
        self.assertEqual(check["state"], "broken", check)
        self.assertIn(f"process {self.daemon.pid} is one, and does not answer", check["found"])
        self.assertIn(f"kill -KILL {self.daemon.pid}  # ", check["remedy"])

    def test_none_is_started(self):
        """To ask is no reason to."""
        self.stop(self.daemon)
        self.assertEqual(self.found("governor")["found"], "none is there")
        self.assertFalse([path for path in pathlib.Path("/proc").glob("[0-9]*/exe")
                          if self.is_daemon_of_this_bus(path)])

    def is_daemon_of_this_bus(self, path):
        try:
            return (path.readlink() == pathlib.Path(COREGOVD)
                    and self.address.encode() in (path.parent / "environ").read_bytes())
        except OSError:
            return False


class CommandLine(unittest.TestCase):
    def refused(self, *words, because):
        ended = doctor(*words)
        self.assertEqual(ended.returncode, 64)
        self.assertEqual(ended.stdout, "")
        self.assertIn(because, ended.stderr)

    def test_refused(self):
        self.refused("--jsn", because="unknown option '--jsn'; did you mean '--json'?")
        self.refused("-x", because="unknown option '-x'")
        self.refused("all", because="'all' is too many")

    def test_help(self):
        ended = doctor("--help")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("usage: coregov doctor", ended.stdout)

    def test_a_report_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ended = subprocess.run([COREGOV, "doctor"], stdout=full, stderr=subprocess.PIPE,
                                   text=True, timeout=PATIENCE, check=False)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("write to standard output: No space left", ended.stderr)


class Colour(unittest.TestCase):
    def on_terminal(self, **environment):
        try:
            ours, theirs = pty.openpty()
        except OSError as error:
            self.skipTest(f"no pseudo-terminal can be opened here: {error}")
        variables = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
        said = b""
        with subprocess.Popen([COREGOV, "doctor"], stdout=theirs,
                              env={**variables, **environment}) as process:
            os.close(theirs)
            try:
                while chunk := os.read(ours, 65536):
                    said += chunk
            except OSError:  # EIO: the other end is closed
                pass
            process.wait(PATIENCE)
        os.close(ours)
        self.assertIn(b"kernel", said)
        return said

    def test_on_a_terminal(self):
        self.assertIn(b"\x1b[32mok", self.on_terminal(TERM="xterm"))

    def test_not_wanted(self):
        self.assertNotIn(b"\x1b", self.on_terminal(TERM="xterm", NO_COLOR="1"))
        self.assertNotIn(b"\x1b", self.on_terminal(TERM="dumb"))
        self.assertNotIn(b"\x1b", self.on_terminal())


if __name__ == "__main__":
    tap.main()
