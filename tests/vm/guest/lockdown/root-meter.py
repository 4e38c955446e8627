#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that keeps its memory to itself: the same for root and for a user."""

import inside
import tap

SENTENCE = "bpf: the kernel is locked down (confidentiality)"
REMEDY = "lockdown=integrity"


class Machine(inside.Case):
    def test_it_is_as_meant(self):
        self.assertIn("[confidentiality]", inside.read("/sys/kernel/security/lockdown"))

    def test_the_next_meter_and_the_remedy(self):
        run = inside.Run()
        self.assert_ran(run, "cgroup2")
        self.assertEqual(run.result["meter"], "cgroup", run.said)
        self.assertIn(f"coregov: meter cgroup ({SENTENCE}", run.said)
        self.assertIn(REMEDY, run.said)
        self.assert_nothing_left()

    def test_forced(self):
        run = inside.Run("--meter", "bpf")
        self.assertEqual(run.status, 69, run.said)
        self.assertIn(f"the meter asked for does not work here: {SENTENCE}", run.said)
        self.assertIn(REMEDY, run.said)


tap.main()
