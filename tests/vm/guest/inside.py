# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts share: a small real bundle, and what coregov said of it."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

COREGOV = os.environ["COREGOV"]
CGROUP = pathlib.Path("/sys/fs/cgroup")
SLICE = CGROUP / "coregov.slice"  # of the tasks of coregovd
RUN_NAME = re.compile(r"coregov-\d+-\d+$")
PATIENCE = 60
GOING_SECONDS = 10
# What the kernel's accounting may be off by in some seconds. Stopping by signals is coarser, and a VM
# that has to wait for a CPU itself comes late to it: here it is about the choice.
EXCESS = {"cgroup1": 1.03, "cgroup2": 1.03, "signal": 1.5}

SPINNERS = """
[bundle]
budget = {budget}
policy = equal
slot = 200ms
[task one]
command = sh -c "while :; do :; done"
deadline = {seconds}s
target = 0.5
on-deadline = stop
[task two]
command = sh -c "while :; do :; done"
deadline = {seconds}s
target = 0.5
on-deadline = stop
"""


# What starts a command as the plain user in a login session: in a group that is not the user's.
LOGIN = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", "--uid=tester",
         "--property=PAMName=vm", "--working-directory=/home/tester"]

# Between two looks at what a command says: one takes a tenth of a second of the only CPU here.
LOOK_SECONDS = 0.3

# Where the meter is not what is tested: the other one takes a second or two to be loaded here.
FAST_METER = ("--meter", "cgroup")


class Run:
    """A run of two busy loops: once waited for, `status`, `result` (None without one), `said` (standard
    error). `prefix` is what starts it; `look` is called again and again while it lasts."""

    def __init__(self, *options, budget="0.5cpu", seconds=2, prefix=(), look=lambda: None,
                 is_waited_for=True):
        self.folder = tempfile.TemporaryDirectory()
        path = pathlib.Path(self.folder.name, "spin.bundle")
        path.write_text(SPINNERS.format(budget=budget, seconds=seconds), encoding="ascii")
        os.chmod(self.folder.name, 0o755)
        command = [*prefix, COREGOV, "bundle", str(path), "--json", "--verbose", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        if is_waited_for:
            self.wait(look)

    def wait(self, look):
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            look()
            time.sleep(0.1)
        self.process.kill()
        out, self.said = self.process.communicate()
        self.status = self.process.returncode
        self.result = json.loads(out) if out.strip() else None
        self.folder.cleanup()


def runs_beside(prefixes, *options, look=lambda: None):
    """A run behind each prefix, all at once: what they may use together is no more than one may."""
    runs = [Run(*options, budget=f"{0.75 / len(prefixes)}cpu", prefix=prefix, is_waited_for=False)
            for prefix in prefixes]
    for run in runs:
        run.wait(look)
    return runs


def read(path):
    return pathlib.Path(path).read_text(encoding="ascii").strip()


def own_group():
    """Our group in the unified tree, "/..."."""
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def groups_of_runs():
    """What runs have made, leaves too, and the scopes that systemd has made for them."""
    # Not rglob(): groups may go while this looks.
    return [pathlib.Path(folder, name) for folder, names, _ in os.walk(CGROUP)
            for name in names if name.startswith("coregov-")]


class Sample:
    """What the kernel says of the group of the one run there is."""

    def __init__(self, group):
        stat = dict(line.split() for line in read(group / "cpu.stat").splitlines())
        self.seconds = time.monotonic()
        self.used_seconds = int(stat["usage_usec"]) / 1e6
        self.n_throttled = int(stat["nr_throttled"])
        quota, period = read(group / "cpu.max").split()
        self.cpus = None if quota == "max" else int(quota) / int(period)


class Samples(list):
    """Call it to add one, if there is a run."""

    def __call__(self):
        for group in groups_of_runs():
            if not RUN_NAME.match(group.name):
                continue
            with contextlib.suppress(OSError):  # it may be about to go
                sample = Sample(group)
                if sample.used_seconds > 0:
                    self.append(sample)


class Case(unittest.TestCase):
    def doctor(self, prefix=()):
        """{name: check} of `coregov doctor`; it changes nothing, and its status is the worst."""
        before = own_group(), groups_of_runs()
        ended = subprocess.run([*prefix, COREGOV, "doctor", "--json"], capture_output=True,
                               text=True, timeout=PATIENCE, check=False)
        self.assertEqual((own_group(), groups_of_runs()), before)
        report = json.loads(ended.stdout)
        self.assertEqual(report["worst"], ["ok", "degraded", "broken"][ended.returncode])
        return {check["name"]: check for check in report["checks"]}

    def assert_found(self, checks, name, state, found="", remedy=""):
        check = checks[name]
        self.assertEqual(check["state"], state, check)
        self.assertIn(found, check["found"])
        self.assertIn(remedy, check["remedy"] or "")

    def assert_ran(self, run, enforcer):
        """The whole of what was said is in the message of a failure."""
        self.assertEqual(run.status, 0, run.said)
        self.assertIsNotNone(run.result, run.said)
        self.assertEqual(run.result["enforcer"], enforcer, run.said)
        self.assertLessEqual(run.result["used_cpu_seconds"],
                             EXCESS[enforcer] * run.result["budget_cpu_seconds"], run.said)
        self.assertGreater(run.result["used_cpu_seconds"],
                           0.5 * run.result["budget_cpu_seconds"], run.said)

    def assert_kept(self, samples, cpus):
        """The kernel was told the budget, and by its own count nothing more was used."""
        limits = [sample.cpus for sample in samples]
        # In the end it is lifted, around those who have been killed. What they use counts all the same.
        while limits and limits[-1] is None:
            limits.pop()
        self.assertGreater(len(limits), 5)
        first, last = samples[0], samples[-1]
        self.assertEqual(set(limits), {cpus})
        used = (last.used_seconds - first.used_seconds) / (last.seconds - first.seconds)
        self.assertLessEqual(used, EXCESS["cgroup2"] * cpus)
        self.assertGreater(used, 0.5 * cpus)  # what else runs out there takes from the guest
        self.assertGreater(last.n_throttled, first.n_throttled)

    def assert_nothing_left(self):
        """Soon: systemd removes a scope when it hears that it is empty."""
        end = time.monotonic() + GOING_SECONDS
        while groups_of_runs() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(groups_of_runs(), [])
