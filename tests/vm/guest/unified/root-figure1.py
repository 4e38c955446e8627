#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Figure 1(c) of the paper by real processes, with the best enforcer and the best meter."""

import json
import os
import pathlib
import subprocess

import inside
import tap


class Figure1(inside.Case):
    def test_1c_with_cgroup2_and_bpf(self):
        path = pathlib.Path(os.environ["EXAMPLES"], "fig1c.bundle")
        done = subprocess.run([inside.COREGOV, "bundle", str(path), "--json", "--policy", "script",
                               "--enforcer", "cgroup2", "--meter", "bpf"], capture_output=True,
                              text=True, timeout=inside.PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        outcomes = {task["name"]: task["outcome"] for task in result["results"]}
        self.assertEqual(result["kappa"], 0.6, done.stdout)
        self.assertEqual(outcomes["2"], "missed-target", done.stdout)
        self.assertEqual(outcomes["5"], "missed-deadline", done.stdout)
        self.assertLessEqual(result["used_cpu_seconds"], 1.01 * result["budget_cpu_seconds"])
        self.assert_nothing_left()


if __name__ == "__main__":
    tap.main()
