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
    def ran(self, prefix):
        """What was said, and the limits of memory on the way from the run's group up."""
        limits = set()

        def look():
            for group in inside.groups_of_runs():
                if inside.RUN_NAME.match(group.name):
                    for above in group.parents:
                        if (above / "memory.max").exists():
                            limits.add(inside.read(above / "memory.max"))

        run = inside.Run(*inside.FAST_METER, prefix=prefix, look=look)
        self.assert_ran(run, "cgroup2")
        self.assert_nothing_left()
        return run.said, limits

    def assert_left(self, prefix, names):
        said, limits = self.ran(prefix)
        self.assertEqual(limits, {"max"})
        self.assertEqual(said.count(LEFT), 1, said)
        self.assertIn(f": {names} set there no longer hold", said)
        self.assertIn("Delegate=yes", said)

    def test_left_behind(self):
        self.assert_left(service(), "MemoryMax=, TasksMax=")
        self.assert_left(unit("--scope", limits=["MemoryMax=300M"]), "MemoryMax=")

    def test_kept(self):
        for prefix in (service(more=["Delegate=yes"]), unit("--scope", more=["Delegate=yes"])):
            said, limits = self.ran(prefix)
            self.assertIn("314572800", limits)
            self.assertNotIn(LEFT, said)

    def test_nothing_to_lose(self):
        for prefix in ((), service(limits=[]), service(limits=["CPUQuota=80%"])):
            said, _ = self.ran(prefix)
            self.assertNotIn(LEFT, said)

    def test_the_slice_goes_along(self):
        try:
            subprocess.run(["systemctl", "set-property", "--runtime", "test.slice",
                            "MemoryMax=300M"], check=True)
            said, limits = self.ran(unit("--scope", "--slice=test.slice", limits=[]))
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
            self.assert_left(service(more=[f"User={USER}"]), "MemoryMax=, TasksMax=")
        finally:
            subprocess.run(["loginctl", "disable-linger", USER], check=True)


if __name__ == "__main__":
    tap.main()
