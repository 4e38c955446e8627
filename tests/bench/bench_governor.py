# SPDX-License-Identifier: GPL-2.0-or-later
"""What the governor itself uses: 20 tasks that report all the time, slots of 1 s.

CPU time of the governor and its keeper as part of one CPU over 20 s after the first slots, and
the largest resident memory of the governor. The tasks replay a curve, so that they report through
the page; half of them print lines instead.
"""

import os
import subprocess
import sys
import tempfile
import time

COREGOV = os.environ["COREGOV"]
N_TASKS, SETTLE_SECONDS, SECONDS = 20, 3, 20
LIMIT_PART, LIMIT_MB = 0.005, 20

PRINTS = "import time\nn = 0\nwhile True:\n time.sleep(0.2)\n n += 1\n print('step', n, 'loss', 1 / n)"


def write_bundle(folder):
    with open(os.path.join(folder, "curve.csv"), "w", encoding="ascii") as file:
        file.write("cpu_seconds,loss\n")
        file.writelines(f"{i / 100},{1 / i}\n" for i in range(1, 1000))
    with open(os.path.join(folder, "prints.py"), "w", encoding="ascii") as file:
        file.write(PRINTS)
    path = os.path.join(folder, "bench.bundle")
    with open(path, "w", encoding="ascii") as file:
        file.write("[bundle]\nbudget = 0.5cpu\npolicy = core\n")
        for i in range(N_TASKS):
            what = ("curve = curve.csv" if i % 2
                    else f"command = {sys.executable} {folder}/prints.py")
            file.write(f"[task t{i}]\n{what}\ndeadline = 1h\ntarget = 0.0000001\n")
    return path


def run_seconds(pid):
    """By the scheduler's own account: exact where ticks are not."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def all_threads(pid):
    return sum(run_seconds(f"{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task"))


def peak_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def figure(name, value, limit, unit):
    is_ok = value <= limit
    print(f"{name} {value:.4g}{unit} {limit:g}{unit} {'ok' if is_ok else 'short'}", flush=True)
    return is_ok


def main():
    with tempfile.TemporaryDirectory(prefix="coregov-bench-") as folder:
        process = subprocess.Popen([COREGOV, "bundle", write_bundle(folder)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            time.sleep(SETTLE_SECONDS)
            if process.poll() is not None:
                sys.exit(process.stderr.read().decode())
            with open(f"/proc/{process.pid}/task/{process.pid}/children",
                      encoding="ascii") as file:
                pids = [process.pid, int(file.read().split()[0])]
            before, start = sum(map(all_threads, pids)), time.monotonic()
            time.sleep(SECONDS)
            used = sum(map(all_threads, pids)) - before
            part, memory = used / (time.monotonic() - start), peak_mb(process.pid)
        finally:
            process.terminate()
            process.communicate()
    is_ok = figure("governor_part_of_one_cpu", part, LIMIT_PART, "")
    is_ok &= figure("governor_memory", memory, LIMIT_MB, "MB")
    sys.exit(not is_ok)


main()
