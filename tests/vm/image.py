# SPDX-License-Identifier: GPL-2.0-or-later
"""The image that the VMs run from: a disk, its kernel and initrd, made by tests/vm/recipe.

It is kept in ${XDG_CACHE_HOME:-~/.cache}/coregov/vm/HASH, HASH being that of everything it is made
from. Nobody writes to these files afterwards; beside them are the machines that saved.py keeps. It is made aside and renamed when it is whole, under a lock, so
that of several runs at once one makes it and the others wait.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

RECIPE = pathlib.Path(__file__).resolve().parent / "recipe"
PROGRAMS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "unshare": "util-linux"}
# mmdebstrap without root works in a user name space with many users.
USER_PROGRAMS = {"newuidmap": "uidmap"}
MAKE_SECONDS = 600  # measured: 40 on two cores
KEPT = 3  # images of other recipes: branches are switched between

OPTIONS = (
    "--variant=minbase",
    "--format=null",
    "--aptopt=Acquire::Retries 3",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
)
SUITE = "bookworm"
# No initrd of Debian's, which takes longer to make: recipe/init does what is needed.
ENVIRONMENT = {"INITRD": "No"}


class Lacking(Exception):
    """This machine lacks something; the text says what, and how to get it."""


class Broken(Exception):
    """What should have worked did not."""


def search_path():
    """mke2fs is in sbin, which a plain user's PATH lacks."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run_tool(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "PATH": search_path()},
                          check=False)
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")
        raise Broken(f"{output}{command[0]}: exit status {done.returncode}")


def require(programs):
    if os.geteuid() != 0:
        programs = programs | USER_PROGRAMS
    missing = [f"{program} (package {package})" for program, package in programs.items()
               if not shutil.which(program, path=search_path())]
    if missing:
        raise Lacking(f"not installed: {', '.join(missing)}; `./setup install test` installs them")


def recipe_hash():
    digest = hashlib.sha256(repr((OPTIONS, SUITE, ENVIRONMENT)).encode())
    for path in sorted(RECIPE.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "coregov" / "vm"


def packages():
    lines = (RECIPE / "packages").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@contextlib.contextmanager
def locked(path):
    with open(path, "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_mmdebstrap(folder, log):
    hook = f'"{RECIPE}/customise" "$1" "{folder}/disk" "{folder}/kernel" "{folder}/initrd"'
    command = ["mmdebstrap", *OPTIONS, f"--include={','.join(packages())}",
               f"--customize-hook={hook}", SUITE, "/dev/null"]
    with open(log, "wb") as file:
        try:
            status = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT, "PATH": search_path()}, check=False,
                timeout=MAKE_SECONDS).returncode
        except subprocess.TimeoutExpired:
            status = f"none after {MAKE_SECONDS} s"
    if status != 0:
        end = log.read_text(errors="replace").splitlines()[-40:]
        raise Broken("\n".join([*end, f"mmdebstrap made no image: exit status {status}"]))


def make_image(folder):
    """Makes it in a temporary folder and copies it: a plain user is root in a name space for the
    purpose, which out here is a user who cannot enter a home."""
    with tempfile.TemporaryDirectory(prefix="coregov-image-") as scratch:
        if os.geteuid() != 0:
            os.chmod(scratch, 0o777)
        run_mmdebstrap(scratch, folder / "log")
        for name in ("disk", "kernel", "initrd"):
            subprocess.run(["cp", "--sparse=always", f"{scratch}/{name}", folder / name],
                           check=True)


def forget_old(folders, used, n_kept):
    """Those used last stay beside the one in use. One that a VM runs from can go: its files are open."""
    others = [path for path in folders if path.is_dir() and path != used]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-n_kept]:
        shutil.rmtree(path, ignore_errors=True)


def image(say):
    """The folder with `disk`, `kernel` and `initrd`, made first where it is not there."""
    cache = cache_folder()
    folder = cache / recipe_hash()
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "lock"):
        if not folder.exists():
            started = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="new-", dir=cache) as scratch:
                made = pathlib.Path(scratch) / "image"
                made.mkdir()
                make_image(made)
                made.rename(folder)
            say(f"image {folder.name} made in {time.monotonic() - started:.0f} s")
        else:
            say(f"image {folder.name} from the cache")
        os.utime(folder)
        forget_old(cache.iterdir(), folder, KEPT)
    return folder
