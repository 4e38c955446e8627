#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of a kernel that keeps its memory to itself."""

import inside
import tap


class Root(inside.Case):
    def test_the_cause_and_the_remedy(self):
        checks = self.doctor()
        self.assert_found(checks, "enforcer", "ok", "cgroup2")
        self.assert_found(checks, "btf", "degraded", "locked down", "lockdown=integrity")
        self.assert_found(checks, "meter", "degraded", "cgroup: ", "lockdown=integrity")


tap.main()
