#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What users are not given does not concern root."""

import inside
import tap


class Root(inside.Case):
    def test_all_is_there(self):
        checks = self.doctor()
        self.assert_found(checks, "delegation", "ok")
        self.assert_found(checks, "enforcer", "ok", "cgroup2")


tap.main()
