#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""figures.py BUILD BOOT: the benchmarks of tests/vm/guest/BOOT in a VM; prints their figures.

Beside them, without a limit, the share of the time in which the VM's CPUs wanted to run and did not get
a CPU of ours: a guest does not see that, it takes the time for its task's. Figures of single tasks mean
little where that is more than a few hundredths."""

import argparse
import pathlib
import sys
import time

import image
import machine
import saved


def waited_seconds(pid):
    """How long the threads of a process have waited for a CPU."""
    waited = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        waited += int((task / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return waited


def is_figure(text):
    words = text.split()
    return len(words) == 4 and words[3] in ("ok", "short") or words[1:2] == ["skipped:"]


def hear(vm, boot):
    is_ok, started, waited = True, time.monotonic(), waited_seconds(vm.qemu.pid)
    for message in vm.messages(machine.FIRST_SECONDS):
        if message["what"] == "booted":
            vm.tell()
        elif message["what"] == "say":
            print(message["text"], file=sys.stdout if is_figure(message["text"]) else sys.stderr,
                  flush=True)
        elif message["what"] == "result":
            is_ok = is_ok and message["is_ok"]
        elif message["what"] == "end":
            share = (waited_seconds(vm.qemu.pid) - waited) / (time.monotonic() - started)
            print(f"vm_{message['script']}_waited_for_cpu {share / machine.n_cpus(boot):.3f} - ok",
                  flush=True)
    return is_ok


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("boot", choices=machine.boots())
    args = parser.parse_args()
    machine.unwind_on_signals()
    try:
        # Where there are several CPUs, nothing is attached in there, and each has to keep its time.
        tcg = machine.TCG_PARALLEL if machine.n_cpus(args.boot) > 1 else machine.TCG
        with saved.start(args.boot, args.build.resolve(),
                         lambda text: print(text, file=sys.stderr), tcg=tcg) as vm:
            return 0 if hear(vm, args.boot) else 1
    except image.Lacking as lacking:
        print(f"vm skipped: {lacking}")
        return 0
    except image.Broken as broken:
        print(broken, file=sys.stderr)
        return 1


sys.exit(main())
