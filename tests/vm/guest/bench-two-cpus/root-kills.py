#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd is killed 200 times under a bundle that is submitted to it: against the same bundle without.
Some 1100 s. deadline: 1800 s"""

import sys

import kills

N_KILLS = 200
SECONDS = 500
# A CPU of an emulator is busy for a third of the time with governors that start: the tasks cannot have all of the
# budget.
LOAD = 0.35


def figure(name, value, limit, is_ok):
    print(f"{name} {value} {limit} {'ok' if is_ok else 'short'}")
    return is_ok


def tell(what, outcome):
    print(f"{what}: {outcome.n_killed} kills in {outcome.killed_seconds:.0f} s of {SECONDS} s; "
          f"{outcome.result.get('used_cpu_seconds')} CPU seconds; reports {outcome.reports}; "
          f"outcomes {outcome.outcomes}; limits seen {outcome.sampler.limits}")
    if outcome.status != 0:
        print(outcome.said)


def main():
    killed = kills.Outcome(N_KILLS, SECONDS, LOAD)
    tell("killed", killed)
    most, found = killed.sampler.most_cpus(), list(killed.outcomes.values())
    n_lost = found.count("cancelled") + found.count("failed") + len(kills.NEEDS) - len(found)
    is_ok = all([
        figure("kills", killed.n_killed, N_KILLS, killed.n_killed == N_KILLS),
        figure("kills_most_cpus_in_10s", f"{most:.4f}", kills.BUDGET, most <= kills.BUDGET * 1.01),
        figure("kills_tasks_lost", n_lost, 0, n_lost == 0),
    ])
    plain = kills.Outcome(0, SECONDS, LOAD)
    tell("not killed", plain)
    kills.systemctl("stop", "coregovd")
    return figure("kills_kappa", killed.result["kappa"], plain.result["kappa"],
                  killed.result["kappa"] == plain.result["kappa"]) and is_ok


sys.exit(0 if main() else 1)
