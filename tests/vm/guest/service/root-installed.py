#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `meson install` has put where a machine looks for it: manual pages, completions."""

import pathlib
import re
import subprocess

import inside
import tap

MAN = pathlib.Path("/usr/local/share/man")


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Installed(inside.Case):
    def test_manual(self):
        """By name, as it is typed; where two have one, by the section."""
        pages = sorted(MAN.rglob("*.[1-8]"))
        for page in pages:
            name, section = page.name.rsplit(".", 1)
            self.assert_found(page, section, name)
        commands = re.findall(r"^  ([a-z-]+)  +\S", said(inside.COREGOV, "--help"), re.MULTILINE)
        self.assertIn("run", commands)
        for command in commands:
            self.assert_found(MAN / "man1" / f"coregov-{command}.1", f"coregov-{command}")
        self.assert_found(MAN / "man8/coregovd.8", "coregovd")

    def assert_found(self, page, *words):
        """On Debian /usr/local/man leads there, too."""
        self.assertTrue(page.samefile(said("man", "-w", *words).strip()), page)

    def test_completions_of_bash(self):
        """As the first Tab behind the command's name has them loaded."""
        for command in ("coregov", "coregovd"):
            found = said("bash", "-c", ". /usr/share/bash-completion/bash_completion; "
                         f"_completion_loader {command}; complete -p {command}")
            self.assertRegex(found, rf"^complete .*-F _\w+ {command}\n$")


tap.main()
