# SPDX-License-Identifier: GPL-2.0-or-later
"""A bundle that is submitted to coregovd, while coregovd is killed again and again: what became of it."""

import contextlib
import json
import pathlib
import random
import subprocess
import tempfile
import threading
import time

import inside

CONF = pathlib.Path("/etc/coregov/coregov.conf")
BUDGET = 0.4  # what a governor needs that is started every two seconds is taken from no task then
PERIOD_SECONDS = 0.1  # of the budget's group
WINDOW_SECONDS = 10
SAMPLE_SECONDS = 0.2
ROWS = 400
UP_MOST_SECONDS = 1.5  # from when it is up to when it is killed
IN_START_PART = 0.2  # of the kills come while it starts
# What each needs, by what all but the last two do. Those cannot make it, and run for the whole time.
NEEDS = {"a": 1, "b": 1.5, "c": 2, "d": 2.5, "e": 3, "f": 3.5, "never": 200, "nor-this": 300}
IMPOSSIBLE = ("never", "nor-this")
LEARNED = {name: "missed-deadline" if name in IMPOSSIBLE else "learned" for name in NEEDS}


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=False).stdout


def main_pid():
    """0: none."""
    try:
        return int(inside.read(inside.CGROUP / "system.slice/coregovd.service/cgroup.procs") or 0)
    except (OSError, ValueError):
        return 0


def is_up():
    return systemctl("is-active", "coregovd") == "active\n"


def start_governor():
    CONF.parent.mkdir(exist_ok=True)
    # The other meter takes a second to be loaded here.
    CONF.write_text(f"[governor]\nbudget = {BUDGET}cpu\nslot = 500ms\nmeter = cgroup\n")
    systemctl("daemon-reload")
    subprocess.run(["systemctl", "restart", "coregovd"], check=True)


def make_bundle(folder, seconds, load):
    """Loss falls from 1, ever more slowly, and is 0.5 when a task has used what it needs.
    load: what those that can make it need, of all there is."""
    text, whole = "[bundle]\nbudget = 100%\n", sum(
        need for name, need in NEEDS.items() if name not in IMPOSSIBLE)
    for name, need in NEEDS.items():
        curve, need_seconds = folder / f"{name}.csv", need / whole * load * BUDGET * seconds
        curve.write_text("cpu_seconds,loss\n" + "".join(
            f"{need_seconds * row / 100:.6f},{0.5 ** ((row / 100) ** 0.7):.6f}\n"
            for row in range(1, ROWS + 1)))
        text += (f"[task {name}]\ncommand = coregov-replay {curve}\ndeadline = {seconds}s\n"
                 "target = loss <= 0.5\non-target = stop\non-deadline = stop\ngrace = 5s\n")
    path = folder / "kills.bundle"
    path.write_text(text)
    return path


class Sampler(threading.Thread):
    """(time, CPU seconds) of the group around all tasks."""

    def __init__(self):
        super().__init__(daemon=True)
        self.samples, self.limits, self.is_over = [], set(), False

    def run(self):
        while not self.is_over:
            with contextlib.suppress(OSError):
                sample = inside.Sample(inside.SLICE)
                self.samples.append((sample.seconds, sample.used_seconds))
                self.limits.add(sample.cpus)
            time.sleep(SAMPLE_SECONDS)

    def most_cpus(self):
        """Over any window, as if it held one period less: where that begins nobody knows."""
        most, first = 0, 0
        for last, (end, used) in enumerate(self.samples):
            while first < last and end - self.samples[first + 1][0] >= WINDOW_SECONDS:
                first += 1
            begin, before = self.samples[first]
            if end - begin >= WINDOW_SECONDS:
                most = max(most, (used - before - BUDGET * PERIOD_SECONDS) / (end - begin))
        return most


class Outcome:
    def __init__(self, n_kills, seconds, load):
        """n_kills 0: as it would be."""
        start_governor()
        self.sampler, self.n_killed, self.killed_seconds = Sampler(), 0, 0.0
        with tempfile.TemporaryDirectory() as folder:
            path = make_bundle(pathlib.Path(folder), seconds, load)
            process = subprocess.Popen(
                [inside.COREGOV, "bundle", "--submit", "--json", path], text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.sampler.start()
            reader = threading.Thread(target=self._read, args=(process,))
            reader.start()
            self._kill(process, n_kills)
            reader.join()
        self.sampler.is_over = True
        self.sampler.join()
        self.status = process.returncode
        self.result = json.loads(self.out) if self.out.strip() else {"results": [], "kappa": None}
        self.outcomes = {task["name"]: task["outcome"] for task in self.result["results"]}
        self.reports = {task["name"]: task["reports"] for task in self.result["results"]}

    def _read(self, process):
        self.out, self.said = process.communicate()

    def _kill(self, process, n_kills):
        """Also while it starts."""
        chance = random.Random(1)
        # When all are there: a submission that is under way is another matter.
        end = time.monotonic() + inside.PATIENCE
        while len(self.tasks()) < len(NEEDS) and time.monotonic() < end:
            time.sleep(0.5)
        began, pid = time.monotonic(), main_pid()
        while self.n_killed < n_kills and process.poll() is None:
            subprocess.run(["kill", "-9", str(pid)], check=False)
            self.n_killed += 1
            is_in_start = chance.random() < IN_START_PART
            before, pid = pid, 0
            while process.poll() is None and (pid in (0, before) or not (is_in_start or is_up())):
                time.sleep(0.1)
                pid = main_pid()
            time.sleep(chance.random() * (0.5 if is_in_start else UP_MOST_SECONDS))
        self.killed_seconds = time.monotonic() - began

    @staticmethod
    def tasks():
        """Also those that have ended: the first may have learned when the last is there."""
        done = subprocess.run([inside.COREGOV, "list", "--all", "--json"], text=True, capture_output=True,
                              check=False)
        return json.loads(done.stdout)["tasks"] if done.returncode == 0 else []
