# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd as users have it: on a bus, under real commands, on the best enforcer of this machine."""

import glob
import json
import os
import re
import signal
import socket
import subprocess
import time

import tap
from bus_case import COREGOV, NAME, NOBODY, PATH, PATIENCE, BusCase

COREGOVD, LEARNERS, DATA = (os.environ[name] for name in (
    "COREGOVD", "COREGOV_LEARNERS", "COREGOV_DATA"))
# Tests of other suites may hold a part of the machine: these hold little.
BUDGET = "0.4cpu"
SPIN = ["sh", "-c", "while :; do :; done"]
SAYS = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo step $i loss 0.$((1000 - i)); sleep 0.02; done"


def groups(pid):
    return glob.glob(f"/sys/fs/cgroup/**/coregovd-{pid}-*", recursive=True)


class Service(BusCase):
    host_options = None
    configuration = f"[governor]\nbudget = {BUDGET}\nslot = 100ms\n"

    def setUp(self):
        super().setUp()
        conf = self.folder / "xdg" / "coregov"
        conf.mkdir(parents=True)
        self.conf = conf / "coregov.conf"
        self.conf.write_text(self.configuration)
        # Without the bus's own mark: the next bus at that address has another.
        self.env.update(XDG_CONFIG_HOME=str(self.folder / "xdg"), COREGOV_DATA=DATA,
                        COREGOV_BUS_ADDRESS=f"unix:path={self.folder}/socket")
        self.log = self.folder / "log"
        self.tasks = []
        self.addCleanup(self.end_tasks)
        self.daemon = self.start_daemon()

    def start_daemon(self, *options):
        with open(self.log, "ab") as log:
            daemon = subprocess.Popen([COREGOVD, "--user", *options], env=self.env, stderr=log,
                                      stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop, daemon)
        self.until(lambda: daemon.poll() is not None or self.coregov("list")[0] == 0)
        return daemon

    @staticmethod
    def stop(daemon):
        if daemon.poll() is None:
            daemon.terminate()
        return daemon.wait(PATIENCE)

    def end_tasks(self):
        for task in self.tasks:
            if task.poll() is None:
                task.terminate()  # goes on to the command
        # Each waits a moment for a governor to tell how it has ended.
        for task in self.tasks:
            task.communicate(timeout=PATIENCE)

    def start(self, *words, user=None):
        task = subprocess.Popen([COREGOV, "run", "--quiet", *words], env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, cwd="/", **self.as_user(user))
        self.tasks.append(task)
        return task

    def tasks_now(self, *words):
        status, out, err = self.coregov("list", "--json", *words)
        self.assertEqual((status, err), (0, ""))
        return {task["name"]: task for task in json.loads(out)["tasks"]}

    def task_now(self, name):
        status, out, err = self.coregov("show", name, "--json")
        return json.loads(out) if status == 0 else {"phase": "", "why": err}

    def started(self, name, *words, **more):
        task = self.start("--name", name, *words, **more)
        self.until(lambda: name in self.tasks_now())
        return task


class Tasks(Service):
    def test_a_training_learns(self):
        task = self.start("--name", "soft", "--target", "loss <= 0.5", "--deadline", "5min",
                          "--on-target", "stop", "--", f"{LEARNERS}/softmax")
        self.until(lambda: self.task_now("soft").get("outcome") == "learned")
        out, err = task.communicate(timeout=PATIENCE)
        self.assertEqual((task.returncode, err), (0, ""), out)
        self.until(lambda: self.task_now("soft")["phase"] == "ended")
        told = self.task_now("soft")
        self.assertEqual(told["feed"], "shm")
        self.assertLessEqual(told["value"], 0.5)
        self.assertGreater(told["cpu_seconds"], 0)
        self.assertIn("learned: loss 0.4", self.log.read_text())

    def test_answer_at_start(self):
        """By what the same command has needed before, if it has run before."""
        command = [f"{LEARNERS}/softmax"]
        for target, deadline, answer in (
                ("loss <= 1.2", "5min", "not yet known to make it"),
                ("loss <= 1.2", "5min", "likely to make it"),
                ("loss <= 1.4", "5min", "likely to make it"),  # easier
                ("loss <= 1.2", "100ms", "unlikely to make it"),
                ("loss <= 0.2", "5min", "not yet known to make it"),  # harder
                ("accuracy >= 0.2", "5min", "not yet known to make it")):
            before = len(self.tasks_now("--all"))
            task = subprocess.Popen(
                [COREGOV, "run", "--name", f"soft{before}", "--target", target, "--deadline", deadline,
                 "--on-target", "stop", "--on-deadline", "stop", "--", *command], env=self.env,
                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, cwd="/")
            self.tasks.append(task)
            with self.subTest(target=target, deadline=deadline):
                said = task.stderr.readline()
                self.assertIn(f": {answer}; ", said)
            if answer == "not yet known to make it" and before:
                self.assertEqual(self.coregov("cancel", f"soft{before}")[0], 0)
            task.wait(PATIENCE)
            self.until(lambda: self.task_now(f"soft{before}")["phase"] == "ended")

    def test_what_is_printed_counts(self):
        task = self.start("--name", "says", "--target", "loss <= 0.9", "--", "sh", "-c", SAYS)
        status, out, _ = self.coregov("wait", "says") if self.seen("says") else (None, "", "")
        self.assertEqual(task.wait(PATIENCE), 0)
        self.assertEqual(status, 0, out)
        self.assertEqual(self.task_now("says")["outcome"], "learned")
        self.assertEqual(len(task.stdout.read().splitlines()), 400)

    def seen(self, name):
        self.until(lambda: name in self.tasks_now())
        return True

    def test_status_of_a_command_that_fails(self):
        task = self.start("--name", "bad", "--", "sh", "-c", "exit 3")
        self.assertEqual(task.wait(PATIENCE), 3)
        self.until(lambda: self.task_now("bad")["phase"] == "ended")
        self.assertEqual(self.task_now("bad")["outcome"], "failed")
        self.assertEqual(self.coregov("wait", "bad")[0], 1)

    def test_is_governed_before_it_runs(self):
        """The command itself sees its group, the moment it begins."""
        task = self.start("--", "cat", "/proc/self/cgroup")
        out, err = task.communicate(timeout=PATIENCE)
        self.assertIn(f"coregovd-{self.daemon.pid}-", out, err)

    def test_budget_holds(self):
        for name in ("a", "b", "c"):
            self.started(name, "--", *SPIN)
        before, start = self.cpu(), time.monotonic()
        time.sleep(2)
        used = (self.cpu() - before) / (time.monotonic() - start)
        self.assertLess(used, 0.46)
        self.until(lambda: self.cpu() > before + 0.2)

    def test_what_stands_still_is_no_news(self):
        """Of a task that has changed there is a signal in each slot, of another one there is none."""
        self.started("spin", "--", *SPIN)
        self.started("still", "--", *SPIN)
        self.assertEqual(self.coregov("pause", "still")[0], 0)
        self.until(lambda: self.task_now("still")["phase"] == "paused")
        time.sleep(0.5)
        ends = {name: f"/_{task['number']};" for name, task in self.tasks_now().items()}
        heard = {"spin": 0, "still": 0}
        with self.monitor(f"sender={NAME}") as lines:
            while heard["spin"] < 10:
                line = lines.readline()
                for name, end in ends.items():
                    heard[name] += end in line and "PropertiesChanged" in line
        self.assertEqual(heard["still"], 0)

    def cpu(self):
        return sum(task["cpu_seconds"] for task in self.tasks_now().values())

    def test_pause_and_cancel(self):
        task = self.started("spin", "--", *SPIN)
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > 0.02)
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        time.sleep(0.3)
        before = self.task_now("spin")["cpu_seconds"]
        time.sleep(0.5)
        self.assertEqual(self.task_now("spin")["cpu_seconds"], before)
        self.assertEqual(self.coregov("resume", "spin")[0], 0)
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > before)
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)
        self.assertEqual(self.task_now("spin")["outcome"], "cancelled")

    def test_what_is_asked_for_without_end_is_not_told_without_end(self):
        """But how often, and what becomes of the task."""
        self.started("spin", "--", *SPIN)
        for _ in range(150):
            self.assertEqual(self.coregov("pause", "spin")[0], 0)
            self.assertEqual(self.coregov("resume", "spin")[0], 0)
        told = re.findall(r"(?m)^task spin: (paused|resumed): ", self.log.read_text())
        self.assertGreater(len(told), 50)
        self.assertLess(len(told), 250)
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.until(lambda: self.task_now("spin")["phase"] == "ended")
        self.assertRegex(self.log.read_text(), r"task spin: cancelled\ntask spin: stopping: .*\n")
        self.until(lambda: "left-out: " in self.log.read_text())
        self.assertRegex(self.log.read_text(),
                         rf"(?m)^left-out: \d+ lines that user {os.geteuid()} has caused: ")

    def test_deadline_passes(self):
        task = self.started("late", "--target", "loss <= 0.1", "--deadline", "now+1h", "--", *SPIN)
        self.assertEqual(self.coregov("set", "late", "deadline=now+1s")[0], 0)
        self.until(lambda: self.task_now("late")["outcome"] == "missed-deadline")
        self.assertIsNone(task.poll())  # nobody asked that it be stopped

    def test_names(self):
        self.started("one", "--", *SPIN)
        task = self.start("--name", "one", "--", "true")
        _, err = task.communicate(timeout=PATIENCE)
        self.assertEqual(task.returncode, 65)
        self.assertIn("a task 'one' runs already", err)

    def test_several_users(self):
        self.started("ours", "--", *SPIN)
        self.started("theirs", "--", *SPIN, user=NOBODY)
        status, _, err = self.coregov("cancel", "ours", user=NOBODY)
        self.assertEqual(status, 77, err)
        self.assertEqual(self.coregov("pause", "theirs", user=NOBODY)[0], 0)
        status, out, _ = self.coregov("show", "ours", "--json", user=NOBODY)
        self.assertEqual((status, json.loads(out)["command"]), (0, None))
        self.assertGreater(json.loads(out)["share_cpus"], 0)

    def test_governor_killed(self):
        """Nothing is lost of the training, and its limit stays."""
        task = self.started("spin", "--", "sh", "-c", "sleep 1; exit 4")
        self.daemon.kill()
        self.daemon.wait(PATIENCE)
        self.assertEqual(task.wait(PATIENCE), 4)
        self.assertTrue(groups(self.daemon.pid))
        self.start_daemon()  # clears what is empty
        self.assertEqual(groups(self.daemon.pid), [])

    def test_governor_ended(self):
        task = self.started("spin", "--", *SPIN)
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        self.assertEqual(self.stop(self.daemon), 0)
        self.assertIsNone(task.poll())
        self.assertTrue(groups(self.daemon.pid))
        task.terminate()  # it was paused, and runs again
        self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)
        self.start_daemon()
        self.assertEqual(groups(self.daemon.pid), [])


class Configuration(Service):
    def property(self, name):
        return self.get(PATH, name).split()[-1]

    def test_reload(self):
        self.started("spin", "--", *SPIN)
        self.conf.write_text("[governor]\nbudget = 0.2cpu\nslot = 100ms\npolicy = edf\n")
        self.daemon.send_signal(signal.SIGHUP)
        self.until(lambda: "in force" in self.log.read_text())
        self.assertEqual(self.property("BudgetCPUs"), "0.2")
        self.assertEqual(self.property("Policy"), "edf")
        self.until(lambda: self.task_now("spin")["share_cpus"] <= 0.2)
        told = self.log.read_text()
        self.assertIn("\nbudget 0.2 CPUs, before 0.4: the configuration says so\n", told)
        self.assertIn("\npolicy edf, before core: the configuration says so\n", told)
        self.assertIn("\nreloaded: the configuration was read again and is in force; other than before: "
                      "budget, policy\n", told)
        self.assertNotIn("waits", told)

    def test_what_waits_is_told(self):
        self.conf.write_text(f"[governor]\nbudget = {BUDGET}\nslot = 200ms\ntasks-max = 9\n")
        self.assertEqual(self.send(PATH, f"{NAME}.Reload")[0], 0)
        told = self.log.read_text()
        self.assertIn("other than before: slot, tasks-max\n", told)
        self.assertIn("\nwaits: changed in the configuration, and in force from the next start: slot, "
                      "tasks-max\n", told)
        self.assertEqual(self.property("SlotUSec"), "100000")

    def test_a_refused_budget_changes_nothing(self):
        """A run has so much that another budget does not fit: the policy stays as it is, too."""
        with open("/proc/self/stat", encoding="ascii") as stat:
            start = stat.read().rsplit(")", 1)[1].split()[19]
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as claim:
            claim.bind(f"\0coregov/budget/coregov-{os.getpid()}-{start}/500000")
            most = float(self.property("CapacityCPUs"))
            self.conf.write_text(
                f"[governor]\nbudget = {most - 0.2:.3f}cpu\nslot = 100ms\npolicy = edf\n")
            status, told = self.send(PATH, f"{NAME}.Reload")
        self.assertNotEqual(status, 0)
        self.assertIn("does not fit", told)
        self.assertEqual((self.property("BudgetCPUs"), self.property("Policy")), ("0.4", "core"))
        self.assertIn("\nnot-reloaded: the configuration was read again, and the old one stays in force: ",
                      self.log.read_text())
        self.assertNotIn("policy edf", self.log.read_text())

    def changes_until(self, lines, path, name):
        """Those of one object, up to the one that has the property."""
        found = []
        while not found or name not in found[-1]:
            changed_path, changed = self.next_change(lines)
            if changed_path == path:
                found.append(changed)
        return found

    def test_a_change_is_told_wherever_it_comes_from(self):
        with self.monitor(f"sender={NAME}") as lines:
            # By a signal, of a governor that has nothing to do.
            self.conf.write_text("[governor]\nbudget = 0.2cpu\nslot = 100ms\npolicy = edf\n")
            self.daemon.send_signal(signal.SIGHUP)
            self.assertEqual(self.next_change(lines), (PATH, {"BudgetCPUs": "0.2", "Policy": '"edf"'}))
            # By another client.
            self.assertEqual(self.coregov("budget", "0.3cpu")[0], 0)
            self.assertEqual(self.next_change(lines), (PATH, {"BudgetCPUs": "0.3"}))
            self.assertEqual(self.coregov("drain")[0], 0)
            self.assertEqual(self.next_change(lines), (PATH, {"IsDraining": "true"}))
            self.assertEqual(self.coregov("drain", "--off")[0], 0)
            self.assertEqual(self.next_change(lines), (PATH, {"IsDraining": "false"}))
            # And while slots are made.
            self.started("spin", "--", *SPIN)
            self.assertEqual(self.changes_until(lines, PATH, "NTasks")[-1]["NTasks"], "1")
            self.daemon.send_signal(signal.SIGHUP)
            changed = self.changes_until(lines, PATH, "BudgetCPUs")
            self.assertEqual(changed[-1]["BudgetCPUs"], "0.2")
            # It is what it was before: only what has changed is told.
            self.assertFalse([name for change in changed for name in change if name in (
                "Policy", "SlotUSec", "CapacityCPUs", "Enforcer", "Meter", "Guarantee", "IsDraining")])

    def test_what_is_set_is_told_once(self):
        """A deadline that was given as a span is no other in each slot."""
        self.started("spin", "--target", "loss <= 0.1", "--deadline", "5min", "--", *SPIN)
        path = f"{PATH}/task/_1"
        with self.monitor(f"sender={NAME}") as lines:
            seen = [change for _ in range(10) for change in self.changes_until(lines, path, "CPUUSec")]
            self.assertFalse([change for change in seen if "DeadlineRealtime" in change])
            self.assertEqual(self.coregov("set", "spin", "target=loss <= 0.2", "deadline=1h")[0], 0)
            changed = self.changes_until(lines, path, "DeadlineRealtime")[-1]
            self.assertEqual(changed["Target"], '"loss <= 0.2"')
            self.assertNotIn("Threads", changed)
            self.assertEqual(self.coregov("set", "spin", "threads=2")[0], 0)
            self.assertEqual(self.changes_until(lines, path, "Threads")[-1]["Threads"], "2")

    def level(self, *words, user=None):
        """Through org.freedesktop.LogControl1, as systemctl service-log-level does."""
        path, name = "/org/freedesktop/LogControl1", "org.freedesktop.LogControl1"
        if words:
            return self.send(path, "org.freedesktop.DBus.Properties.Set", f"string:{name}",
                             f"string:{words[0]}", f"variant:string:{words[1]}", user=user)
        return self.send(path, "org.freedesktop.DBus.Properties.Get", f"string:{name}",
                         "string:LogLevel", user=user)

    def slots(self):
        return re.findall(r"(?m)^slot \d+: .*$", self.log.read_text())

    def test_slots_are_told_at_debug(self):
        self.started("spin", "--", *SPIN)
        self.assertEqual(self.level()[1].split()[-1], "info")
        time.sleep(0.5)
        self.assertEqual(self.slots(), [])
        self.assertEqual(self.level("LogLevel", "debug"), (0, ""))
        self.until(lambda: len(self.slots()) >= 5)
        self.assertEqual(self.level()[1].split()[-1], "debug")
        self.assertRegex(self.slots()[-1], r"^slot \d+: 1 task, 0 chosen; 0\.\d\d of 0\.4 CPUs granted, "
                         r"\d+ grants changed; \d\.\d\d used before; \d+\.\d{3} ms late$")
        self.assertIn(f"\nlog-level debug, before info: user {os.geteuid()} has asked for it\n",
                      self.log.read_text())
        # Idle there is no slot.
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.until(lambda: self.task_now("spin")["phase"] == "ended")
        time.sleep(0.3)
        before = len(self.slots())
        time.sleep(0.5)
        self.assertEqual(len(self.slots()), before)
        self.assertEqual(self.level("LogLevel", "info"), (0, ""))
        self.started("again", "--", *SPIN)
        time.sleep(0.5)
        self.assertEqual(len(self.slots()), before)

    def test_who_sets_the_level(self):
        status, told = self.level("LogLevel", "debgu")
        self.assertEqual(status, 1)
        self.assertIn("'debgu' is no level; did you mean 'debug'?", told)
        status, told = self.level("LogTarget", "null")
        self.assertEqual(status, 1)
        self.assertIn("what is told goes to the console", told)
        if os.geteuid() == 0:
            status, told = self.level("LogLevel", "debug", user=NOBODY)
            self.assertEqual(status, 1)
            self.assertIn("AccessDenied", told)
        self.assertEqual(self.level()[1].split()[-1], "info")

    def test_the_level_at_start(self):
        for options, variable, level, told in (
                (["--log-level", "warning"], "debug", "warning", ""),
                ([], "debug", "debug", "ready: "),
                ([], "4", "warning", ""),
                ([], "loud", "info", "ignored: SYSTEMD_LOG_LEVEL: 'loud' is no level")):
            self.assertEqual(self.stop(self.daemon), 0)
            self.log.write_text("")
            self.env["SYSTEMD_LOG_LEVEL"] = variable
            with self.subTest(options=options, variable=variable):
                self.daemon = self.start_daemon(*options)
                self.assertEqual(self.level()[1].split()[-1], level)
                self.assertIn(told, self.log.read_text())
                self.assertEqual("ready: " in self.log.read_text(), level != "warning")

    def test_its_own_life_is_told(self):
        self.started("spin", "--", *SPIN)
        self.assertEqual(self.coregov("drain")[0], 0)
        self.assertEqual(self.coregov("drain", "--off")[0], 0)
        self.assertEqual(self.stop(self.daemon), 0)
        told = self.log.read_text()
        self.assertRegex(told, r"(?m)^chosen: enforcer \w+")
        self.assertRegex(told, r"(?m)^chosen: meter \w+")
        self.assertRegex(told, r"(?m)^ready: policy core, budget 0\.4 of \S+ CPUs, a slot every 0\.1 s, 0 tasks$")
        us = f"user {os.geteuid()} has asked for it"
        self.assertIn(f"\ndraining, no new task is taken and those that run go on: {us}\n", told)
        self.assertIn(f"\naccepting, new tasks are taken again: {us}\n", told)
        self.assertRegex(told, r"(?m)^ending: 1 task runs on, limited by the budget around all of them alone")

    def test_reload_changes_the_defaults(self):
        self.conf.write_text(f"[governor]\nbudget = {BUDGET}\nslot = 100ms\n"
                             "[defaults]\nthreads = 3\n")
        status, told = self.send(PATH, f"{NAME}.Reload")
        self.assertEqual(status, 0, told)
        self.started("spin", "--", *SPIN)
        self.assertEqual(self.task_now("spin")["threads"], 3)
        # auto is asked for by name, and given up again.
        self.started("free", "--threads", "auto", "--", *SPIN)
        self.assertIsNone(self.task_now("free")["threads"])
        self.assertEqual(self.coregov("set", "free", "threads=2")[0], 0)
        self.assertEqual(self.task_now("free")["threads"], 2)
        self.assertEqual(self.coregov("set", "free", "threads=auto")[0], 0)
        self.assertIsNone(self.task_now("free")["threads"])
        self.until(lambda: "threads auto, at most" in self.log.read_text())

    def test_reload_of_a_wrong_one(self):
        for text, sentence in (
                ("[governor]\nbudget = 0.2\n", "coregov.conf:2:"),
                ("[governor]\npolicy = cor\n", "did you mean 'core'?"),
                ("[governor]\nbudget = 1000cpu\n", "1000")):
            self.conf.write_text(text)
            status, told = self.send(PATH, f"{NAME}.Reload")
            self.assertNotEqual(status, 0)
            self.assertIn(sentence, told)
            self.assertEqual(self.property("BudgetCPUs"), "0.4")
            self.assertEqual(self.property("Policy"), "core")
        self.assertIn("the old one stays in force", self.log.read_text())

    def test_unknown_keys_are_told(self):
        self.conf.write_text(f"[governor]\nbudget = {BUDGET}\nbudgte = 1cpu\n")
        status, told = self.send(PATH, f"{NAME}.Reload")
        self.assertEqual(status, 0, told)
        self.assertRegex(self.log.read_text(), r"(?m)^ignored: \S*coregov.conf:3:")
        self.assertIn("budget", self.log.read_text())

    def test_caps(self):
        self.conf.write_text(f"[governor]\nbudget = {BUDGET}\nslot = 100ms\nper-user-tasks = 1\n"
                             "per-user-cpus = 0.1cpu\n")
        status, told = self.send(PATH, f"{NAME}.Reload")
        self.assertEqual(status, 0, told)
        self.started("one", "--", *SPIN)
        self.assertLessEqual(self.task_now("one")["share_cpus"], 0.1)
        task = self.start("--require", "--", "true")
        _, err = task.communicate(timeout=PATIENCE)
        self.assertEqual(task.returncode, 75)
        self.assertIn("per-user-tasks", err)

    def test_budget_command(self):
        self.assertEqual(self.coregov("budget", "0.3cpu")[0], 0)
        self.assertEqual(self.property("BudgetCPUs"), "0.3")
        self.assertIn(f"\nbudget 0.3 CPUs, before 0.4: user {os.geteuid()} has asked for it\n",
                      self.log.read_text())
        status, _, err = self.coregov("budget", "1000cpu")
        self.assertEqual(status, 65)
        self.assertIn("1000", err)
        self.assertEqual(self.property("BudgetCPUs"), "0.3")

    def test_another_governor(self):
        other = subprocess.run([COREGOVD, "--user", "--budget", "0.1cpu"], env=self.env, text=True,
                               capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(other.returncode, 69, other.stderr)
        self.assertEqual(self.coregov("list")[0], 0)

    def test_bus_that_comes_back(self):
        task = self.started("spin", "--", *SPIN)
        self.stop_bus()
        self.until(lambda: "the bus is gone" in self.log.read_text())
        self.assertIsNone(task.poll())
        (self.folder / "socket").unlink(missing_ok=True)
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.folder / 'config'}", "--nofork",
             "--print-address"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.bus.stdout.readline().strip()
        self.until(lambda: "the bus is there again" in self.log.read_text())
        self.assertIn("spin", self.tasks_now())


class Starts(BusCase):
    host_options = None

    def coregovd(self, *words, text="", env=None):
        conf = self.folder / "xdg" / "coregov"
        conf.mkdir(parents=True, exist_ok=True)
        (conf / "coregov.conf").write_text(text)
        result = self.run_once(COREGOVD, "--user", *words,
                               env={"XDG_CONFIG_HOME": str(self.folder / "xdg"), **(env or {})})
        return result.returncode, result.stderr

    def test_refused(self):
        for status, sentence, words, more in (
                (64, "unknown option '--budgte'", ["--budgte", "1cpu"], {}),
                (64, "--budget", ["--budget", "1"], {}),
                (64, "did you mean 'debug'?", ["--log-level", "debgu"], {}),
                (64, "too many", ["now"], {}),
                (64, "--root is for --check-config", ["--root", "/"], {}),
                (65, "coregov.conf:2:", [], {"text": "[governor]\nslot = 1\n"}),
                (65, "above 0, and at most", ["--budget", "1000cpu"], {}),
                (65, "above 0, and at most", ["--budget", "0cpu"], {}),
                (69, "bus", ["--budget", BUDGET],
                 {"env": {"COREGOV_BUS_ADDRESS": f"unix:path={self.folder}/none"}})):
            with self.subTest(words=words, **more):
                found, err = self.coregovd(*words, **more)
                self.assertEqual(found, status, err)
                self.assertIn(sentence, err)

    def test_check(self):
        self.assertEqual(self.coregovd("--check-config", text="[governor]\nslot = 2s\n"), (0, ""))
        status, err = self.coregovd("--check-config", text="[governor]\nslot = 2\n")
        self.assertEqual(status, 65)
        self.assertIn("coregov.conf:2:", err)

    def test_help(self):
        for words in (["--help"], ["--version"]):
            result = self.run_once(COREGOVD, *words)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertIn("coregovd", result.stdout)

    def status_follows(self, heard):
        """It has the tasks of the moment, is told now and then, and not at all while there is none."""
        with subprocess.Popen([COREGOV, "run", "--quiet", "--", *SPIN], env=self.env) as task:
            try:
                told = self.statuses(heard, 8)
                self.assertRegex(told[-1], r"^1 task, 0\.\d\d of 0\.4 CPUs used$")
                self.assertLessEqual(len(told), 4)
            finally:
                task.terminate()
        told = self.statuses(heard, 3)
        self.assertEqual(told[-1:], ["no task"])
        self.assertEqual(self.statuses(heard, 2), [])

    @staticmethod
    def statuses(heard, seconds):
        """Each STATUS that comes in so many seconds."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            found += [line[len("STATUS="):] for line in heard.recv(4096).decode().splitlines()
                      if line.startswith("STATUS=")]
        return found

    def test_notifies(self):
        """As systemd has it: a socket that is told when tasks may come."""
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(path)
            heard.settimeout(PATIENCE)
            daemon = subprocess.Popen([COREGOVD, "--user", "--budget", BUDGET],
                                      env={**self.env, "NOTIFY_SOCKET": path,
                                           "WATCHDOG_USEC": "200000"},
                                      stderr=subprocess.DEVNULL)
            try:
                told = heard.recv(4096).decode()
                while "READY=1" not in told:
                    told = heard.recv(4096).decode()
                while "WATCHDOG=1" not in told:
                    told = heard.recv(4096).decode()
                self.status_follows(heard)
                daemon.send_signal(signal.SIGHUP)
                while "RELOADING=1" not in told:
                    told = heard.recv(4096).decode()
                self.assertIn("MONOTONIC_USEC=", told)
                while "READY=1" not in told:
                    told = heard.recv(4096).decode()
            finally:
                daemon.terminate()
                self.assertEqual(daemon.wait(PATIENCE), 0)
            while "STOPPING=1" not in told:
                told = heard.recv(4096).decode()


if __name__ == "__main__":
    tap.main()
