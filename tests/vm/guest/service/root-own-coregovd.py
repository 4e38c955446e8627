#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A coregovd of a user's own, as a service of their manager. deadline: 120 s"""

import json
import os
import pathlib
import subprocess
import time

import inside
import tap

HOME = pathlib.Path("/home/tester")
CONF = HOME / ".config/coregov/coregov.conf"
# Where the user's manager and bus can be reached.
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "env", f"HOME={HOME}",
           "XDG_RUNTIME_DIR=/run/user/1000",
           "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus"]
SPIN = ["sh", "-c", "while :; do :; done"]
BUDGET = 0.4


def as_user(*words):
    return subprocess.run([*AS_USER, *words], text=True, capture_output=True, check=False,
                          timeout=inside.PATIENCE)


def group_of(pid):
    return inside.read(f"/proc/{pid}/cgroup").strip()[3:]


class Own(inside.Case):
    def setUp(self):
        for folder in (HOME / ".config", CONF.parent):
            folder.mkdir(exist_ok=True)
        CONF.write_text(f"[governor]\nbudget = {BUDGET}cpu\nslot = 200ms\n")
        subprocess.run(["loginctl", "enable-linger", "tester"], check=True)
        self.addCleanup(subprocess.run, ["loginctl", "disable-linger", "tester"], check=True)
        self.until(lambda: os.path.exists("/run/user/1000/bus"))
        self.task = None
        self.addCleanup(self.end)
        done = as_user("systemctl", "--user", "start", "coregovd")
        self.assertEqual(done.returncode, 0, done.stderr + self.journal())

    def end(self):
        as_user(inside.COREGOV, "cancel", "spin")
        if self.task:
            self.task.terminate()
            self.task.communicate(timeout=inside.PATIENCE)
        as_user("systemctl", "--user", "stop", "coregovd")

    @staticmethod
    def journal():
        return subprocess.run(["journalctl", "--no-pager", "-o", "cat", "_COMM=coregovd"],
                              text=True, capture_output=True, check=False).stdout

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, self.journal())
            time.sleep(inside.LOOK_SECONDS)

    def told(self):
        done = as_user(inside.COREGOV, "list", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {"tasks": [], "governor": {}}

    def spin(self):
        return next((task for task in self.told()["tasks"] if task["name"] == "spin"), None)

    def main_pid(self):
        return as_user("systemctl", "--user", "show", "-P", "MainPID", "coregovd").stdout.strip()

    def test_from_a_login_session(self):
        self.task = subprocess.Popen(
            [*inside.LOGIN, inside.COREGOV, "run", "--require", "--name", "spin", "--", *SPIN],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.until(lambda: self.spin() or self.task.poll() is not None)
        self.assertIsNone(self.task.poll(), self.task.stderr.read() if self.task.poll() else "")
        governor, spin = self.told()["governor"], self.spin()
        self.assertEqual((governor["enforcer"], governor["guarantee"]), ("cgroup2", "cooperative"))
        group = inside.CGROUP / group_of(spin["pid"]).lstrip("/")
        self.assertIn("/user@1000.service/", str(group))
        budget = group.parent.parent
        self.assertEqual(budget.name, "coregov.slice")
        before, began = inside.Sample(budget), time.monotonic()
        self.assertEqual(before.cpus, BUDGET)
        time.sleep(3)
        used = inside.Sample(budget).used_seconds - before.used_seconds
        self.assertLess(used / (time.monotonic() - began), BUDGET * 1.05)
        self.assertGreater(used, 0.3)
        self.assert_mended(budget)
        # And the next one goes on with it.
        for way in (["restart", "coregovd"], ["kill", "-s", "KILL", "coregovd"]):
            pid = self.main_pid()
            self.assertEqual(as_user("systemctl", "--user", *way).returncode, 0)
            self.until(lambda pid=pid: self.main_pid() not in ("0", pid) and self.spin())
            after = self.spin()
            self.assertEqual((after["number"], after["pid"]), (spin["number"], spin["pid"]))
            self.assertEqual(group_of(spin["pid"]), "/" + str(group.relative_to(inside.CGROUP)))
            self.assertEqual(inside.Sample(budget).cpus, BUDGET)
        self.assertIn("task spin: adopted", self.journal())

    def governor_of_doctor(self):
        done = as_user(inside.COREGOV, "doctor", "--json")
        return next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "governor")

    def assert_mended(self, budget):
        """Somebody else sets the budget; the doctor sees it, as that user, and its command mends it."""
        group = budget.relative_to(inside.CGROUP)
        self.assertEqual(self.governor_of_doctor()["found"], f"{BUDGET} CPUs for 1 tasks, as '/{group}' has it")
        as_user("systemctl", "--user", "set-property", "--runtime", "coregov.slice", "CPUQuota=20%")
        self.until(lambda: inside.Sample(budget).cpus == 0.2)
        check = self.governor_of_doctor()
        self.assertEqual(check["state"], "degraded", check)
        self.assertIn(f"'/{group}' has 0.2 CPUs, and the budget is {BUDGET} CPUs", check["found"])
        self.assertEqual(check["remedy"], f"coregov budget --user {BUDGET}cpu")
        done = as_user("sh", "-c", check["remedy"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.governor_of_doctor()["state"], "ok")
        self.assertEqual(inside.Sample(budget).cpus, BUDGET)


tap.main()
