#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor says of Debian as it comes, to root: nothing is missing."""

import inside
import tap


class Root(inside.Case):
    def test_all_is_there(self):
        checks = self.doctor()
        self.assert_found(checks, "kernel", "ok", "Linux 6.1")
        self.assert_found(checks, "cgroups", "ok", "unified (v2), the cpu controller on v2 at '/sys/")
        self.assert_found(checks, "systemd", "ok", "252")
        self.assert_found(checks, "delegation", "ok", "systemd makes a scope")
        self.assert_found(checks, "enforcer", "ok", "cgroup2")
        self.assert_found(checks, "guarantee", "ok", "cooperative")
        self.assert_found(checks, "quota", "ok")
        self.assert_found(checks, "sched_ext", "ok")
        self.assert_found(checks, "btf", "ok")
        self.assert_found(checks, "meter", "ok", "bpf")
        self.assert_found(checks, "pressure", "ok")
        self.assert_found(checks, "leftovers", "ok")
        for name in "learners", "library", "presets":
            self.assert_found(checks, name, "ok", "/usr/local/")

    def test_in_a_delegated_service(self):
        checks = self.doctor(prefix=["systemd-run", "--quiet", "--pipe", "--wait",
                                     "--property=Delegate=yes"])
        self.assert_found(checks, "delegation", "ok", ".service (cpu, writable)")
        self.assert_found(checks, "enforcer", "ok", "cgroup2")

    def test_a_quota_of_our_unit(self):
        checks = self.doctor(prefix=["systemd-run", "--quiet", "--pipe", "--wait",
                                     "--unit=narrow.service", "--property=CPUQuota=50%"])
        self.assert_found(checks, "quota", "degraded", "narrow.service' allows 0.5 of",
                          "systemctl set-property --runtime 'narrow.service' CPUQuota=")

    def test_a_user_who_has_not_logged_in(self):
        checks = self.doctor(prefix=["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"])
        self.assert_found(checks, "enforcer", "degraded", "signal (cgroup2: reach your own systemd",
                          "loginctl enable-linger 1000")
        self.assert_found(checks, "delegation", "degraded", "nothing can be made",
                          "loginctl enable-linger 1000")


tap.main()
