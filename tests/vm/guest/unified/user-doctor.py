#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of Debian as it comes, to a plain user."""

import inside
import tap


class User(inside.Case):
    def test_groups_but_no_ebpf(self):
        checks = self.doctor()
        self.assert_found(checks, "delegation", "ok", "user@1000.service (cpu, writable); systemd")
        self.assert_found(checks, "enforcer", "ok", "cgroup2")
        self.assert_found(checks, "guarantee", "ok", "cooperative")
        self.assert_found(checks, "btf", "ok")
        self.assert_found(checks, "meter", "degraded", "cgroup: ", "setcap cap_bpf,cap_perfmon")


tap.main()
