# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov show-config` from the outside: what it prints, where, and its exit status."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import tap

COREGOV = os.environ["COREGOV"]
EXAMPLE = os.environ["COREGOV_CONF"]
NOBODY = 65534
PATIENCE = 60

DONE, USAGE, DATA, PERMISSION = 0, 64, 65, 77


def run(*options, environment=None, **more):
    return subprocess.run([COREGOV, "show-config", *options], capture_output=True, text=True,
                          timeout=PATIENCE, check=False,
                          env={**os.environ, **(environment or {})}, **more)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "root"
        self.root.mkdir()

    def write(self, path, text):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text, encoding="utf-8")
        return full

    def show(self, *options, status=DONE, **more):
        result = run("--root", str(self.root), *options, **more)
        self.assertEqual(result.returncode, status, result.stderr)
        return result


class Shows(Case):
    def test_defaults(self):
        result = self.show()
        self.assertEqual(result.stderr, "")
        self.assertIn("\nbudget         = 100%       # default\n", result.stdout)
        self.assertIn("\nper-user-cpus  =            # default: no cap\n", result.stdout)

    def test_the_installed_file_is_the_defaults(self):
        plain = self.show().stdout.splitlines()
        shutil.copy(EXAMPLE, self.write("usr/lib/coregov/coregov.conf", ""))
        result = self.show()
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.stdout.splitlines()[1:], plain[1:])
        self.assertEqual(result.stdout.splitlines()[0],
                         f"# {self.root}/usr/lib/coregov/coregov.conf")

    def test_what_is_shown_reads_back(self):
        drop_in = self.write("etc/coregov/coregov.conf.d/50-lab.conf",
                             "[governor]\nbudget = 75%\npresets = '/a # b'\n"
                             "[user alice]\ntasks = 0\n")
        shown = self.show().stdout
        self.assertIn(f"\nbudget         = 75%        # {drop_in}:2\n", shown)
        drop_in.unlink()
        self.write("etc/coregov/coregov.conf", shown)
        result = self.show()
        self.assertEqual(result.stderr, "")
        values = [line.split(" # ")[0].rstrip() for line in shown.splitlines() if " = " in line]
        for line in values:
            self.assertIn("\n" + line, result.stdout)

    def test_json(self):
        vendor = self.write("usr/lib/coregov/coregov.conf", "[governor]\nslot = 2s\nmeter = proc\n")
        drop_in = self.write("run/coregov/coregov.conf.d/a.conf",
                             "[governor]\nmeter =\n[user alice]\ncpus = 1cpu\n")
        result = json.loads(self.show("--json").stdout)
        self.assertEqual(result["schema"], 1)
        self.assertEqual(result["files"], [str(vendor), str(drop_in)])
        found = {(s["section"], s["name"], s["key"]): (s["value"], s["file"], s["line"])
                 for s in result["settings"]}
        self.assertEqual(len(found), len(result["settings"]))
        self.assertEqual(found["governor", None, "slot"], ("2s", str(vendor), 2))
        self.assertEqual(found["governor", None, "meter"], ("auto", None, None))
        self.assertEqual(found["governor", None, "capacity"], (None, None, None))
        self.assertEqual(found["user", "alice", "cpus"], ("1cpu", str(drop_in), 4))
        self.assertEqual(found["user", "alice", "tasks"], (None, None, None))

    def test_parameters(self):
        shown = self.show().stdout
        self.assertIn("\n[policy core]\ncapacity-part  = 0.97       # default\n", shown)
        main = self.write("etc/coregov/coregov.conf",
                          "[policy core]\ncapacity-part = 0.9\nunseen-part = 0.3\ncharge-due = 1\n")
        drop_in = self.write("etc/coregov/coregov.conf.d/a.conf",
                             "# mine\n[policy core]\nunseen-part = 0.25 ; less\ncharge-due =\n")
        result = self.show()
        self.assertEqual(result.stderr, "")
        self.assertIn(f"\ncapacity-part  = 0.9        # {main}:2\n", result.stdout)
        self.assertIn(f"\nunseen-part    = 0.25       # {drop_in}:3\n", result.stdout)
        self.assertIn("\ncharge-due     = 0.03       # default\n", result.stdout)
        found = {s["key"]: (s["value"], s["file"], s["line"])
                 for s in json.loads(self.show("--json").stdout)["settings"]
                 if (s["section"], s["name"]) == ("policy", "core")}
        self.assertEqual(len(found), 11)
        self.assertEqual(found["unseen-part"], ("0.25", str(drop_in), 3))
        self.assertEqual(found["charge-due"], ("0.03", None, None))
        # Another policy decides: what is said of core waits, and is shown; else there is nothing of it.
        self.write("etc/coregov/coregov.conf.d/b.conf", "[governor]\npolicy = edf\n")
        self.assertIn("[policy core]", self.show().stdout)
        main.unlink()
        drop_in.unlink()
        self.assertNotIn("[policy", self.show().stdout)

    def test_user_files(self):
        self.write("home/u/coregov/coregov.conf", "[defaults]\ngrace = 3s\n")
        here = {"XDG_CONFIG_HOME": "/home/u"}
        self.assertIn("\ngrace          = 3s ", self.show("--user", environment=here).stdout)
        self.assertIn("\ngrace          = 10s ", self.show(environment=here).stdout)
        nowhere = {"XDG_CONFIG_HOME": "", "HOME": ""}
        result = self.show("--user", environment=nowhere, status=DATA)
        self.assertIn("neither XDG_CONFIG_HOME nor HOME", result.stderr)

    def test_unknown_is_told_and_passed_over(self):
        path = self.write("etc/coregov/coregov.conf", "[governor]\nsolt = 2s\nslot = 3s\n")
        result = self.show()
        self.assertEqual(result.stderr, f"coregov: {path}:2: unknown key 'solt' in [governor]; "
                                        "did you mean 'slot'? (ignored)\n")
        self.assertIn("\nslot           = 3s ", result.stdout)


class Checks(Case):
    def test_valid(self):
        self.write("etc/coregov/coregov.conf", "[governor]\nslot = 3s\n")
        result = self.show("--check")
        self.assertEqual((result.stdout, result.stderr), ("", ""))

    def test_unknown_is_valid(self):
        self.write("etc/coregov/coregov.conf", "[governer]\nslot = 3s\n")
        result = self.show("--check")
        self.assertIn(":1: unknown section [governer]; did you mean [governor]?", result.stderr)

    def test_wrong_unit(self):
        path = self.write("etc/coregov/coregov.conf", "[governor]\n\nslot = 3\n")
        for options in ([], ["--check"], ["--json"]):
            result = self.show(*options, status=DATA)
            self.assertEqual(result.stdout, "")
            self.assertIn(f"coregov: {path}:3: slot: '3' has no unit; write one of ms, s, min, h",
                          result.stderr)

    def test_parameters(self):
        path = self.write("etc/coregov/coregov.conf.d/a.conf", "[policy core]\nunseen-part = 2\n")
        for options in ([], ["--check"], ["--json"]):
            result = self.show(*options, status=DATA)
            self.assertEqual(result.stdout, "")
            self.assertEqual(result.stderr, f"coregov: {path}:2: unseen-part: '2' is outside the range; "
                                            "expected a number from 0.01 to 1\n")
        path.write_text("[policy core]\nunsen-part = 2\n[policy cor]\nunseen-part = 2\n")
        result = self.show("--check")
        self.assertEqual(result.stderr, f"coregov: {path}:2: unknown key 'unsen-part' in [policy core]; did "
                                        "you mean 'unseen-part'? (ignored)\n"
                                        f"coregov: {path}:3: unknown policy in [policy cor]; did you mean "
                                        "[policy core]? (ignored with all that is in it)\n")

    def test_not_a_text(self):
        (self.write("etc/coregov/coregov.conf", "")).write_bytes(b"[governor]\nslot = \x00\n")
        self.assertIn(":2: a NUL byte", self.show("--check", status=DATA).stderr)

    def test_root_that_is_not_there(self):
        result = run("--root", str(self.root / "none"))
        self.assertEqual(result.returncode, DATA)
        self.assertIn("No such file or directory", result.stderr)

    def test_what_the_machine_has(self):
        plain = run("--json")
        if plain.returncode != DONE or any(s["file"] for s in json.loads(plain.stdout)["settings"]):
            self.skipTest("this machine has a configuration of its own")
        path = self.write("coregov/coregov.conf", "[governor]\nbudget = 100000cpu\n")
        here = {"XDG_CONFIG_HOME": str(self.root)}
        result = run("--user", "--check", environment=here)
        self.assertEqual(result.returncode, DATA)
        self.assertIn(f"{path}:2: budget: the budget of 100000 CPUs is above the ", result.stderr)
        self.assertIn("this machine can give", result.stderr)
        # That is not known of another machine.
        self.write("etc/coregov/coregov.conf", path.read_text(encoding="utf-8"))
        self.show("--check")

    def test_no_permission(self):
        self.write("etc/coregov/coregov.conf", "[governor]\n").chmod(0)
        more = {}
        if os.geteuid() == 0:
            more = {"user": NOBODY}
            self.root.parent.chmod(0o755)
            try:
                run("--help", **more)
            except PermissionError:
                self.skipTest(f"user {NOBODY} may not run {COREGOV}")
        self.assertIn("Permission denied", self.show("--check", status=PERMISSION, **more).stderr)


class Usage(Case):
    def refused(self, words, *options):
        result = run(*options)
        self.assertEqual(result.returncode, USAGE)
        self.assertEqual(result.stdout, "")
        self.assertIn(words, result.stderr)

    def test_wrong_command_lines(self):
        self.refused("unknown option '--jason'", "--jason")
        self.refused("--root needs a value", "--root")
        self.refused("'x' is too many", "x")
        self.refused("leave --json out", "--check", "--json")

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([COREGOV, "show-config", "--root", str(self.root)],
                                    stdout=full, stderr=subprocess.PIPE, text=True,
                                    timeout=PATIENCE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("No space left", result.stderr)


if __name__ == "__main__":
    tap.main()
