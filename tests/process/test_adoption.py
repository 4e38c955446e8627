# SPDX-License-Identifier: GPL-2.0-or-later
"""A coregovd that is killed, ended, or started anew under tasks that run: the next one goes on with them."""

import glob
import json
import os
import resource
import signal
import subprocess
import time

import tap
from bus_case import COREGOV, NAME, PATH, PATIENCE
from test_coregovd import BUDGET, COREGOVD, DATA, LEARNERS, SPIN, Service, groups

# Says a loss that falls by .001 every 20 ms, for eight seconds.
FALLS = "i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo step $i loss 0.$((999 - i)); sleep 0.02; done"


# Is asked to stop, and takes a second for it in which it wants to be sure.
STOPS = """
import sys, time
import coregov
coregov.report(1, loss=1.0)
while not coregov.should_stop():
    time.sleep(0.01)
print("stop", flush=True)
end = time.monotonic() + 2
while time.monotonic() < end:
    if not coregov.should_stop():
        sys.exit(7)
    time.sleep(0.01)
print("saved")
"""

# Of a file, where more is refused: more than a progress page has, less than two tasks need.
ROOM = 32768


class Adoption(Service):
    def start_daemon(self, *options, preexec_fn=None):
        runtime = self.folder / "run"
        runtime.mkdir(exist_ok=True)
        self.env["XDG_RUNTIME_DIR"] = str(runtime)
        self.ledger = runtime / "coregov" / "tasks"
        if preexec_fn is None:
            return super().start_daemon(*options)
        with open(self.log, "ab") as log:
            daemon = subprocess.Popen([COREGOVD, "--user", *options], env=self.env, stderr=log,
                                      stdin=subprocess.DEVNULL, preexec_fn=preexec_fn)
        self.addCleanup(self.stop, daemon)
        self.until(lambda: daemon.poll() is not None or self.coregov("list")[0] == 0)
        return daemon

    def kill(self):
        self.daemon.kill()
        self.daemon.wait(PATIENCE)

    def restart(self, *options, **more):
        self.daemon = self.start_daemon(*options, **more)
        self.assertIsNone(self.daemon.poll(), self.log.read_text())

    def told(self):
        return self.log.read_text()

    def test_killed(self):
        """Its number, what it has used and reported, its target, and how it ends."""
        first = self.daemon.pid
        self.started("spin", "--", *SPIN)
        task = self.started("falls", "--target", "loss <= 0.7", "--deadline", "1min", "--",
                            "sh", "-c", FALLS)
        self.until(lambda: self.task_now("falls")["reports"] >= 20)
        before = self.tasks_now()
        self.kill()
        time.sleep(0.5)
        self.restart()
        after = self.tasks_now()
        for name in ("spin", "falls"):
            for key in ("number", "owner_uid", "pid", "command", "threads",
                        "began_unix_seconds"):
                self.assertEqual(after[name][key], before[name][key], key)
            self.assertGreaterEqual(after[name]["cpu_seconds"], before[name]["cpu_seconds"])
        self.assertEqual(after["falls"]["target"], before["falls"]["target"])
        self.assertAlmostEqual(after["falls"]["deadline_unix_seconds"], before["falls"]["deadline_unix_seconds"], delta=0.01)
        self.assertGreaterEqual(after["falls"]["reports"], before["falls"]["reports"])
        self.assertTrue(groups(first))  # the same groups
        self.until(lambda: self.task_now("falls")["outcome"] == "learned")
        self.assertEqual(task.wait(PATIENCE), 0)
        self.until(lambda: self.task_now("falls")["phase"] == "ended")
        now = self.task_now("falls")
        self.assertEqual((before["falls"]["feed"], now["feed"]), ("launcher", "launcher"))
        self.assertIn("task falls: adopted: taken over", self.told())
        later = self.started("later", "--", *SPIN)
        self.assertGreater(self.task_now("later")["number"], now["number"])
        self.assertIsNone(later.poll())

    def test_one_that_waits_for_its_start(self):
        """It has been taken and has no answer yet: its launcher asks the next governor, and the one after that."""
        self.conf.write_text(self.configuration + "policy = edf\n")
        self.assertEqual(self.send(PATH, f"{NAME}.Reload")[0], 0)
        self.started("first", "--target", "0.1", "--deadline", "10min", "--threads", "1", "--", *SPIN)
        task = self.started("waits", "--target", "0.1", "--deadline", "20min", "--wait-start",
                            "--require", "--", "sh", "-c", "echo begun; exit 5")
        before = self.task_now("waits")
        self.assertEqual(before["share_cpus"], 0)
        for _ in range(2):
            self.kill()
            self.restart()
            # Until the launcher is heard again, or it would have been too late for the next time.
            time.sleep(2)
            self.assertIsNone(task.poll())
            self.assertEqual(self.task_now("waits")["number"], before["number"])
        self.assertEqual(self.coregov("cancel", "first")[0], 0)
        out, err = task.communicate(timeout=PATIENCE)
        self.assertEqual((task.returncode, out), (5, "begun\n"), err)

    def test_each_report_counts_once(self):
        """400 reports, whatever happens to the governor: none is lost, none is taken twice."""
        task = self.started("falls", "--target", "loss <= 0.1", "--", "sh", "-c", FALLS)
        for _ in range(5):
            time.sleep(0.5)
            self.kill()
            self.restart()
        self.assertIsNone(task.poll())
        self.until(lambda: self.task_now("falls").get("phase") == "ended")
        self.assertEqual(self.task_now("falls")["reports"], 400)

    def test_reports_that_nobody_read(self):
        """As many as a progress page remembers."""
        go = self.folder / "go"
        os.mkfifo(go)
        task = self.started("many", "--target", "loss <= 0.1", "--", "sh", "-c",
                            f"echo step 1 loss 1; read go <{go}; i=1; "
                            "while [ $i -lt 129 ]; do i=$((i+1)); echo step $i loss 0.9; done; "
                            f"touch {self.folder}/done; sleep 2")
        self.until(lambda: self.task_now("many")["reports"] == 1)
        self.kill()
        go.write_text("go\n", encoding="ascii")
        self.until((self.folder / "done").exists)
        self.restart()
        self.assertIsNone(task.poll())
        self.until(lambda: self.task_now("many").get("phase") == "ended")
        self.assertEqual(self.task_now("many")["reports"], 129)

    def test_no_cpu_time_counts_twice(self):
        """What the kernel has counted in the group, no more and no less."""
        run = f"coregovd-{self.daemon.pid}-*"
        self.started("spin", "--", *SPIN)
        for _ in range(5):
            time.sleep(0.4)
            self.kill()
            self.restart()
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        time.sleep(0.3)
        (used,) = {round(int(open(path, encoding="ascii").read()) / 1e9, 3) for path in glob.glob(
            f"/sys/fs/cgroup/**/{run}/0-spin/cpuacct.usage", recursive=True)} or {None}
        if used is None:
            self.skipTest("no group here counts CPU time by itself")
        self.assertAlmostEqual(self.task_now("spin")["cpu_seconds"], used, delta=0.03)

    def test_budget_holds_through_kills(self):
        for name in ("a", "b", "c"):
            self.started(name, "--", *SPIN)
        used, begun = self.used(), time.monotonic()
        for _ in range(20):
            time.sleep(0.15)
            self.kill()
            self.restart()
        spent = (self.used() - used) / (time.monotonic() - begun)
        self.assertLess(spent, 0.45)
        self.assertGreater(spent, 0.2)  # and none of them stood still
        self.assertEqual(sorted(self.tasks_now()), ["a", "b", "c"])

    def used(self):
        return sum(task["cpu_seconds"] for task in self.tasks_now().values())

    def test_ended(self):
        """By systemctl restart, or an upgrade: it lets go of them first."""
        task = self.started("spin", "--", *SPIN)
        before = self.task_now("spin")
        self.assertEqual(self.stop(self.daemon), 0)
        self.assertIsNone(task.poll())
        self.restart()
        after = self.task_now("spin")
        self.assertEqual((after["number"], after["pid"]), (before["number"], before["pid"]))
        self.until(lambda: 0 < self.task_now("spin")["share_cpus"] <= 0.4)
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_paused_stays_paused(self):
        task = self.started("spin", "--", *SPIN)
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        self.kill()
        self.restart()
        time.sleep(0.3)
        before = self.task_now("spin")
        self.assertEqual(before["phase"], "paused")
        time.sleep(0.5)
        self.assertEqual(self.task_now("spin")["cpu_seconds"], before["cpu_seconds"])
        self.assertEqual(self.coregov("resume", "spin")[0], 0)
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > before["cpu_seconds"])
        self.assertIsNone(task.poll())

    def test_ended_meanwhile(self):
        task = self.started("short", "--target", "loss <= 0.985", "--", "sh", "-c",
                            "sleep 1; echo step 1 loss 0.98; exit 3")
        self.kill()
        self.assertEqual(task.wait(PATIENCE), 3)
        self.restart()
        self.until(lambda: self.task_now("short").get("phase") == "ended")
        self.assertNotIn("short", {path.rsplit("-", 1)[-1] for path in glob.glob(
            "/sys/fs/cgroup/**/coregovd-*/*", recursive=True)})

    def test_status_that_nobody_heard(self):
        """Its launcher waits a moment for a governor that is about to be there again."""
        task = self.started("short", "--", "sh", "-c", "sleep 0.5; exit 3")
        pid = self.task_now("short")["pid"]
        self.kill()
        self.until(lambda: not os.path.exists(f"/proc/{pid}"))
        self.restart()
        self.until(lambda: self.task_now("short").get("phase") == "ended")
        self.assertEqual(self.task_now("short")["outcome"], "failed")
        self.assertIn("task short: failed: ended with status 3", self.told())
        self.assertEqual(task.wait(PATIENCE), 3)

    def test_wait_goes_on(self):
        """Also for what has ended while no governor was there."""
        self.started("short", "--", "sh", "-c", "sleep 1; exit 3")
        self.started("falls", "--target", "loss <= 0.7", "--", "sh", "-c", FALLS)
        wait = subprocess.Popen([COREGOV, "wait", "--user"], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.stop, wait)
        time.sleep(0.5)
        self.kill()
        time.sleep(1)
        self.restart()
        out, said = wait.communicate(timeout=PATIENCE)
        falls, short = sorted(out.splitlines())
        # With which status it has ended its launcher may not have been able to say.
        self.assertEqual((falls, short.split(":")[0]), ("falls: learned", "short"))
        self.assertEqual((wait.returncode, said), (1, "coregov: the governor has gone: it is waited for\n"))

    def test_deadline_meanwhile(self):
        self.started("late", "--target", "loss <= 0.1", "--deadline", "1s", "--", *SPIN)
        self.kill()
        time.sleep(1.2)
        self.restart()
        self.until(lambda: self.task_now("late")["outcome"] == "missed-deadline")

    def test_what_forks_away_is_found(self):
        """Its first process has ended, and something of it runs on."""
        task = self.start("--name", "forks", "--", "sh", "-c", "setsid sleep 5 & exit 0")
        self.assertEqual(task.wait(PATIENCE), 0)
        self.assertEqual(self.task_now("forks")["phase"], "alive")
        self.kill()
        self.restart()
        time.sleep(0.7)
        self.assertEqual(self.task_now("forks")["phase"], "alive")
        self.until(lambda: self.task_now("forks")["phase"] == "ended")

    def test_budget_and_drain_stay(self):
        self.started("spin", "--", *SPIN)
        self.assertEqual(self.coregov("budget", "0.3cpu")[0], 0)
        self.assertEqual(self.coregov("drain")[0], 0)
        self.kill()
        self.restart()
        status, out, _ = self.coregov("budget", "--json")
        self.assertEqual((status, json.loads(out)["budget_cpus"]), (0, 0.3))
        refused = self.start("--require", "--", "true")
        self.assertIn("drained", refused.communicate(timeout=PATIENCE)[1])
        self.assertIn("\nbudget 0.3 CPUs, and not 0.4 as the configuration says: it was set before the "
                      "governor was started again\n", self.told())
        self.assertIn("\ndraining, no new task is taken and those that run go on: so it was before the "
                      "governor was started again\n", self.told())
        self.kill()
        self.conf.write_text("[governor]\nbudget = 0.2cpu\nslot = 100ms\n")
        self.restart()  # another configuration is the newer word
        self.assertIn("\nbudget 0.2 CPUs, before 0.3: the configuration says so\n", self.told())
        self.assertEqual(json.loads(self.coregov("budget", "--json")[1])["budget_cpus"], 0.2)
        self.until(lambda: 0 < self.task_now("spin")["share_cpus"] <= 0.2)

    def test_what_was_told_to_stop_is_not_told_otherwise(self):
        """It writes its checkpoint when it is asked to, and a new governor is no reason not to."""
        self.env["PYTHONPATH"] = os.path.join(os.path.dirname(DATA), "python")
        task = self.start("--name", "saves", "--target", "loss <= 0.1", "--", "/usr/bin/python3", "-c",
                          STOPS)
        self.until(lambda: self.task_now("saves").get("reports", 0) > 0)
        self.assertEqual(self.coregov("cancel", "saves")[0], 0)
        time.sleep(0.3)
        self.assertIsNone(task.poll())
        self.kill()
        self.restart()
        out, err = task.communicate(timeout=PATIENCE)
        self.assertEqual((task.returncode, out), (0, "stop\nsaved\n"), err)

    def test_from_another_group(self):
        """The next daemon is started elsewhere in the tree; the groups are where they were."""
        first, name = self.daemon.pid, f"coregov-test-{os.getpid()}"
        mounts = [f"/sys/fs/cgroup/{each}" for each in ("cpu", "cpuacct", "freezer")]
        elsewhere = [f"{mount}/{name}" for mount in mounts]
        if not all(os.path.isdir(mount) and os.access(mount, os.W_OK) for mount in mounts):
            self.skipTest("no cgroup v1 tree to be moved in")
        self.started("spin", "--", "sh", "-c", "while :; do :; done & while :; do :; done")
        self.kill()
        for path in elsewhere:
            os.mkdir(path)
            self.addCleanup(os.rmdir, path)

        def move():
            for path in elsewhere:
                with open(f"{path}/cgroup.procs", "w", encoding="ascii") as procs:
                    procs.write("0")

        self.restart(preexec_fn=move)
        self.addCleanup(self.stop, self.daemon)
        self.assertEqual(len([path for path in groups(first) if path.startswith(mounts[0] + "/")]), 1)
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.until(lambda: self.task_now("spin")["phase"] == "ended")  # and its child with it

    def test_budget_of_a_configuration_that_was_read_again(self):
        """It is the configuration's, not one that was set meanwhile."""
        self.conf.write_text("[governor]\nbudget = 0.3cpu\nslot = 100ms\n")
        self.daemon.send_signal(signal.SIGHUP)
        self.until(lambda: "budget 0.3cpu" in self.coregov("list")[1])
        self.conf.write_text(f"[governor]\nbudget = {BUDGET}\nslot = 100ms\n")
        self.kill()
        self.restart()
        self.assertIn(f"budget {BUDGET}", self.coregov("list")[1])

    def test_without_a_directory(self):
        """What was left to itself is no longer held back, and can be ended."""
        task = self.started("spin", "--", *SPIN)
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        self.kill()
        self.env["XDG_RUNTIME_DIR"] = ""
        self.daemon = super().start_daemon()
        self.assertIn("XDG_RUNTIME_DIR", self.told())
        self.assertEqual(self.tasks_now(), {})
        task.terminate()
        self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_one_of_another_version(self):
        """What runs in the groups is governed, if nothing else is known of it: there is one budget."""
        self.started("spin", "--target", "loss <= 0.1", "--", *SPIN)
        before = self.task_now("spin")
        self.kill()
        with open(self.ledger, "r+b") as ledger:
            ledger.write(b"coregov\0\xff\xff")
        self.restart()
        after = self.task_now("spin")
        self.assertEqual((after["pid"], after["target"]), (before["pid"], None))
        self.assertGreater(after["number"], before["number"])
        self.assertGreaterEqual(after["cpu_seconds"], before["cpu_seconds"])
        self.assertIn("\ntask spin: stranger: nothing is known of it but its group", self.told())
        self.kill()  # and from now on it is known
        self.restart()
        self.assertEqual(self.task_now("spin")["number"], after["number"])
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(self.tasks[0].wait(PATIENCE), 128 + signal.SIGTERM)

    def test_one_that_cannot_be_read(self):
        """What runs is let be, and the daemon starts."""
        task = self.started("spin", "--", *SPIN)
        self.kill()
        self.ledger.write_bytes(os.urandom(40000))
        self.restart()
        self.assertEqual(self.tasks_now(), {})
        self.assertIsNone(task.poll())

    def test_nonsense_in_it(self):
        """Bits that were turned: a seat is taken as it is, or not at all."""
        self.started("spin", "--", *SPIN)
        self.kill()
        whole = self.ledger.read_bytes()
        for at in range(len(whole) - 24000, len(whole), 997):
            damaged = bytearray(whole)
            damaged[at:at + 40] = os.urandom(40)
            self.ledger.write_bytes(damaged)
            self.restart()
            self.coregov("list")
            self.kill()
        self.ledger.write_bytes(whole)
        self.restart()

    def test_full(self):
        """It cannot be written to: that is said, once, and all go on."""
        self.stop(self.daemon)
        self.restart(preexec_fn=lambda: (
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))))
        self.started("spin", "--", *SPIN)
        task = self.started("other", "--", *SPIN)
        self.assertEqual(self.told().count("cannot be written to"), 1, self.told())
        self.until(lambda: self.task_now("other")["cpu_seconds"] > 0.05)
        self.assertEqual(self.coregov("cancel", "other")[0], 0)
        self.assertEqual(task.wait(PATIENCE), 128 + signal.SIGTERM)

    def test_of_another_daemon(self):
        """Two with one directory: the second leaves it alone, also in ending (it finds no bus)."""
        task = self.started("spin", "--", *SPIN)
        other = self.run_once(COREGOVD, "--user", "--budget", "0.1cpu", env={
            "COREGOV_BUS_ADDRESS": f"unix:path={self.folder}/none"})
        self.assertEqual(other.returncode, 69, other.stderr)
        self.assertIn("another coregovd's", other.stderr)
        self.kill()
        self.restart()
        self.assertIn("spin", self.tasks_now())
        self.assertIsNone(task.poll())

    def test_a_training_that_reports_itself(self):
        task = self.start("--name", "soft", "--target", "loss <= 0.4", "--deadline", "5min",
                          "--on-target", "stop", "--", f"{LEARNERS}/softmax")
        self.until(lambda: self.task_now("soft").get("reports", 0) > 0)
        self.kill()
        self.restart()
        self.until(lambda: self.task_now("soft").get("outcome") == "learned")
        self.assertEqual(task.wait(PATIENCE), 0)
        self.assertEqual(self.task_now("soft")["feed"], "shm")


class BySignals(Adoption):
    """The enforcer that has no groups: what it had stopped goes on under the next one. Of all that there is
    above, what does not need a group."""

    configuration = Service.configuration + "enforcer = signal\n"

    # Without a group, nothing counts what is used while nobody looks, and nothing shows what has forked away.
    test_no_cpu_time_counts_twice = None
    test_budget_holds_through_kills = None
    test_what_forks_away_is_found = None
    test_killed = None
    # What is stopped does not end, and nobody but its governor knows why it is stopped.
    test_ended_meanwhile = None
    test_one_that_cannot_be_read = None
    test_one_of_another_version = None
    test_without_a_directory = None
    test_from_another_group = None
    test_status_that_nobody_heard = None
    # No other than above.
    test_budget_and_drain_stay = None
    test_each_report_counts_once = None
    test_full = None
    test_nonsense_in_it = None
    test_of_another_daemon = None

    def test_what_it_has_used_is_no_debt(self):
        """It goes on at once, with what it has forked: it does not stand still for as long as it has run."""
        self.started("spin", "--", "sh", "-c",
                     "sh -c 'while kill -0 $PPID; do :; done' 2>/dev/null; true")
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > 1)
        self.kill()
        self.restart()
        before = self.task_now("spin")["cpu_seconds"]
        begun = time.monotonic()
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > before + 0.2)
        self.assertLess(time.monotonic() - begun, 2)  # .5 s, or 2.5 s later

    def test_cpu_time_counts_once(self):
        """The meter counts what processes have used since they began."""
        self.started("spin", "--", *SPIN)
        for _ in range(4):
            time.sleep(0.4)
            self.kill()
            self.restart()
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        time.sleep(0.3)
        task = self.task_now("spin")
        with open(f"/proc/{task['pid']}/stat", encoding="ascii") as stat:
            ticks = sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
        self.assertAlmostEqual(task["cpu_seconds"], ticks / os.sysconf("SC_CLK_TCK"), delta=0.05)

    def test_the_enforcer_stays(self):
        self.started("spin", "--", *SPIN)
        self.kill()
        self.conf.write_text(Service.configuration + "enforcer = cgroup1\n")
        self.restart()
        self.assertIn("enforcer signal stays", self.told())
        self.until(lambda: self.task_now("spin")["cpu_seconds"] > 0.05)


if __name__ == "__main__":
    tap.main()
