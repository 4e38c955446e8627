#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A CPU goes and comes back while a run is under way. deadline: 90 s"""

import json
import pathlib
import subprocess
import tempfile
import time

import inside
import tap

UNPLUGGED = """
[bundle]
budget = 0.8cpu
policy = equal
slot = 200ms
[task one]
command = sh -c "trap 'times; exit' TERM; while :; do :; done"
deadline = 5s
target = 0.5
on-deadline = stop
[task two]
command = sh -c "trap 'times; exit' TERM; while :; do :; done"
deadline = 5s
target = 0.5
on-deadline = stop
"""


class Unplugged(inside.Case):
    """The budget holds, the meter is right."""

    def plug(self, value):
        pathlib.Path("/sys/devices/system/cpu/cpu1/online").write_text(value, encoding="ascii")

    def unplug_during(self, *options):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "spin.bundle")
            path.write_text(UNPLUGGED, encoding="ascii")
            with subprocess.Popen([inside.COREGOV, "bundle", str(path), "--json", "--output",
                                   folder, *options], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True) as process:
                try:
                    for value in ("0", "1"):
                        time.sleep(1.5)
                        self.plug(value)
                finally:
                    self.plug("1")
                out, err = process.communicate(timeout=inside.PATIENCE)
            result = json.loads(out)
            for task in result["results"]:
                # "0m1.500s 0m0.010s" of the shell, and of its children.
                words = pathlib.Path(folder, f"{task['name']}.out").read_text().split()[:2]
                own = sum(60 * float(m) + float(s) for m, s in (
                    word.rstrip("s").split("m") for word in words))
                self.assertAlmostEqual(task["cpu_seconds"], own, delta=0.05 + 0.03 * own, msg=err)
        self.assertLessEqual(result["used_cpu_seconds"], 1.03 * result["budget_cpu_seconds"], err)
        self.assertGreater(result["used_cpu_seconds"], 0.5 * result["budget_cpu_seconds"], err)
        self.assert_nothing_left()

    def test_a_cpu_is_unplugged(self):
        self.unplug_during()
        self.unplug_during("--meter", "cgroup")


if __name__ == "__main__":
    tap.main()
