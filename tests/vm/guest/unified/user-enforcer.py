#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain user: the user's manager is asked for a scope, cgroup2 enforces."""

import inside
import tap

SCOPE = ["systemd-run", "--user", "--scope", "--quiet", "--property=Delegate=yes"]


class User(inside.Case):
    def test_after_a_login(self):
        samples = inside.Samples()
        run = inside.Run(seconds=5, look=samples)
        self.assert_ran(run, "cgroup2")
        self.assert_kept(samples, 0.5)
        self.assertEqual(run.result["meter"], "cgroup", run.said)
        self.assertIn("meter cgroup (bpf: loading eBPF programs needs CAP_BPF and CAP_PERFMON",
                      run.said)
        self.assert_nothing_left()

    def test_in_a_delegated_scope(self):
        run = inside.Run(prefix=SCOPE)
        self.assert_ran(run, "cgroup2")
        self.assert_nothing_left()

    def test_without_the_variables_of_a_login(self):
        run = inside.Run(prefix=["env", "-u", "DBUS_SESSION_BUS_ADDRESS", "-u", "XDG_RUNTIME_DIR"])
        self.assert_ran(run, "cgroup2")
        self.assert_nothing_left()


tap.main()
