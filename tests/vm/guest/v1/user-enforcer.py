#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""v1 hierarchies are not delegated to users."""

import inside
import tap

SENTENCE = ("cgroup1: cpu hierarchy at '/sys/fs/cgroup/cpu,cpuacct' (needs root, or to be run in a "
            "group that belongs to this user)")


class User(inside.Case):
    def test_signal_and_the_remedy(self):
        run = inside.Run()
        self.assert_ran(run, "signal")
        self.assertIn(SENTENCE, run.said)


tap.main()
