#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole coregovd as it is installed, after a task has come and gone: what wakes it up is the watchdog
alone. deadline: 150 s"""

import pathlib
import re
import subprocess
import time

import inside
import tap

CONF = pathlib.Path("/etc/coregov/coregov.conf")
IDLE_SECONDS = 40
SETTLE_SECONDS = 10  # what the end of a task leaves to be done
N_JOBS = 12


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=True).stdout


def switches(pid):
    """{thread: (voluntary, nonvoluntary)}: each that is voluntary ends a time in which it was awake."""
    found = {}
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = (thread / "status").read_text(encoding="ascii")
        found[thread.name] = tuple(int(n) for n in re.findall(r"voluntary_ctxt_switches:\s+(\d+)",
                                                              status))
    return found


class Idle(inside.Case):
    def setUp(self):
        CONF.parent.mkdir(exist_ok=True)
        CONF.write_text("[governor]\nbudget = 0.5cpu\nslot = 200ms\n")
        systemctl("daemon-reload")
        systemctl("start", "coregovd")
        self.addCleanup(systemctl, "stop", "coregovd")

    def coregov(self, *words):
        done = subprocess.run([inside.COREGOV, *words], text=True, capture_output=True,
                              timeout=inside.PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_only_the_watchdog_wakes_it(self):
        """Neither its slots, nor its meter, nor what systemd does for others."""
        self.coregov("run", "--require", "--", "sh", "-c", "sleep 1")
        self.coregov("wait", "--all")
        self.assertEqual(systemctl("show", "-P", "StatusText", "coregovd"), "no task\n")
        time.sleep(SETTLE_SECONDS)
        pid = systemctl("show", "-P", "MainPID", "coregovd").strip()
        watchdog = systemctl("show", "-P", "WatchdogUSec", "coregovd").strip()
        self.assertEqual(watchdog, "30s")
        before, begun = switches(pid), time.monotonic()
        # Jobs of others, of whose ends logind has systemd tell everybody who listens.
        for _ in range(N_JOBS):
            subprocess.run(["systemd-run", "--quiet", "--wait", "--collect", "true"], check=True)
            time.sleep(1)
        time.sleep(max(0, begun + IDLE_SECONDS - time.monotonic()))
        after, seconds = switches(pid), time.monotonic() - begun
        self.assertEqual(before.keys(), after.keys())
        spent = {thread: tuple(b - a for a, b in zip(before[thread], after[thread]))
                 for thread in after}
        most = int(seconds / 15) + 1  # half of the watchdog's time, wherever the first one falls
        print(f"# in {seconds:.1f} s, switches of each thread: {spent}; at most {most}")
        self.assertLessEqual(sum(voluntary for voluntary, _ in spent.values()), most)
        # While it is awake others may take the only CPU from it, systemd that hears of it for one.
        self.assertLessEqual(sum(others for _, others in spent.values()), 2 * most)


tap.main()
