# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy presets, each as it is put in force: a link or a copy in coregov.conf.d/."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import tap

COREGOV, COREGOVD = os.environ["COREGOV"], os.environ["COREGOVD"]
FOLDER = pathlib.Path(os.environ["POLICY_PRESETS"])
PRESETS = sorted(FOLDER.glob("*.conf"))
DROP_INS = "etc/coregov/coregov.conf.d"
# Others have to know all tasks before they come, or are there to compare with.
GOVERNORS_POLICIES = {"core", "edf", "equal", "fifo"}


class Presets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / DROP_INS).mkdir(parents=True)

    def put(self, text):
        path = self.root / DROP_INS / "50-mine.conf"
        path.write_text(text, encoding="ascii")
        return path

    def check(self):
        done = subprocess.run([COREGOVD, "--check-config", "--root", self.root], text=True,
                              capture_output=True, check=False, timeout=30)
        return done.returncode, done.stderr

    def settings(self):
        """What is in force and not a default, by key."""
        done = subprocess.run([COREGOV, "show-config", "--root", self.root, "--json"], text=True,
                              capture_output=True, check=True, timeout=30)
        return {setting["key"]: setting["value"] for setting in json.loads(done.stdout)["settings"]
                if setting["file"]}

    def test_each_is_valid_and_in_force(self):
        for preset in PRESETS:
            for put in (shutil.copy, lambda source, path: os.symlink(source, path)):
                with self.subTest(preset=preset.name, put=put):
                    path = self.root / DROP_INS / preset.name
                    put(preset, path)
                    # A key that is not known is a line there.
                    self.assertEqual(self.check(), (0, ""))
                    written = dict(re.findall(r"^([a-z-]+) *= (.*?)(?: *;.*)?$",
                                              preset.read_text(encoding="ascii"), re.MULTILINE))
                    self.assertEqual(self.settings(), written)
                    self.assertIn("policy", written)
                    path.unlink()
                    self.assertEqual(self.settings(), {})

    def test_each_policy_of_a_governor_has_one(self):
        self.assertEqual({re.search(r"^policy +?= (\w+)", preset.read_text(encoding="ascii"),
                                    re.MULTILINE)[1] for preset in PRESETS}, GOVERNORS_POLICIES)

    def test_each_is_installed_and_says_for_whom(self):
        names = re.findall(r"^  '(\S+\.conf)',$", (FOLDER / "meson.build").read_text(
            encoding="ascii"), re.MULTILINE)
        self.assertEqual(names, [preset.name for preset in PRESETS])
        for preset in PRESETS:
            lines = preset.read_text(encoding="ascii").splitlines()
            head = lines[:lines.index("[governor]")]
            self.assertGreaterEqual(len([line for line in head if line.startswith("# ")]), 3)
            self.assertIn("coregov-policies(7)", "".join(head))
            self.assertLessEqual(max(map(len, lines)), 100, preset.name)

    def test_what_follows_in_another_file_wins(self):
        shutil.copy(FOLDER / "batch.conf", self.root / DROP_INS)
        (self.root / DROP_INS / "zz.conf").write_text("[defaults]\ngrace = 5s\n")
        self.assertEqual(self.check(), (0, ""))
        self.assertEqual(self.settings()["grace"], "5s")
        self.assertEqual(self.settings()["on-target"], "stop")

    def test_policies_for_bundles_are_refused(self):
        for policy in ("exclusive", "fixed", "script"):
            path = self.put(f"[governor]\npolicy = {policy}\n")
            status, err = self.check()
            self.assertEqual(status, 65)
            self.assertIn(f"{path}:2: policy: the policy '{policy}' has to know all tasks", err)


if __name__ == "__main__":
    tap.main()
