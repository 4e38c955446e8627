# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of a budget is used where a task cannot use its share, and whether it comes back.

Three tasks with the same share: one sleeps and prints progress, one computes for 50 ms and waits for
50 ms, one is busy; in the end all three are. Used CPU time as part of the budget while they differ,
under `equal`, which gives on what is not used, against `fixed`, which gives every task the same third
for life: what `equal` shares would be without looking. The runs take turns; medians. The first figure
needs a machine that nothing else keeps busy. How long the sleeper took to get its third back, in slots.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile

COREGOV = os.environ["COREGOV"]
N_RUNS = 3
SETTLE_S, WAKE_S, END_S = 3, 8, 10
LIMIT_SLOTS = 2
BUDGET_TAKEN = 75

SLEEPS = f"""
import time
end = time.monotonic() + {WAKE_S}
while time.monotonic() < end:
    time.sleep(0.1)
    print("loss", 1)
while True: pass
"""
WAITS = f"""
import time
end = time.monotonic() + {WAKE_S}
while time.monotonic() < end:
    until = time.process_time() + 0.05
    while time.process_time() < until: pass
    time.sleep(0.05)
while True: pass
"""
PROGRAMS = {"sleeps": SLEEPS, "waits": WAITS, "busy": "while True: pass"}


def write_bundle(folder, names):
    path = os.path.join(folder, "bench.bundle")
    with open(path, "w", encoding="ascii") as file:
        file.write("[bundle]\nbudget = 0.9cpu\nslot = 200ms\n")
        for i, name in enumerate(names):
            program = os.path.join(folder, f"{name}.py")
            with open(program, "w", encoding="ascii") as to:
                to.write(PROGRAMS[name])
            file.write(f"[task {name}{i}]\ncommand = {sys.executable} {program}\n"
                       f"deadline = {END_S}s\non-deadline = stop\ntarget = 0.5\n")
    return path


def run(folder, names, policy):
    """Used by budget from SETTLE_S to WAKE_S, and the slots until the first task has its third."""
    trace = os.path.join(folder, "run.trace")
    process = subprocess.run([COREGOV, "bundle", write_bundle(folder, names), "--json", "--policy",
                              policy, "--trace", trace], capture_output=True, text=True, check=False)
    if process.returncode == BUDGET_TAKEN:
        print("demand skipped: another run on this machine has its CPUs")
        sys.exit(0)
    if process.returncode != 0:
        sys.exit(process.stderr)
    with sqlite3.connect(trace) as db:
        slots = db.execute("SELECT now_ns, budget_ns, used_ns FROM slots ORDER BY slot").fetchall()
        first = db.execute("SELECT now_ns, share_cpus, s.used_ns FROM slot_tasks s JOIN slots "
                           "USING (slot) WHERE task = 0 ORDER BY slot").fetchall()
        if db.execute("SELECT count(*) FROM slots WHERE granted_ns > budget_ns").fetchone()[0]:
            sys.exit("more was granted than the budget")
    used = budget = 0
    for (now_ns, budget_ns, _), (_, _, used_ns) in zip(slots, slots[1:]):
        if SETTLE_S * 1e9 <= now_ns < (WAKE_S - 0.5) * 1e9:
            used, budget = used + used_ns, budget + budget_ns
    # What it used is told with the next slot: the slot before that is the one in which it woke.
    woke = next(i for i, row in enumerate(first) if row[0] > WAKE_S * 1e9 and row[2] > 2e6) - 1
    back = next((i for i in range(woke + 1, len(first)) if first[i][1] > 0.299), len(first))
    return used / budget, back - woke, json.loads(process.stdout)["meter"]


def figure(name, value, limit, is_ok):
    print(f"{name} {value:.4g} {limit:g} {'ok' if is_ok else 'short'}", flush=True)
    return is_ok


def main():
    is_ok = True
    with tempfile.TemporaryDirectory(prefix="coregov-bench-") as folder:
        for what, names, least_used, least_gain in (
                ("sleeper", ("sleeps", "busy", "busy"), 0.97, 1.3),
                ("half_busy", ("sleeps", "waits", "busy"), None, 1.15)):
            given, fixed = [], []
            for _ in range(N_RUNS):
                given.append(run(folder, names, "equal"))
                fixed.append(run(folder, names, "fixed"))
            used = statistics.median(row[0] for row in given)
            gain = used / statistics.median(row[0] for row in fixed)
            slots = max(row[1] for row in given)
            print(f"{what}: meter {given[0][2]}, used "
                  + " ".join(f"{row[0]:.3f}" for row in given) + " against "
                  + " ".join(f"{row[0]:.3f}" for row in fixed), file=sys.stderr)
            if least_used:
                is_ok &= figure(f"{what}_used_of_budget", used, least_used, used >= least_used)
            is_ok &= figure(f"{what}_gain", gain, least_gain, gain >= least_gain)
            is_ok &= figure(f"{what}_slots_until_back", slots, LIMIT_SLOTS, slots <= LIMIT_SLOTS)
    sys.exit(not is_ok)


main()
