#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A unified tree without the cpu controller: the same for root and for a user."""

import inside
import tap

SENTENCE = ("coregov: enforcer signal (cgroup2: the cpu controller is switched off (kernel command "
            "line: cgroup_disable); cgroup1: ")


class Machine(inside.Case):
    def test_it_is_as_meant(self):
        self.assertNotIn("cpu", inside.read("/sys/fs/cgroup/cgroup.controllers").split())

    def test_signal_and_the_remedy(self):
        run = inside.Run()
        self.assert_ran(run, "signal")
        self.assertIn(SENTENCE, run.said)
        self.assertEqual(run.result["meter"], "proc", run.said)
        self.assertIn("meter proc (bpf: the enforcer signal makes no groups", run.said)

    def test_forced(self):
        run = inside.Run("--enforcer", "cgroup2")
        self.assertEqual(run.status, 69, run.said)
        self.assertIn("cgroup_disable", run.said)


tap.main()
