# SPDX-License-Identifier: GPL-2.0-or-later
"""One VM: what goes in, how it is started, what it says, how it ends.

    disk 1   the image or a kept machine's disk, never written to (a snapshot is)
    disk 2   in (staged.py)
    disk 3   out: a tar archive that the guest writes at the end
    line 1   the console
    line 2   what recipe/hold and guest/runner say, a JSON object a line (Machine.messages()), and
             the one line that they are told

All but the first two are there for this one run only. Under KVM where it works; else qemu translates the
code (TCG), which is some 20 times slower and needs nothing.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

import staged
from image import Broken
from staged import GUEST

QEMU = "qemu-system-x86_64"
MEMORY_MIB = 1024
# A machine that goes on from where it was saved has disks of the sizes that it had.
IN_BYTES = 512 << 20
OUT_BYTES = 512 << 20
PROBE_SECONDS = 5
PROGRAMS = {QEMU: "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs",
            "setpriv": "util-linux"}
FIRST_SECONDS = 90  # measured: 9 to 14; on a machine with other things to do longer
BETWEEN_SECONDS = 60  # between two scripts; after the last the journal is read and packed
LOOK_SECONDS = 1  # whether qemu is there at all
MONITOR_SECONDS = 120
PANIC = re.compile(r"Kernel panic[^\n]*")

# The first disk as qemu is told: of an image; of a machine that is to be kept, and is.
DISK = "format=raw,file={}/disk,snapshot=on"
WRITTEN_DISK = "format=qcow2,file={}/disk,cache=unsafe"
KEPT_DISK = "format=qcow2,file={}/disk,snapshot=on"

# What is left out: probing devices that are not there, and defences that guard nobody here.
KERNEL = ("console=ttyS0 SYSTEMD_COLORS=0 TERM=dumb root=/dev/vda rw panic=-1 quiet loglevel=4 mitigations=off "
          "init_on_alloc=0 systemd.show_status=1 net.ifnames=0")


def base_command(accelerator, image, arguments, n_cpus=1):
    # Whatever becomes of us, no VM is left.
    return ["setpriv", "--pdeathsig", "KILL", QEMU, "-machine", "q35", *accelerator, "-smp",
            str(n_cpus), "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display",
            "none", "-no-reboot",
            "-kernel", str(image / "kernel"), "-initrd", str(image / "initrd"), "-append",
            arguments]


# All CPUs of a guest in one thread: with a thread each, Linux 6.1 does not bear that the code of
# tracepoints is patched again and again, as attaching the meter does.
TCG = ["-accel", "tcg,thread=single", "-cpu", "Nehalem"]
TCG_PARALLEL = ["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]
KVM = ["-accel", "kvm", "-cpu", "host"]


def why_no_kvm(image):
    """None where a kernel starts under KVM. That /dev/kvm opens does not mean that it does."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not there for us"
    # Without a disk a kernel that starts panics within a second, and qemu ends.
    command = base_command(KVM, image, "console=ttyS0 panic=-1")
    try:
        done = subprocess.run([*command, "-serial", "stdio"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"a kernel did not start under it within {PROBE_SECONDS} s"
    if b"Linux version" in done.stdout:
        return None
    errors = done.stderr.decode(errors="replace").split("\n")[0]
    return errors.replace(f"{QEMU}: ", "") or f"qemu ended with status {done.returncode}"


def accelerator(image, say, tcg=TCG):
    reason = why_no_kvm(image)
    say("accelerator kvm" if not reason else f"accelerator tcg (kvm: {reason})")
    return tcg if reason else KVM


def empty_disk(path, n_bytes):
    with open(path, "wb") as file:
        file.truncate(n_bytes)
    return path


def boots():
    return sorted(path.name for path in GUEST.iterdir() if path.is_dir())


def scripts(boot, pattern):
    """As guest/runner will find them."""
    return [path for path in (GUEST / boot).iterdir()
            if path.name.startswith(("root-", "user-")) and path.match(pattern)
            and os.access(path, os.X_OK)]


def n_cpus(boot):
    """As the file `cpus` of a boot says. One, unless it is about more: a CPU that qemu lets wait for
    another one is charged for the time, and less is done in the end."""
    cpus = GUEST / boot / "cpus"
    return int(cpus.read_text()) if cpus.exists() else 1


def kernel_arguments(boot, more=""):
    """A boot is a folder of scripts; its file `kernel` has what the kernel is told beside."""
    path = GUEST / boot / "kernel"
    return " ".join([KERNEL, *path.read_text().split()] if path.exists() else [KERNEL]) + f" {more}"


class Machine:
    """A running VM, and a context that ends it. `command` is the base_command(); `disk` is what qemu is
    told of the first disk (see DISK, KEPT_DISK); `build` of what is on the second, nothing without one.
    `words` is what the guest is told when it has booted. `memory` is the open file of the memory with
    which it goes on (saved.py), and `before` what its console had said until then."""

    def __init__(self, command, disk, *, build=None, words="", memory=None, before="",
                 on_terminal=False):
        command = list(command)
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="coregov-vm-"))
        self.words, self.is_told, self.before = words, False, before
        self.may_begin_amid_a_line = memory is not None  # it was saved while it said something
        try:
            self.console = self.scratch / "console"
            self.out_disk = empty_disk(self.scratch / "out.disk", OUT_BYTES)
            in_disk = staged.disk(build, IN_BYTES) if build else \
                empty_disk(self.scratch / "in.disk", IN_BYTES)
            for number, options in enumerate((
                    disk, f"format=raw,file={in_disk},readonly=on",
                    f"format=raw,file={self.out_disk},cache=unsafe")):
                command += ["-drive", f"if=none,id=d{number},{options}",
                            "-device", f"virtio-blk-pci,drive=d{number}"]
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(self.scratch / "line"))
            self.listener.listen()
            self.line = None
            if on_terminal:
                command += ["-serial", "mon:stdio"]
            else:
                command += ["-serial", f"file:{self.console}", "-monitor", "stdio"]
            command += ["-serial", f"unix:{self.scratch}/line"]
            if memory:
                command += ["-incoming", f"fd:{memory.fileno()}"]
            pipe = None if on_terminal else subprocess.PIPE
            with open(self.scratch / "errors", "wb") as errors:
                self.qemu = subprocess.Popen(
                    command, stdin=pipe, stdout=pipe, stderr=None if on_terminal else errors,
                    pass_fds=[memory.fileno()] if memory else [],
                    start_new_session=not on_terminal)
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise
        self.started = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()
        self.listener.close()
        if self.line:
            self.line.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def console_text(self):
        with contextlib.suppress(OSError):
            lines = self.console.read_text(errors="replace").replace("\r", "").splitlines()
            return self.before + "".join(f"{line}\n" for line in lines if line)
        return self.before

    def _why_it_ended(self):
        panic = PANIC.search(self.console_text())
        if panic:
            return panic[0]
        errors = (self.scratch / "errors").read_text(errors="replace").strip()
        return errors or f"the machine ended by itself, status {self.qemu.wait()}"

    def _heard(self, seconds):
        """The bytes that come next, none when there is no more; None when nothing comes."""
        if not self.line:
            if not select.select([self.listener], [], [], min(seconds, LOOK_SECONDS))[0]:
                return b"" if self.qemu.poll() is not None else None
            self.line, _ = self.listener.accept()
        if not select.select([self.line], [], [], seconds)[0]:
            return None
        with contextlib.suppress(ConnectionResetError):
            return self.line.recv(65536)
        return b""

    def monitor(self, *commands):
        """Tells them to qemu, of which the last is to end it. What it answers."""
        try:
            answer, _ = self.qemu.communicate("".join(f"{line}\n" for line in commands).encode(),
                                              timeout=MONITOR_SECONDS)
        except subprocess.TimeoutExpired as expired:
            raise Broken(f"qemu is not done within {MONITOR_SECONDS} s") from expired
        return answer.decode(errors="replace")

    def tell(self):
        """What the guest waits for when it has booted."""
        if not self.is_told:
            self.line.sendall(f"{time.time()} {self.words}\n".encode())
            self.is_told = True

    def messages(self, first_seconds):
        """What the guest says, until it is done:

            booted                                     it waits for tell()
            ready     kernel                           the first test is next
            start     script, seconds                  and it will end within so many
            result    script, is_ok, name, directive   one line of TAP
            say       script, text                     any other line
            end       script, seconds                  and it has taken so many
            done                                       the out disk is written

        Raises Broken when the guest panics, ends, or is silent for longer than it may be: up to the
        first message `first_seconds`."""
        buffer, end = b"", self.started + first_seconds
        expected = f"nothing heard from inside within {first_seconds:g} s"
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise Broken(expected)
            data = self._heard(left)
            if data is None:
                continue
            if not data:
                raise Broken(self._why_it_ended())
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError as error:
                    if self.may_begin_amid_a_line:
                        continue
                    raise Broken(f"not a message: {line!r}") from error
                finally:
                    self.may_begin_amid_a_line = False
                yield message
                if message["what"] == "done":
                    return
                if message["what"] == "start":
                    end = time.monotonic() + message["seconds"] + BETWEEN_SECONDS
                    expected = f"{message['script']}: the guest hangs"
                elif message["what"] in ("ready", "end"):
                    end = time.monotonic() + BETWEEN_SECONDS
                    expected = "the guest hangs between two scripts"

    def unpack(self, folder):
        """What the guest brought back. The guest has written it all when it is done."""
        with tarfile.open(self.out_disk, "r:") as archive:
            for member in archive:
                # Names from inside are not trusted with a path out here.
                if member.isfile():
                    member.name = member.name.replace("..", "_").lstrip("/")
                    archive.extract(member, folder, set_attrs=False)


def interrupted(*_):
    """A signal unwinds, so that the VM is ended and the scratch folder goes."""
    raise SystemExit(143)


def unwind_on_signals():
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
