#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd under systemd: the tasks that run go on under the next one, however the last one ended.
deadline: 240 s"""

import json
import os
import pathlib
import re
import subprocess
import time

import inside
import tap

CONF = pathlib.Path("/etc/coregov/coregov.conf")
CONFIGURATION = "[governor]\nbudget = 0.8cpu\nslot = 200ms\npolicy = equal\n"
DROP_IN = pathlib.Path("/run/systemd/system/coregovd.service.d/50-test.conf")
GO = pathlib.Path("/run/coregov-test-go")
SPIN = ["sh", "-c", "while :; do :; done"]
TESTER = 1000
N_REPORTS = 200
# Through the page itself, and by its output. Nothing of either may be lost or counted twice.
REPORTS = f"""
import coregov, time
for step in range({N_REPORTS}):
    coregov.report(step=step, loss=1 - step / 1000)
    time.sleep(0.08)
"""
PRINTS = f"""
import time
for step in range({N_REPORTS}):
    print(f"step {{step}} loss {{1 - step / 1000:.3f}}", flush=True)
    time.sleep(0.08)
"""
# Says the last of it, and ends, when it is told to: while no governor is there.
ENDS = f"echo step 1 loss 0.9; read go <{GO}; echo step 2 loss 0.4; exit 3"
FORKS = "setsid sleep 120 & exit 0"
KEPT = ("number", "owner_uid", "pid", "command", "threads", "target", "feed", "began_unix_seconds")
# Between what the kernel has counted in a group and what the governor says of it when it stands still.
CPU_DELTA = 0.05


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=False)


def has_ended(pid):
    """Also while nobody has waited for it yet."""
    try:
        return inside.read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def main_pid():
    return int(systemctl("show", "-P", "MainPID", "coregovd").stdout)


class Adoption(inside.Case):
    @classmethod
    def setUpClass(cls):
        CONF.parent.mkdir(exist_ok=True)
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        # Long enough for something to happen meanwhile.
        DROP_IN.write_text("[Service]\nRestartSec=2s\n")
        cls.addClassCleanup(DROP_IN.unlink)
        systemctl("daemon-reload")
        subprocess.run(["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                        "org.freedesktop.DBus", "ReloadConfig"], check=True, capture_output=True)

    def setUp(self):
        self.tasks = {}
        CONF.write_text(CONFIGURATION)
        GO.unlink(missing_ok=True)
        os.mkfifo(GO)
        os.chmod(GO, 0o644)
        self.began = time.time()
        self.addCleanup(systemctl, "stop", "coregovd")
        self.addCleanup(self.end_tasks)
        done = systemctl("start", "coregovd")
        self.assertEqual(done.returncode, 0, done.stderr + self.journal())

    def end_tasks(self):
        self.coregov("cancel", *(name for name, task in self.now().items()
                                 if task["phase"] != "ended"))
        for task in self.tasks.values():
            task.terminate()
            task.wait(inside.PATIENCE)

    def journal(self):
        return subprocess.run(["journalctl", "-u", "coregovd", "-o", "cat", "--no-pager",
                               f"--since=@{int(self.began)}"], text=True, capture_output=True,
                              check=False).stdout

    def coregov(self, *words):
        done = subprocess.run([inside.COREGOV, *words], text=True, capture_output=True,
                              timeout=inside.PATIENCE, check=False)
        return done.returncode, done.stdout

    def now(self):
        status, out = self.coregov("list", "--json", "--all")
        return {task["name"]: task for task in json.loads(out)["tasks"]} if status == 0 else {}

    def task(self, name):
        return self.now().get(name, {})

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail(self.journal())
            time.sleep(inside.LOOK_SECONDS)

    def started(self, name, *words, uid=0, target=()):
        self.tasks[name] = subprocess.Popen(
            [inside.COREGOV, "run", "--quiet", "--require", "--name", name, *target, "--", *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=uid, group=uid,
            extra_groups=[], cwd="/", env={**os.environ, "HOME": "/"})

    def start_all(self):
        """Of two users. Those that take all they get come last."""
        self.started("prints", "python3", "-c", PRINTS, uid=TESTER, target=["-t", "loss <= 0.1"])
        self.started("reports", "python3", "-c", REPORTS, target=["-t", "loss <= 0.1"])
        self.started("forks", "sh", "-c", FORKS, uid=TESTER)
        self.started("ends", "sh", "-c", ENDS, uid=TESTER, target=["-t", "loss <= 0.5"])
        self.started("spin", *SPIN)
        self.started("paused", *SPIN, uid=TESTER)
        self.until(lambda: len(self.now()) == 6)
        self.assertEqual(self.coregov("pause", "paused")[0], 0)
        self.until(lambda: self.tasks["forks"].poll() is not None and all(
            self.task(name)["reports"] >= n for name, n in
            (("prints", 5), ("reports", 5), ("ends", 1))))

    def let_it_end(self, pid):
        with open(GO, "w", encoding="ascii") as file:
            file.write("go\n")
        self.until(lambda: has_ended(pid))
        self.assertIn(systemctl("show", "-P", "SubState", "coregovd").stdout.strip(),
                      ("auto-restart", "dead"))

    def budget(self):
        """The group around all of them."""
        return inside.SLICE

    def used_in(self, name):
        (group,) = self.budget().glob(f"coregov-{name}-*.scope/*-{name}")
        return inside.Sample(group).used_seconds

    def assert_taken_over(self, before, scope, are_pages_there=True):
        after = self.now()
        self.assertEqual(self.budget(), scope)
        self.assertEqual(inside.Sample(scope).cpus, 0.8)
        for name in before.keys() - {"ends"}:
            for key in KEPT if are_pages_there else (*KEPT[:5], "began_unix_seconds"):
                self.assertEqual(after[name][key], before[name][key], f"{name} {key}")
            self.assertGreaterEqual(after[name]["cpu_seconds"], before[name]["cpu_seconds"])
        self.assertEqual(after["paused"]["phase"], "paused")
        self.assertEqual(after["forks"]["phase"], "alive")
        self.assertEqual("could not be found" in self.journal(), not are_pages_there)

    def assert_ended_right(self, status=3):
        """What it said while nobody heard it counts, and how it ended."""
        self.assertEqual(self.tasks["ends"].wait(inside.PATIENCE), status)
        self.until(lambda: self.task("ends").get("phase") == "ended")
        ends = self.task("ends")
        self.assertEqual((ends["reports"], ends["outcome"]), (2, "learned"))

    def assert_counted_once(self):
        for name in ("prints", "reports"):
            self.assertEqual(self.tasks[name].wait(inside.PATIENCE), 0)
        self.until(lambda: all(
            self.task(name)["phase"] == "ended" for name in ("prints", "reports")))
        after = self.now()
        self.assertEqual({name: after[name]["reports"] for name in ("prints", "reports")},
                         {"prints": N_REPORTS, "reports": N_REPORTS}, self.journal())
        # No CPU time is lost, and none counts twice.
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        time.sleep(0.6)
        for name in ("spin", "paused"):
            said, used = self.task(name)["cpu_seconds"], self.used_in(name)
            print(f"# {name}: {said:.3f} s said, {used:.3f} s used")
            self.assertAlmostEqual(said, used, delta=CPU_DELTA)

    def test_killed_and_restarted(self):
        self.start_all()
        before, scope, pid = self.now(), self.budget(), main_pid()
        used, began = inside.Sample(scope).used_seconds, time.monotonic()
        self.assertEqual(systemctl("kill", "-s", "KILL", "coregovd").returncode, 0)
        self.let_it_end(before["ends"]["pid"])
        self.until(lambda: self.now() and main_pid() != pid)
        self.assert_taken_over(before, scope)
        self.assert_ended_right()
        before, pid = self.now(), main_pid()
        self.assertEqual(systemctl("restart", "coregovd").returncode, 0)
        self.assertNotEqual(main_pid(), pid)
        self.assert_taken_over(before, scope)
        self.assertEqual(self.coregov("resume", "paused")[0], 0)
        self.until(lambda: self.task("paused")["cpu_seconds"] > before["paused"]["cpu_seconds"])
        self.assertEqual(self.coregov("pause", "paused")[0], 0)
        self.assert_counted_once()
        spent = (inside.Sample(scope).used_seconds - used) / (time.monotonic() - began)
        self.assertLess(spent, 0.8 * 1.03)
        self.started("later", *SPIN)
        self.until(lambda: self.task("later"))
        self.assertGreater(self.task("later")["number"],
                           max(task["number"] for task in before.values()))
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(self.tasks["spin"].wait(inside.PATIENCE), 143)

    def test_stopped_and_started(self):
        """systemd 252 lets go of the pages then."""
        self.start_all()
        before, scope = self.now(), self.budget()
        self.assertEqual(systemctl("stop", "coregovd").returncode, 0)
        self.assertIsNone(self.tasks["spin"].poll())
        self.let_it_end(before["ends"]["pid"])
        self.assertEqual(systemctl("start", "coregovd").returncode, 0, self.journal())
        self.assert_taken_over(before, scope, are_pages_there=False)
        self.until(lambda: self.task("spin")["share_cpus"] > 0)
        self.assertEqual(self.coregov("budget", "0.3cpu")[0], 0)
        self.until(lambda: 0 < self.task("spin")["share_cpus"] <= 0.3)
        print("# " + "\n# ".join(re.findall("task .* could not be .*", self.journal())))
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(self.tasks["spin"].wait(inside.PATIENCE), 143)

    def test_started_without_its_file(self):
        """What runs is found in the slice, and governed."""
        self.started("spin", *SPIN)
        self.until(lambda: self.task("spin").get("share_cpus", 0) > 0)
        pid = self.task("spin")["pid"]
        self.assertEqual(systemctl("stop", "coregovd").returncode, 0)
        for path in pathlib.Path("/run/coregov").iterdir():
            path.unlink()
        self.assertEqual(systemctl("start", "coregovd").returncode, 0, self.journal())
        self.until(lambda: self.task("spin").get("share_cpus", 0) > 0)
        self.assertEqual(self.task("spin")["pid"], pid)
        self.assertIn("nothing is known of it but its group", self.journal())
        self.assertEqual(inside.Sample(self.budget()).cpus, 0.8)
        # Its launcher does not know that it is another task now: nobody says with which status it ends.
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.until(lambda: self.task("spin")["phase"] == "ended")


tap.main()
