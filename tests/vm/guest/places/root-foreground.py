#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd --foreground in a container without systemd: a tree of cgroup v2 of its own, processes of its own, a /run
with nothing in it but a bus. deadline: 120 s

This script is the container's first program, too: `root-foreground.py inside` does what is done in there."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

import inside
import tap

BUDGET = 0.5
SPIN = ["sh", "-c", "while :; do :; done"]
WINDOW_SECONDS = 3
# Groups that no manager knows of, which were given the cpu controller: one for what the container is made of, as
# runtimes have it, and the container's.
MAKE = ("d=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); mkdir $d/outer $d/inner && echo $$ >$d/outer/cgroup.procs && "
        "echo +cpu >$d/cgroup.subtree_control && export d && exec \"$@\"")
ENTER = "echo 0 >$d/inner/cgroup.procs && exec unshare --cgroup \"$@\""
SET_UP = ("umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && mount -t tmpfs tmpfs /run && "
          "mkdir -p /run/dbus /run/coregov/coregov.conf.d && \"$@\"")
CONTAINER = ["systemd-run", "--quiet", "--scope", "--property=Delegate=yes", "sh", "-c", MAKE, "sh",
             "unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc",
             "sh", "-c", ENTER, "sh", "sh", "-c", SET_UP, "sh"]
AS_USER = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups", "env", "HOME=/"]


class Inside(unittest.TestCase):
    """What is asked in the container."""

    def setUp(self):
        self.tasks = {}
        pathlib.Path("/run/coregov/coregov.conf.d/10-test.conf").write_text(
            f"[governor]\nbudget = {BUDGET}cpu\nslot = 200ms\nmeter = cgroup\n", encoding="ascii")
        self.bus = subprocess.Popen(["dbus-daemon", "--system", "--nofork", "--nopidfile", "--print-address"],
                                    stdout=subprocess.PIPE)
        self.addCleanup(self.end_bus)
        self.bus.stdout.readline()
        self.start_governor()

    def end_bus(self):
        self.bus.terminate()
        self.bus.communicate()

    def start_governor(self):
        self.governor = subprocess.Popen(["/usr/local/sbin/coregovd", "--foreground"], stdin=subprocess.DEVNULL,
                                         stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end_governor, self.governor)
        self.until(lambda: self.governor.poll() is not None or self.told() is not None)
        if self.governor.poll() is not None:  # it is to stay in the foreground
            self.fail(f"status {self.governor.returncode}: {self.governor.stderr.read()}")

    @staticmethod
    def end_governor(governor):
        if governor.poll() is None:
            governor.kill()
        governor.communicate()

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(inside.LOOK_SECONDS)

    @staticmethod
    def coregov(*words):
        return subprocess.run([inside.COREGOV, *words], text=True, capture_output=True, check=False,
                              timeout=inside.PATIENCE)

    def told(self):
        done = self.coregov("list", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def task(self, name):
        return next((task for task in self.told()["tasks"] if task["name"] == name), {})

    def run_task(self, name, prefix=()):
        self.tasks[name] = subprocess.Popen(
            [*prefix, inside.COREGOV, "run", "--quiet", "--require", "--name", name, "--", *SPIN], cwd="/")
        self.until(lambda: self.task(name).get("share_cpus", 0) > 0)

    @staticmethod
    def group():
        """That with the budget."""
        (found,) = inside.CGROUP.glob("coregovd-*")
        return found

    def shares(self):
        """By what the kernel was told, in CPUs."""
        return {path.name.split("-", 1)[1]: inside.Sample(path).cpus for path in self.group().glob("[0-9]*-*")}

    def assert_kept(self, budget):
        """The kernel was told so, and by its own count nothing more was used."""
        before, sums = inside.Sample(self.group()), []
        end = time.monotonic() + WINDOW_SECONDS
        while time.monotonic() < end:
            shares = self.shares()
            self.assertEqual(shares.keys(), self.tasks.keys())
            sums.append(sum(shares.values()))
            time.sleep(0.1)
        after = inside.Sample(self.group())
        self.assertEqual((before.cpus, after.cpus), (budget, budget))
        # While one is written, and the other not yet, it is below.
        self.assertLessEqual(max(sums), budget * 1.001)
        used = (after.used_seconds - before.used_seconds) / (after.seconds - before.seconds)
        print(f"# {used:.3f} CPUs used of {budget}, shares {self.shares()}")
        self.assertLess(used, budget * inside.EXCESS["cgroup2"])
        self.assertGreater(used, budget / 2)
        self.assertGreater(after.n_throttled, before.n_throttled)

    def test_it_governs(self):
        self.assertFalse(os.path.exists("/run/systemd"))
        governor = self.told()["governor"]
        self.assertEqual((governor["enforcer"], governor["guarantee"]), ("cgroup2", "kernel"))
        self.run_task("ours")
        self.run_task("theirs", AS_USER)
        self.assertTrue(self.group().name.startswith(f"coregovd-{self.governor.pid}-"))
        for name in self.tasks:
            group = inside.read(f"/proc/{self.task(name)['pid']}/cgroup")
            self.assertRegex(group, rf"^0::/{self.group().name}/\d-{name}$")
        self.assert_kept(BUDGET)
        self.assertEqual(self.coregov("budget", "0.3cpu").returncode, 0)
        self.until(lambda: sum(self.shares().values()) <= 0.301)
        self.assert_kept(0.3)
        # A user changes their own only.
        done = subprocess.run([*AS_USER, inside.COREGOV, "cancel", "ours"], capture_output=True, check=False)
        self.assertEqual(done.returncode, 77, done.stderr)
        # The doctor knows it.
        checks = {check["name"]: check
                  for check in json.loads(self.coregov("doctor", "--json").stdout)["checks"]}
        self.assertEqual(checks["governor"]["found"], f"0.3 CPUs for 2 tasks, as '/{self.group().name}' has it")
        self.assertTrue(checks["threads"]["found"].startswith("2 processes of tasks"), checks["threads"])
        self.assertEqual(self.coregov("budget", f"{BUDGET}cpu").returncode, 0)  # it outlasts a restart
        self.end_tasks()
        self.governor.send_signal(signal.SIGINT)  # as Ctrl-C does
        said = self.governor.communicate(timeout=inside.PATIENCE)[1]
        self.assertEqual(self.governor.returncode, 0, said)
        self.assertEqual(self.groups(), [])
        self.assertEqual(self.left(), [])

    def test_killed_and_started_again(self):
        """The next one goes on with its tasks."""
        self.run_task("ours")
        before, group = self.task("ours"), self.group()
        self.governor.kill()
        self.governor.wait()
        self.start_governor()
        after = self.task("ours")
        self.assertEqual([after.get(key) for key in ("number", "pid")], [before[key] for key in ("number", "pid")])
        self.assertEqual(self.group(), group)
        self.assert_kept(BUDGET)
        self.end_tasks()
        self.governor.terminate()
        said = self.governor.communicate(timeout=inside.PATIENCE)[1]
        self.assertEqual(self.governor.returncode, 0, said)
        self.assertIn("task ours: adopted", said)
        # What was killed has left where it had moved everybody, and the next one has not made it.
        self.assertEqual(self.groups(), ["coregov-leaf"])
        self.assertEqual(self.left(), [])

    def end_tasks(self):
        for name, task in self.tasks.items():
            self.assertEqual(self.coregov("cancel", name).returncode, 0)
            self.assertEqual(task.wait(inside.PATIENCE), 128 + signal.SIGTERM)
        self.until(lambda: not self.told()["tasks"])

    @staticmethod
    def groups():
        return [path.name for path in inside.CGROUP.iterdir() if path.is_dir()]

    @staticmethod
    def left():
        """Processes of ours that are still there."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):
                if path.read_text(encoding="ascii").startswith("coregov"):
                    found.append(path.parent.name)
        return found


class Container(inside.Case):
    def test_a_container(self):
        done = subprocess.run([*CONTAINER, sys.executable, __file__, "inside"], capture_output=True, text=True,
                              check=False, timeout=2 * inside.PATIENCE)
        for line in (done.stdout + done.stderr).splitlines():
            print("#", line.lstrip("# "))
        self.assertEqual(done.returncode, 0)
        self.assertIn("1..2", done.stdout.splitlines())
        self.assert_nothing_left()


if __name__ == "__main__":
    if "inside" in sys.argv:
        del Container
    else:
        del Inside
    del sys.argv[1:]
    tap.main()
