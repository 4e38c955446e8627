#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says where the kernel was told to do without the cpu controller."""

import inside
import tap


class Machine(inside.Case):
    def test_the_cause_and_the_remedy(self):
        remedy = "take cgroup_disable=cpu out of"
        checks = self.doctor()
        self.assert_found(checks, "cgroups", "degraded", "the kernel was told so", remedy)
        self.assert_found(checks, "delegation", "degraded", "no hierarchy", remedy)
        self.assert_found(checks, "enforcer", "degraded", "signal (cgroup2: ", remedy)
        self.assert_found(checks, "guarantee", "degraded", "cooperative", remedy)
        self.assert_found(checks, "meter", "degraded", "proc: ", remedy)


tap.main()
