#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What coregovd writes into the journal, field by field, as its owner finds it. deadline: 240 s"""

import json
import subprocess

import inside
import tap
from served import CONF, SPIN, Governed, systemctl

# Falls to 0.10 within some seconds, and goes on.
FALLS = ("i=0; while [ $i -lt 90 ]; do i=$((i+1)); echo step $i loss 0.$((1000 - 10 * i)); "
         "sleep 0.1; done; sleep 1000")


def number(line, field):
    return float(line[f"COREGOV_{field}"])


class Journal(Governed):
    def setUp(self):
        super().setUp()
        self.coregov("list")  # it is there
        self.pid = systemctl("show", "-P", "MainPID", "coregovd").stdout.strip()

    def end_tasks(self):
        self.coregov("cancel", "falls", "late")
        super().end_tasks()

    def lines(self, *matches):
        subprocess.run(["journalctl", "--sync"], check=True, capture_output=True)
        out = subprocess.run(["journalctl", "--no-pager", "-o", "json", "-a", f"_PID={self.pid}",
                              *matches], text=True, capture_output=True, check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def kind(self, kind, *matches):
        return self.lines(f"COREGOV_EVENT={kind}", *matches)

    def trained(self, name, *words):
        self.tasks.append(subprocess.Popen(
            [inside.COREGOV, "run", "--quiet", "--require", "--name", name, *words, "--", "sh", "-c",
             FALLS], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def test_a_task_is_told_with_its_numbers(self):
        self.trained("falls", "-t", "loss <= 0.5", "-d", "5min")
        self.trained("late", "-t", "loss <= 0.0001", "-d", "8s")
        self.until(lambda: self.task("falls").get("outcome") == "learned")
        self.until(lambda: self.task("late").get("outcome") == "missed-deadline")
        self.assertEqual(self.coregov("cancel", "falls")[0], 0)
        self.until(lambda: self.task("falls").get("phase") == "ended")
        story = self.lines("COREGOV_TASK=falls")
        owner = {line["COREGOV_OWNER_UID"] for line in story}
        numbers = {line["COREGOV_NUMBER"] for line in story}
        self.assertEqual((owner, len(numbers)), ({"0"}, 1))
        slots = [int(line["COREGOV_SLOT"]) for line in story]
        self.assertEqual(slots, sorted(slots))
        # What it learned on is known by then; and the reason of each share.
        shares = [line for line in story if line["COREGOV_EVENT"] == "share"]
        self.assertTrue(shares)
        for line in shares:
            self.assertRegex(line["COREGOV_REASON"], rf"^share {number(line, 'SHARE'):.2f} CPUs"
                             r"(, before \d\.\d\d)?: [a-z]")
        for before, line in zip(shares, shares[1:]):
            self.assertEqual(line["COREGOV_OLD_SHARE"], before["COREGOV_SHARE"])
        (learned,) = [line for line in story if line["COREGOV_EVENT"] == "learned"]
        self.assertAlmostEqual(number(learned, "SHARE"), number(learned, "OLD_SHARE"), delta=0.01)
        self.assertGreater(number(learned, "SHARE"), 0)
        self.assertLessEqual(number(learned, "LOSS"), 0.5)
        self.assertGreater(number(learned, "CPU_SECONDS"), 0)
        self.assertTrue(0 <= number(learned, "CHANCE") <= 1, learned)
        self.assertTrue(0 < number(learned, "LEFT_SECONDS") <= 150, learned)
        self.assertEqual(learned["PRIORITY"], "6")
        # Who asked is told with what was asked for. It has its outcome: it is only made to stop.
        asked = {line["COREGOV_EVENT"] for line in story if "COREGOV_SENDER_UID" in line}
        self.assertEqual(asked, {"start", "stopping"})
        (missed,) = self.kind("missed-deadline", "COREGOV_TASK=late")
        self.assertEqual((number(missed, "CHANCE"), number(missed, "LEFT_SECONDS")), (0, 0))
        self.assertGreater(number(missed, "LOSS"), 0.0001)
        self.assertEqual(missed["PRIORITY"], "4")
        for line in story:
            print("#", line["MESSAGE"])

    def test_what_is_decided_for_all(self):
        self.assertEqual(self.coregov("budget", "0.4cpu")[0], 0)
        self.assertEqual(self.coregov("drain")[0], 0)
        self.assertEqual(self.coregov("drain", "--off")[0], 0)
        CONF.write_text("[governor]\nbudget = 0.3cpu\nslot = 200ms\nmeter = cgroup\npolicy = edf\n"
                        "budgte = 1cpu\n")
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: self.kind("policy"))
        CONF.write_text("[governor]\nbudget = 0.3\n")
        self.assertEqual(systemctl("reload", "coregovd").returncode, 0)
        self.until(lambda: self.kind("not-reloaded"))
        asked, configured = self.kind("budget")[-2:]
        self.assertEqual((number(asked, "BUDGET"), number(asked, "OLD_BUDGET")), (0.4, 0.5))
        self.assertEqual(asked["COREGOV_SENDER_UID"], "0")
        self.assertEqual((number(configured, "BUDGET"), number(configured, "OLD_BUDGET")), (0.3, 0.4))
        self.assertNotIn("COREGOV_SENDER_UID", configured)
        policy = self.kind("policy")[-1]
        self.assertEqual((policy["COREGOV_POLICY"], policy["COREGOV_OLD_POLICY"]), ("edf", "core"))
        for kind in ("draining", "accepting"):
            self.assertEqual(self.kind(kind)[-1]["COREGOV_SENDER_UID"], "0")
        self.assertIn("budget, policy", self.kind("reloaded")[-1]["COREGOV_REASON"])
        self.assertIn("coregov.conf:6:", self.kind("ignored")[-1]["COREGOV_REASON"])
        self.assertIn("coregov.conf:2:", self.kind("not-reloaded")[-1]["COREGOV_REASON"])
        # All that is told has its text, and what is told at all is such a line.
        subprocess.run(["journalctl", "--update-catalog"], check=True, capture_output=True)
        told = self.lines()
        self.assertGreater(len(told), 8)
        for line in told:
            self.assertTrue({"MESSAGE_ID", "PRIORITY", "COREGOV_EVENT", "COREGOV_REASON"} <= set(line), line)
        known = subprocess.run(["journalctl", "--list-catalog"], text=True, capture_output=True,
                               check=True).stdout
        for line in told:
            self.assertIn(line["MESSAGE_ID"], known)
        out = subprocess.run(["journalctl", "--no-pager", "-x", f"_PID={self.pid}", "COREGOV_EVENT=budget"],
                             text=True, capture_output=True, check=True).stdout
        self.assertIn("Subject: The budget is 0.3 CPUs", out)
        self.assertIn("Why: budget 0.3 CPUs, before 0.4: the configuration says so.", out)

    def test_slots_at_debug(self):
        self.started("spin", *SPIN)
        self.assertEqual(self.kind("slot"), [])
        done = systemctl("service-log-level", "coregovd", "debug")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.until(lambda: len(self.kind("slot")) >= 5)
        done = systemctl("service-log-level", "coregovd", "info")
        self.assertEqual(done.returncode, 0, done.stderr)
        told = self.kind("slot")
        for line in told:
            self.assertEqual((line["PRIORITY"], line["COREGOV_TASKS"], line["COREGOV_CHOSEN"]),
                             ("7", "1", "0"))
            self.assertEqual(number(line, "BUDGET"), 0.5)
            self.assertLessEqual(number(line, "GRANTED"), 0.5)
            self.assertGreaterEqual(number(line, "USED"), 0)
            self.assertGreaterEqual(number(line, "LATE_SECONDS"), 0)
            self.assertGreaterEqual(number(line, "GRANTS_CHANGED"), 0)
        slots = [int(line["COREGOV_SLOT"]) for line in told]
        self.assertEqual(slots, sorted(slots))
        self.assertEqual([line["COREGOV_SENDER_UID"] for line in self.kind("log-level")], ["0", "0"])


tap.main()
