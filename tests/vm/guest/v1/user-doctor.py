#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""v1 hierarchies are not delegated to users."""

import inside
import tap


class User(inside.Case):
    def test_the_gap_and_the_remedy(self):
        remedy = "systemd.unified_cgroup_hierarchy=1"
        checks = self.doctor()
        self.assert_found(checks, "cgroups", "degraded", "given to root only", remedy)
        self.assert_found(checks, "delegation", "degraded", "nothing can be made there", remedy)
        self.assert_found(checks, "enforcer", "degraded", "signal (cgroup2: ", remedy)
        self.assert_found(checks, "meter", "degraded", "proc: ", remedy)


tap.main()
