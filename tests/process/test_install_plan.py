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


SHARE = pathlib.Path(OPTIONS["prefix"], OPTIONS["datadir"])
BASH_COMPLETION = pathlib.Path("/usr/share/bash-completion/bash_completion")


class Installed(unittest.TestCase):
    """What the plan does not have: links, and files that go to two places."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="coregov-install-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = folder.name
        subprocess.run(["meson", "install", "--quiet", "--no-rebuild", "-C", BUILD, "--destdir",
                        cls.root], check=True, capture_output=True, timeout=60)

    def below(self, path):
        return pathlib.Path(f"{self.root}{path}")

    def shell(self, shell, script):
        """What a shell says that finds the data of programs only where we have put ours, and what is its own."""
        if not shutil.which(shell):
            self.skipTest(f"there is no {shell}")
        done = subprocess.run(
            [shell, "-c", script], capture_output=True, text=True, check=False, timeout=30,
            env={**os.environ, "HOME": self.root, "XDG_DATA_DIRS": f"{self.below(SHARE)}:/usr/share",
                 "PATH": ":".join([str(self.below(pathlib.Path(OPTIONS["prefix"], OPTIONS[name])))
                                   for name in ("bindir", "sbindir")] + [os.environ["PATH"]])})
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def test_completions(self):
        """Where each shell looks by the name of the command, also that of the daemon."""
        source = SOURCE / "governor/cli/completions"
        for place, name, end in (("bash-completion/completions", "coregov.bash", ""),
                                 ("fish/vendor_completions.d", "coregov.fish", ".fish"),
                                 ("zsh/site-functions", "_coregov", None)):
            if end is None:  # the file itself says for which commands it is
                self.assertEqual((source / name).read_text(encoding="utf-8").splitlines()[0],
                                 "#compdef coregov coregovd")
            for command in ("_coregov",) if end is None else (f"coregov{end}", f"coregovd{end}"):
                self.assertEqual(self.below(SHARE / place / command).read_bytes(),
                                 (source / name).read_bytes())

    def test_bash_finds_them(self):
        if not BASH_COMPLETION.exists():
            self.skipTest("bash-completion is not there")
        for command in ("coregov", "coregovd"):
            found = self.shell("bash", f". {BASH_COMPLETION}; _completion_loader {command}; "
                               f"complete -p {command}")
            self.assertRegex(found, rf"^complete .*-F _\w+ {command}\n$")

    def test_zsh_finds_them(self):
        where = SHARE / "zsh/site-functions"
        if str(where) not in self.shell("zsh", "print -l $fpath").splitlines():
            self.assertNotEqual(OPTIONS["prefix"], "/usr/local")
        found = self.shell("zsh", f"fpath=({self.below(where)} $fpath); autoload -Uz compinit; compinit -D; "
                           "print $_comps[coregov] $_comps[coregovd]")
        self.assertEqual(found, "_coregov _coregov\n")

    def test_fish_finds_them(self):
        for command, option in (("coregov run", "--deadline"), ("coregovd", "--check-config")):
            self.assertIn(option, self.shell("fish", f"complete -C '{command} --'"))

    def test_manual(self):
        """Every page, in the folder of its section, and nothing else there."""
        pages = sorted(path.name for path in (SOURCE / "man").glob("*.[1-8]"))
        self.assertGreater(len(pages), 20)
        folder = self.below(pathlib.Path(OPTIONS["prefix"], OPTIONS["mandir"]))
        self.assertEqual(sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")),
                         sorted(f"man{name[-1]}/{name}" for name in pages))
        if not shutil.which("man"):
            self.skipTest("there is no man to find them")
        for page in pages:
            name, section = page.rsplit(".", 1)
            done = subprocess.run(["man", "-w", section, name], capture_output=True, text=True,
                                  check=False, env={**os.environ, "MANPATH": str(folder)})
            self.assertEqual(done.stdout.strip(), str(folder / f"man{section}" / page))

    def test_units(self):
        """For the machine and for each user, and what starts them by a call."""
        units = pathlib.Path(OPTIONS["prefix"], "lib/systemd")
        for kind, services in (("system", "system-services"), ("user", "services")):
            for unit in ("coregovd.service", "coregov.slice"):
                self.assertTrue(self.below(units / kind / unit).is_file(), f"{kind} {unit}")
            text = self.below(units / kind / "coregovd.service").read_text(encoding="ascii")
            program = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)[1]
            self.assertTrue(os.access(self.below(program), os.X_OK), program)
            name = self.below(SHARE / "dbus-1" / services / "org.coregov.Governor1.service")
            self.assertIn("SystemdService=dbus-org.coregov.Governor1.service",
                          name.read_text(encoding="ascii"))
        for option, name in (("dbus-policy-dir", "org.coregov.Governor1.conf"),
                             ("polkit-actions-dir", "org.coregov.policy"),
                             ("catalog-dir", "coregov.catalog")):
            self.assertTrue(self.below(pathlib.Path(OPTIONS[option], name)).is_file(), name)


if __name__ == "__main__":
    tap.main()
