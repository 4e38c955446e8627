#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Root, in a service that was not delegated: systemd is asked for a scope, cgroup2 enforces."""

import inside
import tap


class Root(inside.Case):
    def test_cgroup2_holds_the_budget(self):
        before, samples = inside.own_group(), inside.Samples()
        run = inside.Run(seconds=5, look=samples)
        self.assert_ran(run, "cgroup2")
        self.assert_kept(samples, 0.5)
        self.assertNotIn("(", run.said.splitlines()[0], "nothing better was missing")
        self.assert_nothing_left()
        self.assertEqual(inside.own_group(), before)

    def test_a_user_who_has_not_logged_in(self):
        run = inside.Run(prefix=["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"])
        self.assert_ran(run, "signal")
        self.assertIn("enforcer signal (cgroup2: reach your own systemd through the user bus",
                      run.said)
        self.assertIn("loginctl enable-linger", run.said)


tap.main()
