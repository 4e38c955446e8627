#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd is killed 200 times under a bundle that is submitted to it: against the same bundle without.
Some 1100 s. deadline: 1800 s"""

import sys

import kills

N_KILLS = 200
SECONDS = 500
LOAD = 0.5


def figure(name, value, limit, is_ok):
    print(f"{name} {value} {limit} {'ok' if is_ok else 'short'}")
    return is_ok


def main():
    killed = kills.Outcome(N_KILLS, SECONDS, LOAD)
    plain = kills.Outcome(0, SECONDS, LOAD)
    kills.systemctl("stop", "coregovd")
    print(f"{killed.n_killed} kills in {killed.killed_seconds:.0f} s of {SECONDS} s; CPU seconds "
          f"{plain.result.get('used_cpu_seconds')} without, {killed.result.get('used_cpu_seconds')} "
          f"with; reports {plain.reports} without, {killed.reports} with")
    print(f"outcomes {killed.outcomes}; limits seen {killed.sampler.limits}")
    if killed.status != 0:
        print(killed.said)
    most, n_lost = killed.sampler.most_cpus(), list(killed.outcomes.values()).count("cancelled") + \
        list(killed.outcomes.values()).count("failed") + len(kills.NEEDS) - len(killed.outcomes)
    return all([
        figure("kills", killed.n_killed, N_KILLS, killed.n_killed == N_KILLS),
        figure("kills_most_cpus_in_10s", f"{most:.4f}", kills.BUDGET, most <= kills.BUDGET * 1.01),
        figure("kills_tasks_lost", n_lost, 0, n_lost == 0),
        figure("kills_kappa", killed.result["kappa"], plain.result["kappa"],
               killed.result["kappa"] == plain.result["kappa"]),
    ])


sys.exit(0 if main() else 1)
