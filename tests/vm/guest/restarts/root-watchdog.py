#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A coregovd that stands still under systemd: it is started again, and its tasks have gone on within the
budget. deadline: 180 s"""

import json
import pathlib
import subprocess
import time

import inside
import tap

BUDGET = 0.4
CONF = pathlib.Path("/etc/coregov/coregov.conf")
DROP_IN = pathlib.Path("/run/systemd/system/coregovd.service.d/50-test.conf")
WATCHDOG_SECONDS = 4
SPIN = ["sh", "-c", "while :; do :; done"]
KEPT = ("number", "pid", "owner_uid", "began_unix_seconds")
WINDOW_SECONDS = 2


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=False)


def shown(name):
    return systemctl("show", "-P", name, "coregovd").stdout.strip()


class Watchdog(inside.Case):
    def setUp(self):
        self.tasks = {}
        CONF.parent.mkdir(exist_ok=True)
        CONF.write_text(f"[governor]\nbudget = {BUDGET}cpu\nslot = 200ms\nmeter = cgroup\n")
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        # It is ended by SIGABRT, which would leave a core.
        DROP_IN.write_text(f"[Service]\nWatchdogSec={WATCHDOG_SECONDS}s\n"
                           f"TimeoutAbortSec={WATCHDOG_SECONDS}s\nLimitCORE=0\n")
        systemctl("daemon-reload")
        self.began = time.time()
        self.addCleanup(self.end)
        done = systemctl("start", "coregovd")
        self.assertEqual(done.returncode, 0, done.stderr + self.journal())

    def end(self):
        subprocess.run([inside.COREGOV, "cancel", *self.tasks], capture_output=True, check=False)
        for task in self.tasks.values():
            task.terminate()
            task.wait(inside.PATIENCE)
        systemctl("stop", "coregovd")
        DROP_IN.unlink()
        systemctl("daemon-reload")

    def journal(self):
        return subprocess.run(["journalctl", "-u", "coregovd", "-o", "cat", "--no-pager",
                               f"--since=@{int(self.began)}"], text=True, capture_output=True,
                              check=False).stdout

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, self.journal())
            time.sleep(inside.LOOK_SECONDS)

    @staticmethod
    def now():
        done = subprocess.run([inside.COREGOV, "list", "--json"], text=True, capture_output=True,
                              timeout=inside.PATIENCE, check=False)
        return {task["name"]: task for task in json.loads(done.stdout)["tasks"]} \
            if done.returncode == 0 else {}

    def start_tasks(self):
        for name in ("one", "two"):
            self.tasks[name] = subprocess.Popen(
                [inside.COREGOV, "run", "--quiet", "--require", "--name", name, "--", *SPIN],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.until(lambda: len([task for task in self.now().values() if task["share_cpus"] > 0]) == 2)

    def test_it_stands_still(self):
        self.start_tasks()
        before, pid, n_restarts = self.now(), shown("MainPID"), int(shown("NRestarts"))
        samples = [inside.Sample(inside.SLICE)]
        subprocess.run(["kill", "-STOP", pid], check=True)
        while int(shown("NRestarts")) == n_restarts or shown("ActiveState") != "active":
            samples.append(inside.Sample(inside.SLICE))
            self.assertLess(samples[-1].seconds, samples[0].seconds + inside.PATIENCE,
                            self.journal())
            time.sleep(inside.LOOK_SECONDS)
        self.assertIn(f"Watchdog timeout (limit {WATCHDOG_SECONDS}s)!", self.journal())
        self.until(lambda: len(self.now()) == 2)
        after = self.now()
        self.assertNotEqual(shown("MainPID"), pid)
        for name, task in before.items():
            self.assertEqual({key: after[name][key] for key in KEPT},
                             {key: task[key] for key in KEPT})
            self.assertIsNone(self.tasks[name].poll())
            self.assertIn(f"task {name}: adopted", self.journal())
        # Under the one that stood still, and under the next one.
        time.sleep(WINDOW_SECONDS)
        samples.append(inside.Sample(inside.SLICE))
        self.assertEqual({sample.cpus for sample in samples}, {BUDGET})
        used = ((samples[-1].used_seconds - samples[0].used_seconds)
                / (samples[-1].seconds - samples[0].seconds))
        print(f"# {len(samples)} samples, {used:.3f} CPUs used of {BUDGET}")
        self.assertLess(used, BUDGET * inside.EXCESS["cgroup2"])
        self.assertGreater(used, BUDGET / 2)

    def test_it_lives(self):
        """With tasks and without: it is well, and nobody starts it again."""
        before = shown("MainPID"), shown("NRestarts")
        time.sleep(2 * WATCHDOG_SECONDS)
        self.start_tasks()
        time.sleep(2 * WATCHDOG_SECONDS)
        self.assertEqual((shown("MainPID"), shown("NRestarts")), before, self.journal())


tap.main()
