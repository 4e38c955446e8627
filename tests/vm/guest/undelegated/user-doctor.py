#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says to a user whose manager was not given the cpu controller."""

import inside
import tap


class User(inside.Case):
    def test_the_gap_and_the_remedy(self):
        remedy = "printf '[Service]\\nDelegate=cpu memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/"
        checks = self.doctor()
        self.assert_found(checks, "cgroups", "ok", "unified")
        self.assert_found(checks, "delegation", "degraded",
                          "user@1000.service (no cpu, writable): '/user.slice' was not given",
                          remedy)
        self.assert_found(checks, "enforcer", "degraded", "signal (cgroup2: ", remedy)
        self.assert_found(checks, "guarantee", "degraded", "cooperative", remedy)
        self.assert_found(checks, "meter", "degraded", "proc: ", remedy)


tap.main()
