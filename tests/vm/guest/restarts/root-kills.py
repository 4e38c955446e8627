#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd is killed again and again under a bundle. tests/vm/guest/bench-daemon does it 200 times.
deadline: 150 s"""

import inside
import kills
import tap

N_KILLS = 6
SECONDS = 40
LOAD = 0.3


class Kills(inside.Case):
    def test_bundle_does_not_mind(self):
        self.addCleanup(kills.systemctl, "stop", "coregovd")
        outcome = kills.Outcome(N_KILLS, SECONDS, LOAD)
        print(f"# {outcome.n_killed} kills in {outcome.killed_seconds:.0f} s; most CPUs in "
              f"{kills.WINDOW_SECONDS} s: {outcome.sampler.most_cpus():.4f}; {outcome.reports}")
        self.assertEqual(outcome.status, 0, outcome.said)
        self.assertEqual(outcome.n_killed, N_KILLS)
        self.assertEqual(outcome.outcomes, kills.LEARNED, outcome.said)
        self.assertEqual(outcome.sampler.limits - {None}, {kills.BUDGET})
        self.assertLessEqual(outcome.sampler.most_cpus(), kills.BUDGET * 1.01)


tap.main()
