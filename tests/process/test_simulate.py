# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov simulate` from the outside: what the parameters of a policy do to a plan, who says them, and
what is refused."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import tap

COREGOV = os.environ["COREGOV"]
PATIENCE = 60

# Three that report once, when they have learned. `front` is due first and keeps the CPU for the first 10 s.
# Then `late` and `soon` want it, neither of which has run: late has 90 s of its 100 s left, and soon, which
# has just begun, 91 s of 91 s. Each is thought to need a part of its window, hardly more or less.
#
# With 0.3 that is 30 s and 27 s, which fit into the 88 s that the plan counts on: late is due first and has
# all, from 10 s to 35 s, and soon after it. With 0.6 it is 60 s and 55 s, which do not; soon, which needs
# less, is chosen alone, and late has what it leaves.
TASKS = {"front": (0, 35, 10), "late": (0, 100, 25), "soon": (10, 101, 25)}
SURE = ["--set", "core.unseen-spread=0.1"]
LATE_FIRST = {"front": 10, "late": 35, "soon": 60}
SOON_FIRST = {"front": 10, "late": 60, "soon": 35}


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def bundle(self, more="", name="a.bundle", policy="core"):
        text = f"[bundle]\nbudget = 1cpu\npolicy = {policy}\n{more}\n"
        for task, (begin, deadline, need) in TASKS.items():
            (self.folder / f"{task}.csv").write_text(f"cpu_seconds,loss\n{need},0.1\n")
            text += (f"[task {task}]\ncurve = {task}.csv\nbegin = {begin}s\n"
                     f"deadline = {deadline}s\ntarget = 0.1\n")
        path = self.folder / name
        path.write_text(text)
        return str(path)

    @staticmethod
    def run_it(*words):
        return subprocess.run([COREGOV, "simulate", *words], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)

    def results(self, *words):
        done = self.run_it("--json", *words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def finishes(self, *words):
        result, = self.results(*words)
        self.assertEqual(result["learned"], 3)
        return {task["name"]: task["finish_seconds"] for task in result["results"]}


class Parameters(Case):
    def test_a_parameter_changes_the_plan(self):
        path = self.bundle()
        self.assertEqual(self.finishes(path, *SURE, "--set", "core.unseen-part=0.3"), LATE_FIRST)
        self.assertEqual(self.finishes(path, *SURE, "--set", "core.unseen-part=0.6"), SOON_FIRST)
        # Nor does what fits into 88 s fit into 45 s.
        self.assertEqual(self.finishes(path, *SURE, "--set", "core.unseen-part=0.3",
                                       "-x", "core.capacity-part=0.5"), SOON_FIRST)

    def test_a_bundle_says_its_own(self):
        path = self.bundle("[policy core]\nunseen-spread = 0.1\nunseen-part = 0.6\n")
        self.assertEqual(self.finishes(path), SOON_FIRST)
        self.assertEqual(self.finishes(path, "--set", "core.unseen-part=0.3"), LATE_FIRST)
        # Those of a policy that does not decide wait for it.
        path = self.bundle("[policy core]\nunseen-spread = 0.1\nunseen-part = 0.6\n", policy="edf")
        self.assertEqual(self.finishes(path), LATE_FIRST)
        self.assertEqual(self.finishes(path, "--policy", "core"), SOON_FIRST)

    def test_set_is_for_all_bundles_and_its_policy_alone(self):
        paths = [self.bundle(), self.bundle("[policy core]\nunseen-part = 0.3\n", name="b.bundle")]
        results = self.results(*paths, "--policy", "core,edf", *SURE, "--set", "core.unseen-part=0.6")
        finishes = [{task["name"]: task["finish_seconds"] for task in result["results"]}
                    for result in results]
        self.assertEqual(finishes, [SOON_FIRST, LATE_FIRST] * 2)

    def test_the_later_of_two_counts(self):
        path = self.bundle()
        self.assertEqual(self.finishes(path, *SURE, "--set", "core.unseen-part=0.6",
                                       "--set=core.unseen-part=0.3"), LATE_FIRST)

    def test_the_result_says_what_was_not_as_usual(self):
        path = self.bundle("[policy core]\nunseen-part = 0.6\ncharge-due = 0.03\n")
        first, second = self.results(path, "--policy", "core,edf", *SURE)
        self.assertEqual(first["parameters"], {"unseen-part": 0.6, "unseen-spread": 0.1})
        self.assertNotIn("parameters", second)
        plain, = self.results(self.bundle())
        self.assertNotIn("parameters", plain)
        # To say what is usual is to say nothing.
        as_usual = self.run_it("--json", self.bundle("[policy core]\nunseen-part = 0.18\n"))
        self.assertEqual(as_usual.stdout, self.run_it("--json", self.bundle()).stdout)


class Oracle(Case):
    def test_it_knows_what_tasks_need(self):
        """The one that is due first never gets there, and the other has not the time to wait for it."""
        (self.folder / "never.csv").write_text("cpu_seconds,loss\n10,0.1\n20,0.2\n40,0.1\n")
        (self.folder / "later.csv").write_text("cpu_seconds,loss\n10,0.1\n20,0.1\n30,0.2\n")
        path = self.folder / "a.bundle"
        path.write_text("[bundle]\nbudget = 1cpu\npolicy = oracle\n" + "".join(
            f"[task {name}]\ncurve = {name}.csv\ndeadline = {due}s\ntarget = 0.1 for 2\n"
            for name, due in (("never", 50), ("later", 55))))
        first, = self.results(str(path))
        self.assertEqual(first["policy"], "oracle")
        self.assertEqual([(task["outcome"], task["cpu_seconds"]) for task in first["results"]],
                         [("missed-deadline", 30), ("learned", 20)])
        edf, again = self.results(str(path), "--policy", "edf,oracle")
        self.assertEqual((edf["learned"], again), (0, first))


class Refused(Case):
    def refused(self, status, sentence, *words):
        done = self.run_it(*words)
        self.assertEqual((done.returncode, done.stdout), (status, ""))
        self.assertIn(sentence, done.stderr)

    def test_on_the_command_line(self):
        path = self.bundle()
        for text, sentence in (
                ("core.unseen-prt=1", "unknown parameter of core 'unseen-prt'; did you mean 'unseen-part'?"),
                ("cor.unseen-part=1", "unknown policy 'cor'; did you mean 'core'?"),
                ("edf.unseen-part=1", "the policy 'edf' has no parameters"),
                ("core.unseen-part=1.5",
                 "core.unseen-part: '1.5' is outside the range; expected a number from 0.01 to 1"),
                ("core.unseen-part=1s", "'1s' is not a finite decimal number"),
                ("core.unseen-part=nan", "'nan' is not a finite decimal number"),
                ("unseen-part=1", "not of the form POLICY.PARAMETER=VALUE")):
            with self.subTest(text=text):
                self.refused(64, "coregov simulate: --set: ", path, "--set", text)
                self.refused(64, sentence, path, "--set", text)

    def test_what_would_change_nothing(self):
        sentence = "--set core.unseen-part: nothing is run under the policy 'core'"
        setting = ["--set", "core.unseen-part=1"]
        self.refused(64, sentence, self.bundle(), "--policy", "edf,equal", *setting)
        edf = self.bundle(policy="edf", name="edf.bundle")
        self.refused(64, sentence, edf, *setting)
        self.results(edf, self.bundle(), *setting)

    def test_in_a_bundle(self):
        for more, sentence in (
                ("[policy core]\nunseen-part = 0\n",
                 "a.bundle:5: unseen-part: '0' is outside the range; expected a number from 0.01 to 1"),
                ("[policy core]\nunsen-part = 1\n",
                 "a.bundle:5: unknown key 'unsen-part' in [policy core]; did you mean 'unseen-part'?"),
                ("[policy cor]\n", "a.bundle:4: unknown policy 'cor'; did you mean 'core'?")):
            with self.subTest(more=more):
                self.refused(65, sentence, self.bundle(more))


if __name__ == "__main__":
    tap.main()
