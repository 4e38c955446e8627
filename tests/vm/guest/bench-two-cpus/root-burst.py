#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""200 tasks that are submitted at once, and a configuration that is read again while they run. With two CPUs that
have a thread each, where the meter may not be attached (tests/vm/machine.py). tests/process/test_burst.py has the
same on the machine itself.

Twice: once each command says which group it is in when it begins, and once only that it has begun, for the times.
For /proc/self/cgroup the kernel holds the lock of all cgroups, also while the reader waits for its next period, and
whoever makes a group or thaws one waits with it, for up to a second here. deadline: 600 s"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import inside
import kills

N_TASKS = 200
SECONDS_MOST = 30
SAYS_GROUP = "sh -c 'read group </proc/self/cgroup; echo $group; exec sleep 1000'"
SAYS_BEGUN = "sh -c 'echo begun; exec sleep 1000'"
SETTLE_SECONDS = 5


def figure(name, value, limit, is_ok):
    print(f"{name} {value} {limit} {'ok' if is_ok else 'short'}")
    return is_ok


def properties(*names):
    words = subprocess.run(
        ["busctl", "get-property", "org.coregov.Governor1", "/org/coregov/Governor1",
         "org.coregov.Governor1", *names], text=True, capture_output=True, check=True).stdout.split()
    return [int(word) for word in words[1::2]]


def slots():
    """(made, missed, late, and the most in microseconds)"""
    return properties("NSlots", "NSlotsMissed", "NSlotsLate", "WorstLatenessUSec")


def n_governed():
    """That have a group with a limit of their own. (To ask the governor would be one more message for it.)"""
    return sum(1 for path in inside.SLICE.glob("coregov-t*.scope/*-t*/cpu.max")
               if not inside.read(path).startswith("max"))


def alive():
    done = subprocess.run([inside.COREGOV, "list", "--json"], text=True, capture_output=True,
                          check=True)
    return [task for task in json.loads(done.stdout)["tasks"] if task["phase"] == "alive"]


def said(path):
    """What the command has printed, or "" as long as it has not."""
    text = path.read_text() if path.exists() else ""
    return text.strip() if text.endswith("\n") else ""


def submit(folder, command):
    text = "[bundle]\nbudget = 100%\n" + "".join(
        f"[task t{i}]\ncommand = {command}\ndeadline = 1000s\ntarget = 0.1\nfeed = none\n"
        for i in range(N_TASKS))
    (folder / "burst.bundle").write_text(text)
    began = time.monotonic()
    process = subprocess.Popen(
        [inside.COREGOV, "bundle", "--submit", "--json", "--output", folder, folder / "burst.bundle"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    outs = [folder / f"t{i}.out" for i in range(N_TASKS)]
    end, governed_seconds = began + 150, None
    while process.poll() is None and time.monotonic() < end and not all(map(said, outs)):
        if governed_seconds is None and n_governed() == N_TASKS:
            governed_seconds = time.monotonic() - began
        time.sleep(1)
    print(f"all have begun after {time.monotonic() - began:.1f} s")
    return process, governed_seconds or time.monotonic() - began, [said(path) for path in outs]


def cancel(process):
    process.send_signal(signal.SIGTERM)
    try:
        return process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[1]


def place(folder):
    process, _, groups = submit(folder, SAYS_GROUP)
    n_in_place = sum(re.search(rf"coregov-t{i}-[0-9a-f]+\.scope/\d+-t{i}$", group) is not None
                     for i, group in enumerate(groups))
    is_ok = figure("burst_governed_before_main", n_in_place, N_TASKS, n_in_place == N_TASKS)
    text = cancel(process)
    if not is_ok:
        print(groups, text[-2000:])
    return is_ok


def burst(folder):
    process, seconds, begun = submit(folder, SAYS_BEGUN)
    n_begun, n_alive = begun.count("begun"), len(alive())
    made, missed, late, worst = slots()
    print(f"{made} slots made in the burst, the worst late by {worst / 1000:.0f} ms")
    is_ok = all([
        figure("burst_begun", n_begun, N_TASKS, n_begun == N_TASKS),
        figure("burst_governed_seconds", f"{seconds:.1f}", SECONDS_MOST, seconds <= SECONDS_MOST),
        figure("burst_tasks_lost", N_TASKS - n_alive, 0, n_alive == N_TASKS),
        figure("burst_slots_missed", missed, 0, missed == 0),
        figure("burst_slots_late", late, 0, late == 0),
    ])
    time.sleep(SETTLE_SECONDS)
    before = slots()
    kills.CONF.write_text("[governor]\nbudget = 0.7cpu\npolicy = equal\nmeter = cgroup\n")
    began = time.monotonic()
    subprocess.run(["systemctl", "reload", "coregovd"], check=True)
    print(f"reload: {1000 * (time.monotonic() - began):.0f} ms")
    time.sleep(SETTLE_SECONDS)
    after = slots()
    n_alive = len(alive())
    print(f"{after[0] - before[0]} slots made around the reload, {after[2] - before[2]} of them late")
    is_ok &= figure("reload_slots_missed", after[1] - before[1], 0, after[1] == before[1])
    is_ok &= figure("reload_tasks_lost", N_TASKS - n_alive, 0, n_alive == N_TASKS)
    text = cancel(process)
    if not is_ok:
        print(text[-2000:])
    return is_ok


def main():
    kills.CONF.parent.mkdir(exist_ok=True)
    is_ok = True
    for part in (place, burst):
        # Each has a share, and so begins.
        kills.CONF.write_text("[governor]\nbudget = 0.8cpu\npolicy = equal\nmeter = cgroup\n")
        subprocess.run(["systemctl", "restart", "coregovd"], check=True)
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            is_ok &= part(pathlib.Path(folder))
        subprocess.run(["systemctl", "stop", "coregovd"], check=True)
    return 0 if is_ok else 1


sys.exit(main())
