# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts about the service of the system share."""

import json
import pathlib
import subprocess
import time

import inside

SPIN = ["sh", "-c", "while :; do :; done"]
CONF = pathlib.Path("/etc/coregov/coregov.conf")


def systemctl(*words):
    return subprocess.run(["systemctl", *words], text=True, capture_output=True, check=False)


class Governed(inside.Case):
    """One daemon for all tests of a class: each finds it running and configured anew."""

    meter = "cgroup"  # the other one takes a second to be loaded here

    @classmethod
    def setUpClass(cls):
        CONF.parent.mkdir(exist_ok=True)
        systemctl("daemon-reload")
        subprocess.run(["busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
                        "org.freedesktop.DBus", "ReloadConfig"], check=True, capture_output=True)
        cls.addClassCleanup(systemctl, "stop", "coregovd")

    def setUp(self):
        self.tasks = []
        self.configure("0.5cpu")
        self.addCleanup(self.end_tasks)
        done = systemctl("reload-or-restart", "coregovd")
        self.assertEqual(done.returncode, 0, done.stderr + self.journal())

    def configure(self, budget):
        CONF.write_text(
            f"[governor]\nbudget = {budget}\nslot = 200ms\nmeter = {self.meter}\n")

    def end_tasks(self):
        # A systemd-run that is ended leaves its unit behind.
        self.coregov("cancel", "ours", "theirs", "spin")
        for task in self.tasks:
            task.terminate()
            task.communicate(timeout=inside.PATIENCE)

    def journal(self):
        return subprocess.run(["journalctl", "-u", "coregovd", "-o", "cat", "--no-pager"],
                              text=True, capture_output=True, check=False).stdout

    def coregov(self, *words, prefix=()):
        done = subprocess.run([*prefix, inside.COREGOV, *words], text=True, capture_output=True,
                              timeout=inside.PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr

    def started(self, name, *words, prefix=()):
        self.tasks.append(subprocess.Popen(
            [*prefix, inside.COREGOV, "run", "--quiet", "--require", "--name", name, "--", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        self.until(lambda: self.task(name).get("phase") == "alive")
        return self.tasks[-1]

    def task(self, name):
        status, out, _ = self.coregov("show", name, "--json")
        return json.loads(out) if status == 0 else {}

    def until(self, condition):
        end = time.monotonic() + inside.PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail(self.journal() + "".join(
                    task.communicate()[1] for task in self.tasks if task.poll() is not None))
            time.sleep(inside.LOOK_SECONDS)

    @staticmethod
    def quota():
        return systemctl("show", "-P", "CPUQuotaPerSecUSec", "coregov.slice").stdout.strip()

    def group_of(self, pid):
        line = pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").strip()
        return inside.CGROUP / line[3:].lstrip("/")
