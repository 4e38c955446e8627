#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The layout before the unified one: the cpu controller on a v1 hierarchy."""

import inside
import tap

SENTENCE = ("coregov: enforcer cgroup1 (cgroup2: the cpu controller is on cgroup v1 (at "
            "'/sys/fs/cgroup/cpu,cpuacct'); the unified tree does not have it)")


class Root(inside.Case):
    def test_cgroup1_holds_the_budget(self):
        run = inside.Run()
        self.assert_ran(run, "cgroup1")
        self.assertIn(SENTENCE, run.said)
        self.assertEqual(run.result["meter"], "bpf", run.said)
        self.assert_nothing_left()


tap.main()
