# SPDX-License-Identifier: GPL-2.0-or-later
"""What `meson install` would put where, and what systemd makes of it."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

import tap

BUILD, SOURCE = (pathlib.Path(os.environ[name]) for name in ("BUILD", "SOURCE"))


def introspected(what):
    return json.loads((BUILD / "meson-info" / f"intro-{what}.json").read_text(encoding="utf-8"))


OPTIONS = {option["name"]: option["value"] for option in introspected("buildoptions")}


def installed():
    """{source: where it goes}"""
    places = {"prefix": OPTIONS["prefix"], "datadir": f"{OPTIONS['prefix']}/{OPTIONS['datadir']}"}
    return {pathlib.Path(source): pathlib.Path(re.sub(
        r"^\{(\w+)\}", lambda match: places.get(match[1], match[0]), plan["destination"]))
        for kind in introspected("install_plan").values() for source, plan in kind.items()}


class Plan(unittest.TestCase):
    def test_policy_presets(self):
        files = installed()
        presets = sorted((SOURCE / "policies").glob("*.conf"))
        self.assertGreater(len(presets), 0)
        for preset in presets:
            self.assertEqual(files[preset], pathlib.Path(
                OPTIONS["prefix"], OPTIONS["datadir"], "coregov/policies", preset.name))

    def test_none_is_in_force_by_itself(self):
        for path in installed().values():
            self.assertNotEqual(path.parent.name, "coregov.conf.d")

    def test_tmpfiles(self):
        """Where systemd-tmpfiles finds it by its name, it makes the folder."""
        path = installed()[SOURCE / "governor/daemon/coregov.tmpfiles"]
        self.assertEqual(path, pathlib.Path(
            OPTIONS["tmpfiles-dir"] or f"{OPTIONS['prefix']}/lib/tmpfiles.d", "coregov.conf"))
        if not shutil.which("systemd-tmpfiles"):
            self.skipTest("systemd-tmpfiles is not there")
        if os.geteuid() != 0:
            self.skipTest("not root: the folder is to be root's")
        with tempfile.TemporaryDirectory() as root:
            copy = pathlib.Path(root, "usr/lib/tmpfiles.d/coregov.conf")
            copy.parent.mkdir(parents=True)
            shutil.copy(SOURCE / "governor/daemon/coregov.tmpfiles", copy)
            os.mkdir(f"{root}/run")
            done = subprocess.run(["systemd-tmpfiles", f"--root={root}", "--create", "--remove",
                                   "--clean", "coregov.conf"], text=True, capture_output=True,
                                  check=False, timeout=30)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            found = os.stat(f"{root}/run/coregov")
            self.assertEqual((stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid),
                             (0o755, 0, 0))

    def test_no_user_is_needed(self):
        """What is said to need no sysusers.d needs none: all users and groups named are root."""
        named = re.findall(r"^(User|Group|DynamicUser|SupplementaryGroups)=(.*)$",
                           (SOURCE / "governor/daemon/coregovd.service.in").read_text(
                               encoding="ascii"), re.MULTILINE)
        self.assertEqual([value for _, value in named if value != "root"], [])
        policy = (SOURCE / "governor/daemon/org.coregov.Governor1.conf").read_text(encoding="ascii")
        self.assertEqual(set(re.findall(r'(?:user|group)="(.*?)"', policy)), {"root"})


if __name__ == "__main__":
    tap.main()
