#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the doctor tells a user to do, done: they are given the cpu controller with their next login."""

import pathlib
import subprocess
import time

import inside
import tap

DROP_IN = pathlib.Path("/etc/systemd/system/user@.service.d/50-coregov.conf")


class Remedy(inside.Case):
    def log_out(self):
        subprocess.run(["loginctl", "terminate-user", "tester"], check=False, capture_output=True)
        end = time.monotonic() + inside.PATIENCE
        while pathlib.Path("/run/user/1000").exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(inside.LOOK_SECONDS)

    def revert(self):
        DROP_IN.unlink(missing_ok=True)
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.log_out()

    def told(self):
        done = subprocess.run([*inside.LOGIN, inside.COREGOV, "doctor", "--json"], capture_output=True,
                              text=True, timeout=inside.PATIENCE, check=False)
        return {check["name"]: check for check in inside.json.loads(done.stdout)["checks"]}

    def test_it_mends(self):
        self.addCleanup(self.revert)
        check = self.told()["enforcer"]
        self.assertEqual(check["state"], "degraded", check)
        # There is no sudo here, and no need of it.
        subprocess.run(["sh", "-c", check["remedy"].replace("sudo ", "")], check=True,
                       capture_output=True)
        self.log_out()
        check = self.told()["enforcer"]
        self.assertEqual((check["state"], check["found"]), ("ok", "cgroup2"))


tap.main()
