# SPDX-License-Identifier: GPL-2.0-or-later
"""200 tasks at once: each in its place before its command begins, and no slot comes too late."""

import re
import signal
import time

import tap
from bus_case import PATH, PATIENCE
from test_bundle_submit import Bundles

N_TASKS = 200
SECONDS_MOST = 30
# What is printed first is what the command sees of itself when it begins.
COMMAND = "sh -c 'cat /proc/self/cgroup; exec sleep 1000'"
AROUND_SECONDS = 3


class Burst(Bundles):
    # Each has a share, and so begins.
    configuration = "[governor]\nbudget = 0.5cpu\npolicy = equal\n"

    def slots(self):
        """(made, missed)"""
        return tuple(int(self.get(PATH, name).split()[-1]) for name in ("NSlots", "NSlotsMissed"))

    def printed(self, i):
        path = self.folder / "out" / f"t{i}.out"
        return path.read_text() if path.exists() else ""

    def alive(self):
        return {name for name, task in self.tasks_now().items() if task["phase"] == "alive"}

    def test_all_at_once_and_a_reload(self):
        names = {f"t{i}" for i in range(N_TASKS)}
        self.start_daemon()
        began = time.monotonic()
        process = self.start(self.bundle({name: {
            "command": COMMAND, "deadline": "1000s", "target": "0.1", "feed": "none"}
            for name in sorted(names)}), "--submit", "--json", "--output", str(self.folder / "out"))
        self.until(lambda: all(map(self.printed, range(N_TASKS))) or process.poll() is not None)
        seconds = time.monotonic() - began
        for i in range(N_TASKS):
            self.assertRegex(self.printed(i), rf"coregovd-{self.daemon.pid}-\d+/\d+-t{i}\n")
        self.assertEqual(self.alive(), names)
        made, missed = self.slots()
        print(f"# {seconds:.1f} s, {made} slots made, {missed} missed")
        self.assertLess(seconds, SECONDS_MOST)
        self.assertEqual(missed, 0)
        self.assertGreater(made, 0)
        # The configuration is read again under all of them.
        (self.folder / "xdg" / "coregov" / "coregov.conf").write_text(
            "[governor]\nbudget = 0.4cpu\npolicy = equal\n")
        self.daemon.send_signal(signal.SIGHUP)
        self.until(lambda: "budget 0.4cpu" in self.coregov("list")[1])
        time.sleep(AROUND_SECONDS)
        after = self.slots()
        self.assertGreaterEqual(after[0], made + AROUND_SECONDS - 1)
        self.assertEqual(after[1], 0)
        self.assertEqual(self.alive(), names)
        process.terminate()
        process.communicate(timeout=PATIENCE)
        self.until(lambda: not self.tasks_now())
        # Each is told whole in the journal.
        told = self.log.read_text()
        for kind in ("start: begun", "share ", "cancelled", "stopping: ", "ended"):
            found = re.findall(rf"(?m)^task (t\d+): {kind}", told)
            self.assertEqual(set(found), names, kind)
        self.daemon.terminate()  # at its end it says what was left out
        self.assertEqual(self.daemon.wait(PATIENCE), 0)
        self.assertNotIn("left-out", self.log.read_text())


if __name__ == "__main__":
    tap.main()
