#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of the layout before the unified one, to root."""

import inside
import tap


class Root(inside.Case):
    def test_all_is_there(self):
        checks = self.doctor()
        self.assert_found(checks, "cgroups", "ok",
                          "the cpu controller on v1 at '/sys/fs/cgroup/cpu,cpuacct'")
        self.assert_found(checks, "delegation", "ok", "(cpu, writable)")
        self.assert_found(checks, "enforcer", "ok", "cgroup1 (cgroup2: the cpu controller is on")
        self.assert_found(checks, "meter", "ok", "bpf")


tap.main()
