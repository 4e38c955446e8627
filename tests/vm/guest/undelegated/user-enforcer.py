#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain user whose manager was not given the cpu controller."""

import inside
import tap

SENTENCE = ("coregov: enforcer signal (cgroup2: systemd did not get the cpu controller in "
            "'/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service' ('systemctl edit "
            "user@.service': [Service] Delegate=cpu memory pids); cgroup1: ")


class User(inside.Case):
    def test_signal_and_the_remedy(self):
        run = inside.Run()
        self.assert_ran(run, "signal")
        self.assertIn(SENTENCE, run.said)
        self.assert_nothing_left()

    def test_forced(self):
        run = inside.Run("--enforcer", "cgroup2")
        self.assertEqual(run.status, 69, run.said)
        self.assertIn("Delegate=cpu memory pids", run.said)


tap.main()
