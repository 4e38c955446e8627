#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `coregov run -- true` takes, against `systemd-run --scope -- true`: 30 of each, by turns. With the
configuration as it is shipped: where the budget is half a CPU, the command itself takes twice as long.
deadline: 300 s"""

import statistics
import subprocess
import sys
import time

import inside
import kills

N_RUNS = 30
RATIO_MOST = 1.3
COMMANDS = {
    "coregov": [inside.COREGOV, "run", "--", "true"],
    "systemd": ["systemd-run", "--scope", "--quiet", "--", "true"],
    "plain": ["true"],
}


def main():
    kills.CONF.unlink(missing_ok=True)
    subprocess.run(["systemctl", "restart", "coregovd"], check=True)
    seconds = {name: [] for name in COMMANDS}
    for _ in range(N_RUNS):
        for name, words in COMMANDS.items():
            began = time.monotonic()
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)
            seconds[name].append(time.monotonic() - began)
    subprocess.run(["systemctl", "stop", "coregovd"], check=True)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print("; ".join(f"{name} {1000 * min(values):.1f} to {1000 * max(values):.1f} ms, median "
                    f"{1000 * median[name]:.1f} ms" for name, values in seconds.items()))
    ratio = median["coregov"] / median["systemd"]
    print(f"run_against_systemd_run {ratio:.2f} {RATIO_MOST} {'ok' if ratio <= RATIO_MOST else 'short'}")
    return 0 if ratio <= RATIO_MOST else 1


sys.exit(main())
