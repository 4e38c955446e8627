# SPDX-License-Identifier: GPL-2.0-or-later
"""`run` itself: whatever goes wrong in a VM is a failure, with what is needed to see why."""

import os
import pathlib
import subprocess
import tempfile
import time
import unittest

import tap

HERE = pathlib.Path(__file__).resolve().parent
RUN = HERE / "run"
BUILD = os.environ["BUILD"]
PATIENCE = 800  # the image may have to be made
ELF_CORE = 4  # e_type


class Rig(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="coregov-rig-")
        self.addCleanup(folder.cleanup)
        self.results = pathlib.Path(folder.name)

    def run_boot(self, *options, **variables):
        done = subprocess.run(
            [RUN, BUILD, "rig", "--results", self.results / "rig", *options],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, "COREGOV_VM": "", **variables})
        self.assertEqual(done.stderr, "")
        if done.stdout.startswith("1..0 # SKIP") and "PATH" not in variables:
            self.skipTest(done.stdout[12:].strip())
        lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
        return done, lines

    def test_each_script_is_judged(self):
        done, lines = self.run_boot()
        core = next((self.results / "rig" / "cores").iterdir())
        self.assertEqual(lines, [
            "ok 1 - root-1-skips: all # SKIP no unicorn here",
            "ok 2 - root-2-fails: one",
            "not ok 3 - root-2-fails: two",
            "ok 4 - root-2-fails: three # SKIP not today",
            "ok 5 - root-3-ends-early: one",
            "not ok 6 - root-3-ends-early: 2 tests planned, 1 run",
            "ok 7 - user-1-crashes: all",
            "not ok 8 - user-2-hangs: not done within 2 s",
            "ok 9 - user-3-passes: all",
            f"not ok 10 - rig: something dumped core: {core.name}",
            "1..10",
        ], done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertIn("# root-2-fails: because", done.stdout)
        self.assertIn("# user-2-hangs: about to hang", done.stdout)
        # A core of the program that crashed, and the journal of the boot.
        head = core.read_bytes()[:18]
        self.assertEqual((head[:4], head[16]), (b"\x7fELF", ELF_CORE))
        self.assertRegex(core.name, r"^core\.(sh|dash)\.\d+$")
        self.assertIn("vm-user-1-crashes.service", (self.results / "rig" / "journal").read_text())

    def test_a_panic_is_seen(self):
        started = time.monotonic()
        done, lines = self.run_boot("--kernel", "root=/dev/nothing")
        self.assertEqual(len(lines), 2, done.stdout)
        self.assertRegex(lines[0], "^not ok 1 - rig: Kernel panic .*Attempted to kill init")
        self.assertIn("mounting /dev/nothing on /root failed", done.stdout)
        self.assertEqual(done.returncode, 1)
        self.assertIn("end of the console", done.stdout)
        self.assertLess(time.monotonic() - started, PATIENCE / 2, "no deadline was waited for")

    def test_a_silent_guest_is_ended(self):
        done, lines = self.run_boot("--kernel", "init=/usr/bin/yes", "--first", "7")
        self.assertEqual(lines, ["not ok 1 - rig: nothing heard from inside within 7 s", "1..1"],
                         done.stdout)
        self.assertIn("# y\n# y\n", done.stdout)  # its console
        self.assertEqual(done.returncode, 1)

    def test_nothing_run_is_no_success(self):
        done, lines = self.run_boot("--only", "no-such-script")
        self.assertEqual(lines, ["not ok 1 - rig: no script is called no-such-script", "1..1"],
                         done.stdout)
        self.assertEqual(done.returncode, 1)

    def test_without_qemu(self):
        done, lines = self.run_boot(PATH="/nowhere")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"^1\.\.0 # SKIP not installed: .*qemu-system-x86_64 "
                         r"\(package qemu-system-x86\).*`./setup install test`")
        done, lines = self.run_boot(PATH="/nowhere", COREGOV_VM="required")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(lines[0], "^not ok 1 - rig: no VM, and COREGOV_VM=required: not installed")


tap.main()
