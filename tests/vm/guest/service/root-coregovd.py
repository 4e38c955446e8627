#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""coregovd as a service of the system, as `meson install` has put it there. deadline: 240 s"""

import json
import os
import pathlib
import re
import subprocess
import time

import inside
import tap
from served import CONF, SPIN, Governed, systemctl

# Without a login, which takes seconds here.
WITHOUT_LOGIN = ["setpriv", "--reuid=1000", "--regid=1000", "--init-groups"]
SUBMIT_ONCE = os.environ["BUILD"] + "/tests/process/submit_once"
SECURITY_MOST = 1.5


class Metered(Governed):
    meter = "auto"

    def test_users_share_the_budget(self):
        # To log in takes long, the longer the more there is to do beside it.
        self.started("theirs", *SPIN, prefix=inside.LOGIN)
        self.started("ours", *SPIN)
        status, out, _ = self.coregov("list", "--json")
        told = json.loads(out)["governor"]
        self.assertEqual((status, told["enforcer"], told["guarantee"]), (0, "cgroup2", "kernel"))
        self.assertEqual(told["meter"], "bpf", self.journal())
        # Each in a scope of its own.
        for name in ("theirs", "ours"):
            scope = self.group_of(self.task(name)["pid"]).parent
            self.assertEqual(scope.parent, inside.SLICE)
            self.assertRegex(scope.name, rf"^coregov-{name}-[0-9a-f]+\.scope$")
            self.assertEqual(inside.read(scope / "cpu.max").split()[0], "max")
            self.assertEqual(systemctl("show", "-P", "Delegate", scope.name).stdout, "yes\n")
        budget = inside.SLICE
        before, start = inside.Sample(budget), time.monotonic()
        self.assertEqual(before.cpus, 0.5)
        time.sleep(5)
        used = inside.Sample(budget).used_seconds - before.used_seconds
        self.assertLess(used / (time.monotonic() - start), 0.5 * 1.03)
        self.assertGreater(used / (time.monotonic() - start), 0.3)
        # Everybody may change his own, and nobody another's.
        self.assertEqual(self.coregov("pause", "theirs", prefix=WITHOUT_LOGIN)[0], 0)
        self.assertEqual(self.coregov("pause", "ours", prefix=WITHOUT_LOGIN)[0], 77)
        self.assertEqual(self.coregov("budget", "0.1cpu", prefix=WITHOUT_LOGIN)[0], 77)
        self.assertEqual(self.coregov("budget", "0.4cpu")[0], 0)
        self.assertEqual(inside.Sample(budget).cpus, 0.4)
        self.assertEqual(self.quota(), "400ms")
        self.assertEqual(self.coregov("budget", "0.5cpu")[0], 0)  # it would outlast a restart


class Service(Governed):
    def test_tasks_outlive_it(self):
        task = self.started("spin", *SPIN)
        self.assertEqual(self.coregov("pause", "spin")[0], 0)
        self.assertEqual(systemctl("stop", "coregovd").returncode, 0)
        self.assertIsNone(task.poll())
        before = inside.Sample(inside.SLICE)
        self.assertEqual(before.cpus, 0.5)
        time.sleep(2)
        self.assertGreater(inside.Sample(inside.SLICE).used_seconds, before.used_seconds)
        # And it starts beside them.
        done = systemctl("start", "coregovd")
        self.assertEqual(done.returncode, 0, self.journal())
        self.assertEqual(self.coregov("list")[0], 0)

    def test_a_scope_is_stopped(self):
        """By whoever may do that: the task is ended, and has been."""
        task = self.started("spin", *SPIN)
        scope = self.group_of(self.task("spin")["pid"]).parent.name
        self.assertEqual(systemctl("stop", scope).returncode, 0)
        self.assertEqual(task.wait(inside.PATIENCE), 143)
        self.until(lambda: self.task("spin").get("phase") == "ended")

    def test_all_of_a_process_is_governed(self):
        """Also what it has forked while it waited for its place."""
        task = self.started("spin", "sh", "-c", "sleep 1000 & sleep 1000 & wait")
        group = self.group_of(self.task("spin")["pid"])
        self.until(lambda: len(inside.read(group / "cgroup.procs").split()) == 3)
        self.assertEqual(inside.read(group.parent / "cgroup.procs"), "")
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.assertEqual(task.wait(inside.PATIENCE), 143)

    def test_the_budget_is_set_by_another(self):
        """It is left alone, and told, until it is set anew."""
        self.started("spin", *SPIN)
        self.assertEqual(
            systemctl("set-property", "--runtime", "coregov.slice", "CPUQuota=30%").returncode, 0)
        self.until(lambda: "somebody else set the budget to 30000 us" in self.journal())
        self.assertEqual(inside.Sample(inside.SLICE).cpus, 0.3)
        self.assertEqual(self.coregov("budget", "0.5cpu")[0], 0)
        self.assertEqual(inside.Sample(inside.SLICE).cpus, 0.5)

    def test_the_slice_is_stopped(self):
        """What comes after that is governed again."""
        task = self.started("spin", *SPIN)
        self.assertEqual(systemctl("stop", "coregov.slice").returncode, 0)
        self.assertEqual(task.wait(inside.PATIENCE), 143)
        self.until(lambda: self.task("spin").get("phase") == "ended")
        # Nor is anything refused meanwhile that has nothing to do with it.
        self.assertEqual(self.coregov("budget", "0.5cpu")[:1], (0,))
        reload = subprocess.run(["busctl", "call", "org.coregov.Governor1", "/org/coregov/Governor1",
                                 "org.coregov.Governor1", "Reload"], capture_output=True, text=True,
                                check=False)
        self.assertEqual(reload.returncode, 0, reload.stderr)
        self.started("ours", *SPIN)
        self.until(lambda: self.task("ours").get("share_cpus", 0) > 0)
        self.assertEqual(inside.Sample(inside.SLICE).cpus, 0.5)

    def test_refused_when_it_was_placed(self):
        """Two of one name, before either has it: nothing runs on in the slice without a limit."""
        self.coregov("list")  # it is there
        pid = systemctl("show", "-P", "MainPID", "coregovd").stdout.strip()
        processes = [subprocess.Popen(SPIN) for _ in range(2)]
        for process in processes:
            self.addCleanup(process.kill)
        # Both are asked for before the governor looks at the first.
        subprocess.run(["kill", "-STOP", pid], check=True)
        callers = [subprocess.Popen([SUBMIT_ONCE, "--pid", str(process.pid), "Name:s=twin"],
                                    stdout=subprocess.PIPE, text=True) for process in processes]
        time.sleep(2)
        subprocess.run(["kill", "-CONT", pid], check=True)
        said = [caller.communicate(timeout=inside.PATIENCE)[0] for caller in callers]
        self.assertEqual(sorted(text.split()[0] for text in said), ["error", "task"], said)
        refused = processes[said[0].startswith("task")]
        self.assertIn("NameTaken", said[processes.index(refused)])
        self.until(lambda: self.group_of(refused.pid).name == "refused")
        quota, period = inside.read(self.group_of(refused.pid) / "cpu.max").split()
        self.assertLess(int(quota) / int(period), 0.2)
        self.assertRegex(self.journal(), r"(?m)^confined: what is in coregov-twin-\w+\.scope is no task "
                         r"\(a task 'twin' runs already; .*\), and has next to nothing until it ends$")
        self.assertEqual(self.coregov("cancel", "twin")[0], 0)

    def test_the_budget_is_claimed(self):
        """For as long as it lives, or tasks of it run: a run beside it has what is left. And it is refused what a
        run has."""
        run = inside.Run(budget="0.6cpu", is_waited_for=True)
        self.assertEqual(run.status, 75, run.said)
        self.assertRegex(run.said, r"other runs have claimed coregovd-\d+-\d+ \(0.5\)")
        beside = inside.Run(*inside.FAST_METER, budget="0.3cpu", seconds=20, is_waited_for=False)
        self.until(lambda: "coregov/budget" in pathlib.Path("/proc/net/unix").read_text())
        status, _, said = self.coregov("budget", "0.8cpu")
        self.assertNotEqual(status, 0)
        self.assertIn("does not fit", said)
        beside.process.terminate()
        beside.wait(lambda: None)
        task = self.started("held", *SPIN)
        systemctl("disable", "coregovd")  # that the launcher tells of the end would start it
        self.assertEqual(systemctl("stop", "coregovd").returncode, 0)
        run = inside.Run(budget="0.6cpu")
        self.assertEqual(run.status, 75, run.said)
        task.terminate()
        task.wait(inside.PATIENCE)
        self.until(lambda: "populated 0" in inside.read(inside.SLICE / "cgroup.events"))
        run = inside.Run(*inside.FAST_METER, budget="0.6cpu", seconds=1)
        self.assertEqual(run.status, 0, run.said)

    def test_a_call_starts_it(self):
        systemctl("enable", "coregovd")
        systemctl("stop", "coregovd")
        status, out, err = self.coregov("list")
        self.assertEqual(status, 0, err + self.journal())
        self.assertIn("budget 0.5cpu", out)

    def test_reload(self):
        self.configure("0.3cpu")
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: "budget 0.3cpu" in self.coregov("list")[1])
        self.configure("0.5")
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: "the old one stays in force" in self.journal())
        self.assertIn("budget 0.3cpu", self.coregov("list")[1])

    def test_a_policy_preset(self):
        drop_ins = CONF.parent / "coregov.conf.d"
        drop_ins.mkdir(exist_ok=True)
        for policy, name in (("equal", "even"), ("edf", "due-first")):
            link = drop_ins / "50-preset.conf"
            link.symlink_to(f"/usr/local/share/coregov/policies/{name}.conf")
            self.addCleanup(link.unlink, missing_ok=True)
            self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
            self.until(lambda: self.policy() == policy)
            link.unlink()
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: self.policy() == "core")

    def policy(self):
        return json.loads(self.coregov("list", "--json")[1])["governor"]["policy"]

    def test_folder_of_the_running_system(self):
        subprocess.run(["systemd-tmpfiles", "--create", "coregov.conf"], check=True)
        found = pathlib.Path("/run/coregov").stat()
        self.assertEqual((found.st_mode & 0o7777, found.st_uid, found.st_gid), (0o755, 0, 0))
        conf = pathlib.Path("/run/coregov/coregov.conf.d/90-now.conf")
        conf.parent.mkdir(exist_ok=True)
        self.addCleanup(conf.unlink)
        conf.write_text("[governor]\nbudget = 0.2cpu\n")
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: "budget 0.2cpu" in self.coregov("list")[1])

    def test_killed_it_comes_again(self):
        pid = systemctl("show", "-P", "MainPID", "coregovd").stdout.strip()
        subprocess.run(["kill", "-9", pid], check=True)
        self.until(lambda: self.coregov("list")[0] == 0 and pid != systemctl(
            "show", "-P", "MainPID", "coregovd").stdout.strip())

    def test_journal_tells_a_tasks_story(self):
        self.started("spin", *SPIN)
        self.assertEqual(self.coregov("set", "spin", "target=loss <= 0.1", "deadline=now+1h")[0], 0)
        self.assertEqual(self.coregov("cancel", "spin")[0], 0)
        self.until(lambda: self.task("spin").get("phase") == "ended")
        for option in ("--update-catalog", "--sync"):
            subprocess.run(["journalctl", option], check=True, capture_output=True)
        pid = systemctl("show", "-P", "MainPID", "coregovd").stdout.strip()
        words = ["journalctl", "--no-pager", "COREGOV_TASK=spin", f"_PID={pid}"]
        told = [json.loads(line) for line in subprocess.run(
            [*words, "-o", "json"], text=True, capture_output=True, check=True).stdout.splitlines()]
        # Others before it had its name.
        told = [line for line in told if line["COREGOV_NUMBER"] == told[-1]["COREGOV_NUMBER"]]
        self.assertEqual([line["COREGOV_EVENT"] for line in told][:2], ["start", "share"])
        # It may have another share before it ends.
        self.assertEqual([line["COREGOV_EVENT"] for line in told[2:]
                          if line["COREGOV_EVENT"] not in ("share", "set")],
                         ["cancelled", "stopping", "end"])
        self.assertIn("set", [line["COREGOV_EVENT"] for line in told])
        for line in told:
            self.assertEqual((line["COREGOV_TASK"], line["_SYSTEMD_UNIT"]),
                             ("spin", "coregovd.service"))
            self.assertTrue(line["MESSAGE"].startswith("task spin: "), line)
        explained = subprocess.run([*words, "-x"], text=True, capture_output=True,
                                   check=True).stdout
        self.assertIn("Subject: Training spin has ended", explained)
        self.assertIn("Its share goes to the others.", explained)
        print("# " + "\n# ".join(explained.splitlines()))

    def test_security(self):
        done = subprocess.run(["systemd-analyze", "security", "--no-pager", "coregovd"], text=True,
                              capture_output=True, check=False)
        score = float(re.search(r"Overall exposure level.*: ([\d.]+)", done.stdout)[1])
        print(f"# systemd-analyze security: {score}")
        self.assertLessEqual(score, SECURITY_MOST, done.stdout)


tap.main()
