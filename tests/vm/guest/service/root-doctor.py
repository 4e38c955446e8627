#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of a coregovd under systemd and of its tasks, and that its commands mend it.
deadline: 120 s"""

import os
import pathlib
import subprocess
import time

import inside
import tap

CONF = pathlib.Path("/etc/coregov/coregov.conf")
BUDGET = 0.5
THREADS = """
import threading
for _ in range(5):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
threading.Event().wait()
"""
AS_USER = ("setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "env", "-C", "/")


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=True).stdout


class Doctor(inside.Case):
    def setUp(self):
        self.tasks = {}
        CONF.parent.mkdir(exist_ok=True)
        CONF.write_text(f"[governor]\nbudget = {BUDGET}cpu\nslot = 200ms\nmeter = cgroup\n")
        systemctl("daemon-reload")
        subprocess.run(["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                        "org.freedesktop.DBus", "ReloadConfig"], check=True, capture_output=True)
        systemctl("restart", "coregovd")
        self.addCleanup(systemctl, "stop", "coregovd")
        self.addCleanup(self.end_tasks)

    def end_tasks(self):
        subprocess.run([inside.COREGOV, "cancel", *self.tasks], capture_output=True, check=False)
        for task in self.tasks.values():
            task.wait(inside.PATIENCE)

    def start(self, name, *words, prefix=(), variables=("OMP_WAIT_POLICY=ACTIVE",)):
        self.tasks[name] = subprocess.Popen(
            ["env", *variables, *prefix, inside.COREGOV, "run", "--quiet", "--require", "--name", name,
             *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.until(lambda: self.scope(name))

    @staticmethod
    def scope(name):
        """Of that task, once it is in its group."""
        found = [path.parent.parent.name for path in inside.SLICE.glob(
            f"coregov-{name}-*.scope/*-{name}/cgroup.procs") if inside.read(path)]
        return found[0] if found else None

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(inside.LOOK_SECONDS)

    def mended(self, name):
        """What is said after the command that was to mend it."""
        remedy = self.doctor()[name]["remedy"]
        print(f"# {name}: {remedy}")
        done = subprocess.run(["sh", "-c", remedy], text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.doctor()[name]

    def test_threads(self):
        """Of a task of root's, and of a user's, for root and for them."""
        for name, prefix in (("ours", ()), ("theirs", AS_USER)):
            self.start(name, "--", "python3", "-c", THREADS, prefix=prefix)
            self.until(lambda name=name, prefix=prefix: f"task {name} of coregov.slice: process " in
                       self.doctor(prefix=prefix)["threads"]["found"])
            checks = self.doctor(prefix=prefix)
            self.assert_found(checks, "threads", "degraded", "has 6 threads for 0.",
                              "env OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 coregov run --threads 1 -- ")
            self.assertEqual(subprocess.run([inside.COREGOV, "cancel", name], check=False).returncode, 0)
            self.until(lambda name=name: not self.scope(name))
        # As the command says.
        self.start("calm", "--threads", "1", "--", "python3", "-c", THREADS,
                   variables=("OMP_WAIT_POLICY=PASSIVE", "OMP_NUM_THREADS=1"))
        self.assert_found(self.doctor(), "threads", "ok", "processes of tasks, none with threads")

    def test_a_budget_that_somebody_else_sets(self):
        self.start("calm", "--", "sleep", "1000")
        self.until(lambda: self.doctor()["governor"]["found"]
                   == f"{BUDGET} CPUs for 1 tasks, as '/coregov.slice' has it")
        systemctl("set-property", "--runtime", "coregov.slice", "CPUQuota=30%")
        self.until(lambda: inside.Sample(inside.SLICE).cpus == 0.3)
        self.assert_found(self.doctor(), "governor", "degraded",
                          "'/coregov.slice' has 0.3 CPUs, and the budget is 0.5 CPUs: somebody else has set "
                          "CPUQuota= of coregov.slice", f"coregov budget --system {BUDGET}cpu")
        self.assert_found(self.doctor(prefix=AS_USER), "governor", "degraded", "0.3 CPUs", "sudo coregov budget")
        self.assertEqual(self.mended("governor")["state"], "ok")
        self.assertEqual(inside.Sample(inside.SLICE).cpus, BUDGET)

    def test_a_scope_that_somebody_else_limits(self):
        self.start("calm", "--", "sleep", "1000")
        scope = self.scope("calm")
        systemctl("set-property", "--runtime", scope, "CPUQuota=10%")
        self.until(lambda: inside.Sample(inside.SLICE / scope).cpus == 0.1)
        self.assert_found(self.doctor(), "governor", "degraded", "task calm: somebody else has set CPUQuota= of its "
                          "scope, to 0.1 CPUs", f"systemctl set-property --runtime '{scope}' CPUQuota=")
        self.assertEqual(self.mended("governor")["state"], "ok")
        self.assertIsNone(inside.Sample(inside.SLICE / scope).cpus)

    def test_a_governor_that_stands_still(self):
        self.start("calm", "--", "sleep", "1000")
        os.kill(int(systemctl("show", "-P", "MainPID", "coregovd")), 19)
        self.assert_found(self.doctor(), "governor", "broken", "does not answer", "systemctl restart coregovd")
        check = self.mended("governor")
        self.assertEqual((check["state"], check["found"][:23]), ("ok", f"{BUDGET} CPUs for 1 tasks, a"[:23]))
        self.assertIsNone(self.tasks["calm"].poll())


tap.main()
