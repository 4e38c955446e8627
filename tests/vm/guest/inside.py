# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts share: a small real bundle, and what coregov said of it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

COREGOV = os.environ["COREGOV"]
CGROUP = pathlib.Path("/sys/fs/cgroup")
PATIENCE = 60

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


class Run:
    """A finished run: `status`, `result` (None without one), `said` (standard error)."""

    def __init__(self, *options, budget="0.5cpu", seconds=4, prefix=()):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "spin.bundle")
            path.write_text(SPINNERS.format(budget=budget, seconds=seconds))
            os.chmod(folder, 0o755)
            done = subprocess.run([*prefix, COREGOV, "bundle", str(path), "--json", "--verbose",
                                   *options], capture_output=True, text=True, timeout=PATIENCE,
                                  check=False)
        self.status, self.said = done.returncode, done.stderr
        self.result = json.loads(done.stdout) if done.stdout.strip() else None


def read(path):
    return pathlib.Path(path).read_text(encoding="ascii").strip()


def own_group():
    """Our group in the unified tree, "/..."."""
    for line in read("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def groups_of_runs():
    return [folder for folder in CGROUP.rglob("coregov-*") if folder.is_dir()]


class Case(unittest.TestCase):
    def assert_ran(self, run, enforcer):
        """The whole of what was said is in the message of a failure."""
        self.assertEqual(run.status, 0, run.said)
        self.assertIsNotNone(run.result, run.said)
        self.assertEqual(run.result["enforcer"], enforcer, run.said)
        self.assertLessEqual(run.result["used_cpu_seconds"],
                             1.03 * run.result["budget_cpu_seconds"], run.said)
        self.assertGreater(run.result["used_cpu_seconds"],
                           0.5 * run.result["budget_cpu_seconds"], run.said)

    def assert_nothing_left(self):
        self.assertEqual(groups_of_runs(), [])
