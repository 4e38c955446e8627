# SPDX-License-Identifier: GPL-2.0-or-later
"""A bus of a test's own, and a governor on it whose daemon is a table (fake_daemon.c)."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

HOST, SUBMIT, COREGOV, POLKIT = (os.environ[name] for name in (
    "BUS_HOST", "SUBMIT_ONCE", "COREGOV", "FAKE_POLKIT"))
PATIENCE = 60  # for what comes in a moment on a machine that is not overloaded
NOBODY, SOMEBODY = 65534, 1  # dbus-daemon talks only to users that it can look up
NAME = "org.coregov.Governor1"
PATH = "/org/coregov/Governor1"
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={path}</listen><auth>EXTERNAL</auth>{policy}</busconfig>"""
OPEN = """<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy>"""


class Peer:
    """A program that is told lines on its standard input and answers each, after what else it has to
    say, with a line that is in `ends`."""

    ends = ("ok", "unknown")

    def __init__(self, *command, env, ready="ready"):
        self.lines = []
        self.process = subprocess.Popen(command, env=env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.process.stdout.readline().strip() != ready:
            raise AssertionError(self.process.communicate(timeout=PATIENCE)[1])

    def read_to(self, *ends):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            if line.split(" ")[0] in ends:
                return line
            self.lines.append(line)
        raise AssertionError("it has ended: " + "\n".join(self.lines))

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.read_to(*self.ends)
        if answer != "ok":
            raise AssertionError(f"{line}: {answer}")

    def take(self):
        """What it has said since the last time."""
        self.tell("sync")
        taken, self.lines = self.lines, []
        return taken

    def stop(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        rest = self.process.stdout.read(), self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return rest


class BusCase(unittest.TestCase):
    host_options = ()
    policy = OPEN

    @classmethod
    def setUpClass(cls):
        for program in ("dbus-daemon", "dbus-send", "dbus-monitor"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"{program} is missing: install the package dbus")

    def until(self, condition):
        """What the governor has said (self.log) is why it did not come to that."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail(self.log.read_text())
            time.sleep(0.02)

    @staticmethod
    def lose_patience(*_):
        raise TimeoutError("nothing has come")

    def setUp(self):
        signal.signal(signal.SIGALRM, self.lose_patience)
        signal.alarm(PATIENCE)
        self.addCleanup(signal.alarm, 0)
        folder = tempfile.TemporaryDirectory(prefix="coregov-bus-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        (self.folder / "config").write_text(CONFIG.format(
            path=self.folder / "socket", policy=self.policy))
        self.bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self.folder / 'config'}", "--nofork",
             "--print-address"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.stop_bus)
        self.address = self.bus.stdout.readline().strip()
        self.env = {**os.environ, "COREGOV_BUS_ADDRESS": self.address, "TZ": "UTC"}
        self.host = self.start_host() if self.host_options is not None else None

    def stop_bus(self):
        self.bus.terminate()
        self.bus.wait(PATIENCE)
        self.bus.stdout.close()

    def start_host(self, *options):
        host = Peer(HOST, *(options or self.host_options), env=self.env)
        self.addCleanup(self.stop_host, host)
        return host

    def stop_host(self, host):
        """It has to end in peace: a leak is told here, too."""
        if host.process.poll() is None:
            self.assertEqual(host.stop()[1], "")
            self.assertEqual(host.process.returncode, 0)

    def as_user(self, user):
        """What subprocess.run() has to be given to be somebody else."""
        if user is None:
            return {}
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        return {"user": user, "group": user, "extra_groups": []}

    def run_once(self, *command, user=None, env=None):
        return subprocess.run(command, env={**self.env, **(env or {})}, text=True, timeout=PATIENCE,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL,
                              cwd="/", **self.as_user(user))

    def submit(self, *options, user=None):
        result = self.run_once(SUBMIT, *options, user=user)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout.splitlines()

    def coregov(self, *words, user=None, env=None):
        result = self.run_once(COREGOV, *words, user=user, env=env)
        return result.returncode, result.stdout, result.stderr

    def send(self, path, method, *words, user=None):
        """dbus-send's (status, standard output and error)."""
        result = self.run_once("dbus-send", f"--bus={self.address}", "--print-reply=literal",
                               f"--dest={NAME}", path, method, *words, user=user)
        return result.returncode, (result.stdout + result.stderr).strip()

    def get(self, path, name, user=None):
        interface = NAME if path == PATH else f"{NAME}.Task"
        status, text = self.send(path, "org.freedesktop.DBus.Properties.Get",
                                 f"string:{interface}", f"string:{name}", user=user)
        self.assertEqual(status, 0, text)
        return " ".join(text.split()[1:] if text.startswith("variant") else text.split())

    @contextlib.contextmanager
    def monitor(self, *rules):
        """Signals as lines of dbus-monitor, once it listens."""
        process = subprocess.Popen(["dbus-monitor", "--address", self.address, *rules], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            for line in process.stdout:
                if "NameLost" in line:  # it has become a monitor
                    process.stdout.readline()
                    break
            yield process.stdout
        finally:
            process.terminate()
            process.wait(PATIENCE)
            process.stdout.close()

    @staticmethod
    def next_change(lines):
        """(path, {name: value}) of the next PropertiesChanged."""
        for line in lines:
            if "member=PropertiesChanged" in line:
                break
        path, text = re.search(r"path=([^;]+);", line)[1], ""
        for line in lines:
            text += line
            if text.count("\n   ]") == 2:  # what has changed, and what is not known any more
                break
        return path, dict(re.findall(r'dict entry\(\s*string "(\w+)"\s*variant\s+(?:\w+ )*(.*?)\s*\)\n', text))
