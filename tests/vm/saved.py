# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines that have booted, kept: each boot of a suite goes on from there, without booting again.

To boot takes most of what a small boot costs, and it is the same for all that are told the same: the
image's kernel and services, nothing of coregov. So it is done once for each image, kernel command
line, kind and number of CPUs and version of qemu, up to where recipe/hold waits to be told what to run;
then the memory is written to a file, as a migration is. They are kept with the image:

    booted-HASH/disk      what has been written to the image's disk since
    booted-HASH/memory    and everything else
    booted-HASH/console   what the kernel and systemd have said

Under KVM, where a boot takes seconds and the CPU is the host's, none is kept; nor of a kernel that is
told something for one run.
"""

import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

import image
import machine

KEPT = 8  # of one image: as many boots with arguments of their own


def name_of(command):
    version = subprocess.run([machine.QEMU, "--version"], stdout=subprocess.PIPE, check=True,
                             text=True).stdout
    what = [version, command, machine.IN_BYTES, machine.OUT_BYTES]
    return f"booted-{hashlib.sha256(repr(what).encode()).hexdigest()[:16]}"


def save(command, scratch):
    """Boots it and writes what there is then to the folder `scratch`, which is beside `disk`."""
    image.run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../disk",
                   str(scratch / "disk"))
    disk = machine.WRITTEN_DISK.format(scratch)
    with machine.Machine(command, disk) as vm:
        try:
            next(vm.messages(machine.FIRST_SECONDS))
        except image.Broken as broken:
            raise image.Broken(f"{vm.console_text()}{broken}") from broken
        answer = vm.monitor("migrate_set_parameter max-bandwidth 16G",
                            f"migrate \"exec:cat >{shlex.quote(str(scratch / 'memory'))}\"", "quit")
        if vm.qemu.returncode != 0 or "rror" in answer or not (scratch / "memory").exists():
            raise image.Broken(f"{answer}qemu did not save the machine that has booted")
        (scratch / "console").write_text(vm.console_text())


def booted(folder, command, say):
    """The folder with a machine that has booted, made first where it is not there."""
    kept = folder / name_of(command)
    with image.locked(folder / f"{kept.name}.lock"):
        if not kept.exists():
            started = time.monotonic()
            scratch = pathlib.Path(tempfile.mkdtemp(prefix="new-", dir=folder))
            try:
                save(command, scratch)
                scratch.rename(kept)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            say(f"booted, and saved as {kept.name}, in {time.monotonic() - started:.0f} s")
        else:
            say(f"booted before: {kept.name}")
        os.utime(kept)
        image.forget_old(folder.glob("booted-*"), kept, KEPT)
    return kept


def start(boot, build, say, *, words="", kernel="", tcg=machine.TCG, on_terminal=False):
    """The Machine of a boot (tests/vm/guest/BOOT), which is told `words`. With more for its `kernel` it
    boots for itself. Raises Lacking where VMs cannot be had."""
    image.require(image.PROGRAMS | machine.PROGRAMS)
    folder = image.image(say)
    options = machine.accelerator(folder, say, tcg)
    command = machine.base_command(options, folder, machine.kernel_arguments(boot, kernel),
                                   machine.n_cpus(boot))
    others = {"build": build, "words": f"vm.boot={boot} {words}", "on_terminal": on_terminal}
    if kernel or options is machine.KVM:
        return machine.Machine(command, machine.DISK.format(folder), **others)
    kept = booted(folder, command, say)
    with open(kept / "memory", "rb") as memory:
        return machine.Machine(command, machine.KEPT_DISK.format(kept), memory=memory,
                               before=(kept / "console").read_text(), **others)
