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

import bus_case
import tap
from bus_case import COREGOV, NAME, NOBODY, PATH, PATIENCE, BusCase

COREGOVD, LEARNERS, DATA = (os.environ[name] for name in (
    "COREGOVD", "COREGOV_LEARNERS", "COREGOV_DATA"))
# Tests of other suites may hold a part of the machine: these hold little.
BUDGET = "0.4cpu"
WATCHDOG_SECONDS = 0.2
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


class Flood(Service):
    configuration = f"[governor]\nbudget = {BUDGET}\nslot = 1s\nper-user-tasks = 4\n"
    n_calls = 2000

    def flood(self, *words):
        return subprocess.Popen([bus_case.SUBMIT, "--times", str(self.n_calls), *words], env=self.env,
                                text=True, stdout=subprocess.PIPE, **self.as_user(NOBODY))

    def test_slots_are_made_and_others_answered(self):
        """One user submits, changes and asks without end."""
        self.started("theirs", "--", *SPIN, user=NOBODY)
        number = self.task_now("theirs")["number"]
        floods = [self.flood("Command:as=train"), self.flood("--do", "Pause", f"{PATH}/task/_{number}"),
                  self.flood("--do", "org.freedesktop.DBus.ObjectManager.GetManagedObjects", PATH)]
        task = self.start("--require", "--", "true", user=bus_case.SOMEBODY)
        _, err = task.communicate(timeout=PATIENCE)
        self.assertEqual(task.returncode, 0, err)
        for flood in floods:
            lines = flood.communicate(timeout=PATIENCE)[0].splitlines()
            # Each has had its answer, if not from the governor, from the bus.
            self.assertEqual(len(lines), self.n_calls)
        self.assertEqual(self.get(PATH, "NSlotsMissed").split()[-1], "0")


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
                ("[policy core]\nunseen-part = 2\n",
                 "coregov.conf:2: unseen-part: '2' is outside the range; expected a number from 0.01 to 1"),
                ("[governor]\npolicy = cor\n", "did you mean 'core'?"),
                ("[governor]\nbudget = 1000cpu\n", "1000")):
            self.conf.write_text(text)
            status, told = self.send(PATH, f"{NAME}.Reload")
            self.assertNotEqual(status, 0)
            self.assertIn(sentence, told)
            self.assertEqual(self.property("BudgetCPUs"), "0.4")
            self.assertEqual(self.property("Policy"), "core")
        self.assertIn("the old one stays in force", self.log.read_text())

    def shown(self, *options):
        status, out, err = self.coregov("show-config", "--user", "--json", *options)
        self.assertEqual((status, err), (0, ""))
        shown = json.loads(out)
        return {key["key"]: key["value"] for key in shown["settings"]
                if key["section"] == "governor"}, shown["in_force"]

    def test_what_is_in_force_is_shown(self):
        settings, force = self.shown()
        self.assertEqual((settings["budget"], settings["slot"]), (BUDGET, "100ms"))
        self.assertEqual((force["budget_cpus"], force["slot_seconds"], force["policy"]),
                         (0.4, 0.1, "core"))
        self.assertEqual(force["enforcer"], self.get(PATH, "Enforcer").split()[-1].strip('"'))
        # What the files say by now, and has not been read again or not been taken, is another matter.
        self.conf.write_text("[governor]\nbudget = 1000cpu\nslot = 200ms\n")
        self.assertNotEqual(self.send(PATH, f"{NAME}.Reload")[0], 0)
        self.assertEqual(self.shown()[0]["slot"], "100ms")
        self.conf.write_text("[governor]\nbudget = 0.3cpu\nslot = 200ms\npolicy = edf\n")
        self.assertEqual(self.shown(), (settings, force))
        settings, none = self.shown("--files")
        self.assertEqual((settings["budget"], none), ("0.3cpu", None))
        self.assertEqual(self.send(PATH, f"{NAME}.Reload")[0], 0)
        self.assertEqual(self.coregov("budget", "0.2cpu")[0], 0)
        settings, force = self.shown()
        self.assertEqual((settings["budget"], force["budget_cpus"]), ("0.3cpu", 0.2))
        self.assertEqual((settings["slot"], force["slot_seconds"], force["policy"]),
                         ("200ms", 0.1, "edf"))
        status, out, _ = self.coregov("show-config", "--user")
        self.assertEqual(status, 0)
        self.assertTrue(out.startswith("# in force: budget 0.2cpu of "), out)
        # Without a governor there are the files.
        self.stop(self.daemon)
        self.assertEqual(self.shown(), (settings, None))

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


class Parameters(Service):
    # Three that say nothing. `front` is due first and has the budget, so that the others have not run when it
    # goes. Then `late` is due before `soon`, which began after it, so that its window is shorter. Each is
    # thought to need a part of its window, hardly more or less, of the 0.39 CPUs that the plan counts on: with
    # 0.15 both fit, and late is due first; with 0.3 only one does, and soon needs less.
    configuration = (f"[governor]\nbudget = {BUDGET}\nslot = 100ms\n[defaults]\ngrace = 0s\n"
                     "[policy core]\nunseen-spread = 0.1\nunseen-part = 0.3\n")

    def reload(self, part, more=""):
        self.conf.write_text(self.configuration.replace("0.3", part) + more)
        return self.send(PATH, f"{NAME}.Reload")

    def n_slots(self):
        return int(self.get(PATH, "NSlots").split()[-1])

    def has_all(self, name, other):
        now = self.tasks_now()
        return now[name]["share_cpus"] > 0.39 and now[other]["share_cpus"] == 0

    def test_they_decide(self):
        for name, deadline in (("front", "10min"), ("late", "60min"), ("soon", "3599s")):
            self.started(name, "--target", "loss <= 0.1", "--deadline", deadline, "--", *SPIN)
            # Between late and soon more than the second by which soon's span is the shorter.
            self.until(lambda: time.time() - self.task_now(name)["began_unix_seconds"] > 1.2)
        numbers = {name: task["number"] for name, task in self.tasks_now().items()}
        self.until(lambda: self.has_all("front", "late"))
        self.assertEqual(self.coregov("cancel", "front")[0], 0)
        self.until(lambda: self.has_all("soon", "late"))
        self.assertEqual(self.reload("0.15")[0], 0)
        self.until(lambda: self.has_all("late", "soon"))
        # What is wrong leaves all of it as it was.
        for wrong, sentence in (("capacity-part = 2\n", "coregov.conf:9: capacity-part: '2'"),
                                ("[user bob]\ntasks = -1\n", "coregov.conf:10: tasks: '-1'")):
            status, told = self.reload("0.3", wrong)
            self.assertNotEqual(status, 0)
            self.assertIn(sentence, told)
            n_slots = self.n_slots()
            self.until(lambda: self.n_slots() > n_slots + 1)
            self.assertTrue(self.has_all("late", "soon"))
        self.assertEqual({name: self.task_now(name)["number"] for name in ("late", "soon")},
                         {name: numbers[name] for name in ("late", "soon")})


class Foreground(Service):
    """coregovd --foreground, as in a container without systemd, on each enforcer that there may be here."""

    enforcer = "cgroup1"
    excess = 1.1  # of what is used beyond the budget in some seconds

    def setUp(self):
        self.configuration = Service.configuration + f"enforcer = {self.enforcer}\n"
        super().setUp()

    def start_daemon(self, *options):
        daemon = super().start_daemon("--foreground", *options)
        if daemon.poll() is not None and "does not work here" in self.log.read_text():
            self.skipTest(self.log.read_text().splitlines()[-1])
        return daemon

    def test_it_governs(self):
        """Two tasks within the budget, changed under them, and nothing left of it after Ctrl-C."""
        self.assertIsNone(self.daemon.poll(), self.log.read_text())  # it is what was started
        governor = json.loads(self.coregov("list", "--json")[1])["governor"]
        self.assertEqual(governor["enforcer"], self.enforcer)
        names = ["a", "b"]
        for name in names:
            self.started(name, "--", *SPIN)
        self.assertEqual(bool(groups(self.daemon.pid)), self.enforcer != "signal")
        for budget in (0.4, 0.2):
            self.assertEqual(self.coregov("budget", f"{budget}cpu")[0], 0)
            self.until(lambda most=budget: 0 < self.shares() <= most * 1.001)
            before, begun = self.used(), time.monotonic()
            time.sleep(3)
            used = (self.used() - before) / (time.monotonic() - begun)
            self.assertLess(used, budget * self.excess)
            self.assertGreater(used, budget / 3)
        pids = [self.task_now(name)["pid"] for name in names]
        for name in names:
            self.assertEqual(self.coregov("cancel", name)[0], 0)
        for task in self.tasks:
            self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)
        self.until(lambda: not self.tasks_now())
        self.daemon.send_signal(signal.SIGINT)
        self.assertEqual(self.daemon.wait(PATIENCE), 0, self.log.read_text())
        self.assertEqual(groups(self.daemon.pid), [])
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"))

    def shares(self):
        return sum(task["share_cpus"] for task in self.tasks_now().values())

    def used(self):
        return sum(task["cpu_seconds"] for task in self.tasks_now().values())


class ForegroundBySignals(Foreground):
    enforcer = "signal"
    excess = 1.5  # stopping and continuing is coarse


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
        self.assertEqual(self.coregovd("--check-config", text="[policy core]\nunseen-part = 1\n"),
                         (0, ""))
        status, err = self.coregovd("--check-config", text="[policy core]\nunseen-part = 2\n")
        self.assertEqual(status, 65)
        self.assertIn("coregov.conf:2: unseen-part: '2' is outside the range", err)
        status, err = self.coregovd("--check-config", text="[policy core]\nunsen-part = 2\n")
        self.assertEqual(status, 0)
        self.assertIn("coregov.conf:2: unknown key 'unsen-part' in [policy core]; did you mean "
                      "'unseen-part'?", err)

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

    def statuses(self, heard, seconds):
        """Each STATUS that comes in so many seconds. Beside a task and without one the watchdog hears that all is
        well, twice in its time at most."""
        lines, begun = [], time.monotonic()
        while time.monotonic() < begun + seconds:
            lines += heard.recv(4096).decode().splitlines()
        n_most = (time.monotonic() - begun) / (WATCHDOG_SECONDS / 2) + 1
        self.assertGreaterEqual(lines.count("WATCHDOG=1"), 3)
        self.assertLessEqual(lines.count("WATCHDOG=1"), n_most)
        return [line[len("STATUS="):] for line in lines if line.startswith("STATUS=")]

    def test_notifies(self):
        """As systemd has it: a socket that is told when tasks may come."""
        path = str(self.folder / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(path)
            heard.settimeout(PATIENCE)
            daemon = subprocess.Popen([COREGOVD, "--user", "--budget", BUDGET],
                                      env={**self.env, "NOTIFY_SOCKET": path,
                                           "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))},
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
