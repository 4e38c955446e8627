#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What users are not given does not concern root."""

import inside
import tap


class Root(inside.Case):
    def test_cgroup2_holds_the_budget(self):
        self.assert_ran(inside.Run(), "cgroup2")
        self.assert_nothing_left()


tap.main()
