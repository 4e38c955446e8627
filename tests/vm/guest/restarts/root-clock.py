#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A clock that is set under tasks that run, a machine that sleeps, and a daemon that has all of it.
deadline: 120 s"""

import json
import pathlib
import subprocess
import time

import inside
import tap

CONF = pathlib.Path("/etc/coregov/coregov.conf")
DROP_IN = pathlib.Path("/run/systemd/system/coregovd.service.d/50-clock.conf")
DAY = 24 * 3600
SLEEP_SECONDS = 8
SPIN = ["sh", "-c", "while :; do :; done"]


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=False)


def main_pid():
    return int(systemctl("show", "-P", "MainPID", "coregovd").stdout)


def is_another(pid):
    return main_pid() not in (0, pid) and \
        systemctl("is-active", "coregovd").stdout.strip() == "active"


def sleep_machine(seconds):
    """Suspends to memory; the clock that runs on wakes it."""
    alarm = pathlib.Path("/sys/class/rtc/rtc0/wakealarm")
    alarm.write_text("0", encoding="ascii")
    alarm.write_text(f"+{seconds}", encoding="ascii")
    pathlib.Path("/sys/power/state").write_text("mem", encoding="ascii")


def turn_clock(seconds):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


class Governed(inside.Case):
    budget = "0.4cpu"  # what is left is for the governor

    def setUp(self):
        CONF.parent.mkdir(exist_ok=True)
        # The other meter takes a second to be loaded here.
        CONF.write_text(f"[governor]\nbudget = {self.budget}\nslot = 200ms\nmeter = cgroup\n")
        DROP_IN.parent.mkdir(parents=True, exist_ok=True)
        DROP_IN.write_text("[Service]\nRestartSec=100ms\nWatchdogSec=0\n")
        self.addCleanup(DROP_IN.unlink)
        systemctl("daemon-reload")
        self.tasks = []
        self.addCleanup(systemctl, "stop", "coregovd")
        self.addCleanup(self.end_tasks)
        self.assertEqual(systemctl("start", "coregovd").returncode, 0)

    def end_tasks(self):
        for task in self.tasks:
            task.terminate()
            task.wait(inside.PATIENCE)

    def until(self, condition, what):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(inside.LOOK_SECONDS)

    def show(self, name):
        done = subprocess.run([inside.COREGOV, "show", name, "--json"], text=True,
                              capture_output=True, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def start(self, name, *words):
        self.tasks.append(subprocess.Popen(
            [inside.COREGOV, "run", "--quiet", "--name", name, "--target", "loss <= 0.1", *words,
             "--", *SPIN], stdin=subprocess.DEVNULL))
        self.until(lambda: self.show(name), name)


class Clock(Governed):
    def test_clock_jump(self):
        """A time of day is when the clock says so, a span is not moved; nobody is confused by either."""
        pid = main_pid()
        soon = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + 7200))
        self.start("at", "--deadline", soon)
        self.start("span", "--deadline", "30min")
        turn_clock(DAY)
        self.addCleanup(turn_clock, -DAY)
        self.until(lambda: self.show("at").get("outcome") == "missed-deadline", "missed")
        time.sleep(1)
        self.assertIsNone(self.show("span")["outcome"])
        self.assertEqual(main_pid(), pid)
        # Killed while its deadline is before its begin, by the clock.
        systemctl("kill", "-s", "KILL", "coregovd")
        self.until(lambda: is_another(pid), "restarted")
        pid = main_pid()
        self.until(lambda: self.show("at").get("outcome") == "missed-deadline", "taken over")
        self.until(lambda: self.show("span").get("share_cpus", 0) > 0, "governed on")
        time.sleep(1)
        self.assertEqual(main_pid(), pid)


    def test_suspend(self):
        """Who sleeps misses a deadline that comes meanwhile; the others go on, under the same budget."""
        self.start("long", "--deadline", "30min")
        began = time.monotonic()  # which stands still meanwhile
        self.start("short", "--deadline", f"{SLEEP_SECONDS}s")
        pid, before = main_pid(), self.show("long")
        budget = inside.SLICE
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        sleep_machine(SLEEP_SECONDS)
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic() - slept
        self.assertGreater(slept, SLEEP_SECONDS / 2)
        self.until(lambda: self.show("short")["outcome"] == "missed-deadline", "missed")
        awake = time.monotonic() - began
        self.assertLess(awake, SLEEP_SECONDS)
        print(f"# slept for {slept:.1f} s, and was awake for {awake:.1f} s when it was missed")
        first = inside.Sample(budget)
        time.sleep(3)
        last, after = inside.Sample(budget), self.show("long")
        self.assertEqual((first.cpus, last.cpus), (0.4, 0.4))
        self.assertLess(last.used_seconds - first.used_seconds,
                        0.4 * 1.03 * (last.seconds - first.seconds))
        self.assertIsNone(after["outcome"])
        self.assertGreater(after["share_cpus"], 0)
        # Nothing was used while nothing ran.
        used = after["cpu_seconds"] - before["cpu_seconds"]
        self.assertGreater(used, 0.2)
        self.assertLess(used, 0.4 * (time.monotonic() - began))
        self.assertEqual(main_pid(), pid)


class Whole(Governed):
    budget = "100%"

    def test_idle_restart(self):
        """systemd keeps what it has claimed: it is no other's."""
        for way in (["restart", "coregovd"], ["kill", "-s", "KILL", "coregovd"],
                    ["kill", "-s", "KILL", "coregovd"]):
            before = main_pid()
            self.assertEqual(systemctl(*way).returncode, 0)
            self.until(lambda before=before: is_another(before), way)
            done = subprocess.run([inside.COREGOV, "budget", "--json"], text=True,
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            told = json.loads(done.stdout)
            self.assertEqual(told["budget_cpus"], told["capacity_cpus"])


if __name__ == "__main__":
    tap.main()
