#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd is killed again and again under a bundle (tests/vm/guest/bench-two-cpus does it 200 times), and while it
takes a task. deadline: 210 s"""

import os
import re
import signal
import subprocess
import time

import inside
import kills
import tap

N_KILLS = 6
SECONDS = 40
LOAD = 0.3
# From when the command is typed: while it is asked for, while systemd makes the scope, and after.
N_SUBMISSIONS = 10
STEP_SECONDS = 0.025


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

    def submit_and_kill(self, seconds):
        """Was it killed before the command had begun?"""
        pid = kills.main_pid()
        process = subprocess.Popen(
            [inside.COREGOV, "run", "--require", "--quiet", "--", "sh", "-c",
             "cat /proc/self/cgroup; sleep 0.5; cat /proc/self/cgroup"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        # What it has said by then is in the pipe.
        is_before = subprocess.run(["pgrep", "-P", str(process.pid), "-x", "sh"], check=False,
                                   capture_output=True).returncode != 0
        out, err = process.communicate(timeout=inside.PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        groups = out.splitlines()
        self.assertEqual(len(groups), 2, out)
        for group in groups:
            self.assertRegex(group, re.compile(r"^0::/coregov\.slice/coregov-sh[-\w]*\.scope/\d+-sh"))
        return is_before

    def test_submission_does_not_mind(self):
        self.addCleanup(kills.systemctl, "stop", "coregovd")
        # The bus can start it, too, as where it is installed for good.
        self.addCleanup(kills.systemctl, "disable", "coregovd")
        kills.systemctl("enable", "coregovd")
        kills.start_governor()
        n_before = 0
        for i in range(N_SUBMISSIONS):
            with self.subTest(i=i):
                end = time.monotonic() + inside.PATIENCE
                while not kills.is_up() and time.monotonic() < end:
                    time.sleep(inside.LOOK_SECONDS)
                n_before += self.submit_and_kill(i * STEP_SECONDS)
        print(f"# {n_before} of {N_SUBMISSIONS} were killed before the command had begun")
        self.assertGreater(n_before, 0)


tap.main()
