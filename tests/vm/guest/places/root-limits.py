#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of the unit that a run is started in: where they are left behind, the run says so.
deadline: 120 s"""

import os
import pwd
import subprocess

import inside
import tap

USER = pwd.getpwuid(1000).pw_name
LEFT = "moved out of"


def unit(*words, limits=("MemoryMax=300M", "TasksMax=333"), more=()):
    return ("systemd-run", "--quiet", *words, *(f"--property={p}" for p in (*limits, *more)),
            f"--setenv=PATH={os.environ['PATH']}")


def service(**rest):
    return unit("--wait", "--pipe", "--collect", **rest)


class Limits(inside.Case):
    def ran(self, *prefixes):
        """What was said by each of some runs at once, and the limits of memory on the way from its group
        up, in any order."""
        limits = {}

        def look():
            for group in inside.groups_of_runs():
                if inside.RUN_NAME.match(group.name):
                    for above in group.parents:
                        if (above / "memory.max").exists():
                            limits.setdefault(group, set()).add(inside.read(above / "memory.max"))

        runs = inside.runs_beside(prefixes, *inside.FAST_METER, look=look)
        for run in runs:
            self.assert_ran(run, "cgroup2")
        self.assert_nothing_left()
        self.assertEqual(len(limits), len(runs))
        return [run.said for run in runs], list(limits.values())

    def assert_left(self, said, names):
        self.assertEqual(said.count(LEFT), 1, said)
        self.assertIn(f": {names} set there no longer hold", said)
        self.assertIn("Delegate=yes", said)

    def test_left_behind(self):
        (service_said, scope_said), limits = self.ran(
            service(), unit("--scope", limits=["MemoryMax=300M"]))
        self.assertEqual(limits, [{"max"}, {"max"}])
        self.assert_left(service_said, "MemoryMax=, TasksMax=")
        self.assert_left(scope_said, "MemoryMax=")

    def test_kept(self):
        said, limits = self.ran(service(more=["Delegate=yes"]), unit("--scope", more=["Delegate=yes"]))
        for one in limits:
            self.assertIn("314572800", one)
        self.assertNotIn(LEFT, "".join(said))

    def test_nothing_to_lose(self):
        said, _ = self.ran((), service(limits=[]))
        self.assertNotIn(LEFT, "".join(said))
        said, _ = self.ran(service(limits=["CPUQuota=80%"]))
        self.assertNotIn(LEFT, "".join(said))

    def test_the_slice_goes_along(self):
        try:
            subprocess.run(["systemctl", "set-property", "--runtime", "test.slice",
                            "MemoryMax=300M"], check=True)
            (said,), (limits,) = self.ran(unit("--scope", "--slice=test.slice", limits=[]))
            self.assertIn("314572800", limits)
            self.assertNotIn(LEFT, said)
        finally:
            subprocess.run(["systemctl", "stop", "test.slice"], check=False)
            subprocess.run(["systemctl", "revert", "test.slice"], check=False)

    def test_told_also_where_the_next_one_enforces(self):
        """The scope is made, but no group can be made in it."""
        full = ("sh", "-c", "echo 2 >/sys/fs/cgroup/test.slice/cgroup.max.descendants && "
                "exec \"$@\"", "sh")
        try:
            run = inside.Run(prefix=(*service(more=["Slice=test.slice"]), *full))
            self.assert_ran(run, "signal")
            self.assertIn("make group", run.said)
            self.assertEqual(run.said.count(LEFT), 1, run.said)
            self.assertIn(": MemoryMax=, TasksMax= set there no longer hold", run.said)
        finally:
            subprocess.run(["systemctl", "stop", "test.slice"], check=False)

    def test_a_user_leaves_the_slice_too(self):
        subprocess.run(["loginctl", "enable-linger", USER], check=True)
        try:
            for _ in range(100):
                if os.path.exists("/run/user/1000/bus"):
                    break
                subprocess.run(["sleep", "0.2"], check=True)
            (said,), limits = self.ran(service(more=[f"User={USER}"]))
            self.assertEqual(limits, [{"max"}])
            self.assert_left(said, "MemoryMax=, TasksMax=")
        finally:
            subprocess.run(["loginctl", "disable-linger", USER], check=True)


if __name__ == "__main__":
    tap.main()
