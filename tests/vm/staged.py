# SPDX-License-Identifier: GPL-2.0-or-later
"""The second disk of a VM, of which one lies in BUILD/vm for all that run with a build:

    guest/     the runner and the scripts
    install/   what `meson install` makes
    build/     the test programs
    source/    what the scripts use of the sources
"""

import hashlib
import os
import pathlib
import re
import shutil
import tempfile

from image import locked, run_tool

HERE = pathlib.Path(__file__).resolve().parent
GUEST = HERE / "guest"
SOURCE = HERE.parent.parent
STAGED_SOURCES = ("examples", "learners", "tests")
UNSTAGED_OF_BUILD = re.compile(r"^(meson-.*|vm|__pycache__|.*\.p)$")
UNSTAGED_OF_SOURCE = re.compile(r"^(\.git|build.*|__pycache__)$")


def is_program(path):
    if not path.is_file() or not os.access(path, os.X_OK):
        return False
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def stage(build, folder):
    """What the guest finds on its second disk."""
    run_tool("meson", "install", "--quiet", "--no-rebuild", "-C", str(build), "--destdir",
             str(folder / "install"))
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(GUEST, folder / "guest", symlinks=True, ignore=ignored)
    for name in STAGED_SOURCES:
        shutil.copytree(SOURCE / name, folder / "source" / name, symlinks=True, ignore=ignored)
    for path in sorted((build / "tests").rglob("*")):
        if is_program(path):
            there = folder / "build" / path.relative_to(build)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, there)


def fingerprint(build):
    """Of all that stage() may take: another one as soon as a file is."""
    digest = hashlib.sha256()
    for base, left_out in ((build, UNSTAGED_OF_BUILD), (SOURCE, UNSTAGED_OF_SOURCE)):
        for folder, names, files in os.walk(base):
            names[:] = sorted(name for name in names if not left_out.search(name))
            for name in sorted(files):
                status = os.lstat(os.path.join(folder, name))
                digest.update(repr((folder, name, status.st_mtime_ns, status.st_size,
                                    status.st_mode)).encode())
    return digest.hexdigest()


def disk(build, n_bytes):
    """Its file, made anew when something on it is another."""
    folder = build / "vm"
    folder.mkdir(exist_ok=True)
    made_before, name = folder / "in.disk", folder / "in.name"
    with locked(folder / "in.lock"):
        now = fingerprint(build)
        if not made_before.exists() or not name.exists() or name.read_text() != now:
            with tempfile.TemporaryDirectory(prefix="in-", dir=folder) as scratch:
                tree, made = pathlib.Path(scratch, "in"), pathlib.Path(scratch, "disk")
                tree.mkdir()
                stage(build, tree)
                run_tool("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-E",
                         "root_owner=0:0", "-d", str(tree), str(made), f"{n_bytes >> 10}k")
                name.unlink(missing_ok=True)
                made.rename(made_before)
                name.write_text(now)
    return made_before
