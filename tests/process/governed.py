# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of `coregov run` share: a bus of their own, and a governor on it that governs nothing."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

COREGOV = os.environ["COREGOV"]
FAKE_GOVERNOR = os.environ["FAKE_GOVERNOR"]
PATIENCE = 60

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""

def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.01)


def state_of(pid):
    """R, S, T, ...; None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None


class Governor:
    """A fake governor and what it has said so far."""

    def __init__(self, address, *settings):
        self.lines = []
        self.process = subprocess.Popen(
            [FAKE_GOVERNOR, *settings], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "COREGOV_BUS_ADDRESS": address})
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.wait_for("ready")

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def said(self, start):
        return [line for line in self.lines if line.startswith(start)]

    def wait_for(self, start, n=1):
        wait_until(lambda: len(self.said(start)) >= n, f"the governor to say '{start}'")
        return self.said(start)[n - 1]

    def option(self, name):
        found = self.said(f"option {name} ")
        return found[0].split(" ", 2)[2] if found else None

    def end(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stdout.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="coregov-test-")
        self.addCleanup(self.folder.cleanup)
        self.governor = None
        self.address = "unix:path=" + self.path("bus")
        self.bus = None

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start_bus(self):
        if not shutil.which("dbus-daemon"):
            self.skipTest("there is no dbus-daemon to be a bus (Debian: dbus-daemon)")
        with open(self.path("bus.conf"), "w", encoding="ascii") as file:
            file.write(BUS_CONFIG.format(path=self.path("bus")))
        self.bus = subprocess.Popen(["dbus-daemon", "--nofork", "--nopidfile",
                                     "--config-file=" + self.path("bus.conf")],
                                    stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_bus)
        wait_until(lambda: os.path.exists(self.path("bus")), "the bus")

    def end_bus(self):
        if self.bus:
            self.bus.kill()
            self.bus.wait()
            self.bus = None
            os.unlink(self.path("bus"))

    def govern(self, *settings):
        if not self.bus:
            self.start_bus()
        self.governor = Governor(self.address, *settings)
        self.addCleanup(self.governor.end)
        return self.governor

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items()
               if k not in ("PYTHONUNBUFFERED", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
        return {**env, "COREGOV_BUS_ADDRESS": self.address, **more}

    def start(self, *words, env=None, **how):
        process = subprocess.Popen([COREGOV, "run", *words], env=env or self.environment(),
                                   **how)
        self.addCleanup(self.finish, process)
        return process

    @staticmethod
    def finish(process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def run_it(self, *words, env=None, **how):
        done = subprocess.run([COREGOV, "run", *words], env=env or self.environment(),
                              capture_output=True, text=True, timeout=PATIENCE, check=False,
                              **how)
        return done.returncode, done.stdout, done.stderr
