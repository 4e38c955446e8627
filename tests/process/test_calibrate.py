# SPDX-License-Identifier: GPL-2.0-or-later
"""learners/calibrate: the demo bundle follows the stated rule, and its curves are the learners'."""

import configparser
import csv
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import tap

COREGOV = os.environ["COREGOV"]
LEARNERS = os.environ["COREGOV_LEARNERS"]
ROOT = pathlib.Path(os.environ["SOURCE_ROOT"])
CALIBRATE = ROOT / "learners" / "calibrate"
CURVES = ROOT / "learners" / "curves"


def calibrate(*arguments):
    return subprocess.run([sys.executable, CALIBRATE, *arguments], capture_output=True, text=True,
                          timeout=240, check=False)


def read_bundle(path):
    """The keys of the bundle and of each task."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    tasks = {name.split()[1]: dict(parser[name]) for name in parser if name.startswith("task ")}
    return dict(parser["bundle"]), tasks


def read_curve(path):
    with open(path, newline="", encoding="ascii") as f:
        return [(float(r["cpu_seconds"]), float(r["loss"])) for r in csv.DictReader(f)]


def seconds(text):
    return float(text.removesuffix("s"))


class Recorded(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "demo.bundle")
        done = calibrate(self.path, "--recorded")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.bundle, self.tasks = read_bundle(self.path)

    def tearDown(self):
        self.folder.cleanup()

    def test_example_in_the_tree_is_what_it_writes(self):
        bundle, tasks = read_bundle(ROOT / "examples" / "demo.bundle")
        for task in [*tasks.values(), *self.tasks.values()]:
            # Where the tree lies from there.
            del task["environment"], task["curve"]
        self.assertEqual((bundle, tasks), (self.bundle, self.tasks))

    def test_follows_its_rule(self):
        budget = seconds(self.bundle["budget"].removesuffix("cpu"))
        needs, beyond = {}, []
        for name, task in self.tasks.items():
            curve = read_curve(CURVES / (name + ".csv"))
            target = float(task["target"].removeprefix("loss <= "))
            met = [c for c, loss in curve if loss <= target]
            if met:
                needs[name] = met[0]
            else:
                beyond.append(name)
                self.assertGreater(target, 0.96 * min(loss for _, loss in curve))
        self.assertEqual(beyond, ["softmax-decay"])
        for name, need in needs.items():
            window = seconds(self.tasks[name]["deadline"]) - seconds(self.tasks[name]["begin"])
            self.assertGreaterEqual(window, 1.05 * need + 2 - 0.5)  # begins are rounded
        # One need is not seen here: that of the target that softmax-decay would have had.
        self.assertLess(sum(needs.values()) / (1.5 * budget), 60)
        self.assertGreater(sum(needs.values()) / (1.5 * budget), 45)
        self.assertEqual(min(seconds(t["begin"]) for t in self.tasks.values()), 0)

    def test_can_be_simulated(self):
        done = subprocess.run([COREGOV, "simulate", "--json", self.path, "-p", "equal,core"],
                              capture_output=True, text=True, check=True, timeout=60)
        for line in done.stdout.splitlines():
            result = json.loads(line)
            self.assertEqual(result["tasks"], 10)
            outcomes = {r["name"]: r["outcome"] for r in result["results"]}
            self.assertNotEqual(outcomes["softmax-decay"], "learned")
            self.assertIn("learned", outcomes.values())


class Learners(unittest.TestCase):
    def test_make_the_recorded_curves(self):
        with open(CURVES / "runs.csv", newline="", encoding="ascii") as f:
            runs = list(csv.DictReader(f))
        self.assertEqual(len(runs), 10)
        for run in runs:
            program, *options = run["command"].split()
            every = int(run["report_every"])
            done = subprocess.run(
                [os.path.join(LEARNERS, program), *options, "--data", ROOT / "learners" / "data",
                 "--steps", str(2 * every)], capture_output=True, text=True, check=True, timeout=240)
            losses = re.findall(r"^step \d+/\d+ loss (\S+) cpu ", done.stdout, re.MULTILINE)
            recorded = read_curve(CURVES / (run["task"] + ".csv"))
            with self.subTest(task=run["task"]):
                self.assertEqual([float(loss) for loss in losses],
                                 [loss for _, loss in recorded[:3]])
                self.assertEqual(len(recorded), int(run["steps"]) // every + 1)


class Measured(unittest.TestCase):
    def test_writes_a_bundle_with_curves_of_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "here.bundle")
            done = calibrate(path, "--seconds", "10", "--measure", "0.05", "--learners",
                             LEARNERS)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("targets at ", done.stdout)
            _, tasks = read_bundle(path)
            for name, task in tasks.items():
                self.assertEqual(task["curve"], "here/%s.csv" % name)
                ours = read_curve(os.path.join(folder, task["curve"]))
                recorded = read_curve(CURVES / (name + ".csv"))
                self.assertEqual([loss for _, loss in ours], [loss for _, loss in recorded])
            subprocess.run([COREGOV, "simulate", path], capture_output=True, check=True, timeout=60)


class Usage(unittest.TestCase):
    def test_help(self):
        done = calibrate("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("usage: calibrate OUT.bundle", done.stdout)

    def test_bad_input_is_refused(self):
        for arguments, sentence in (
                ([], "give either OUT.bundle or --record"),
                (["x.bundle", "--record"], "give either OUT.bundle or --record"),
                (["x.ini"], "'x.ini' does not end in .bundle"),
                (["x.bundle", "--seconds", "0"], "--seconds must be above 0"),
                (["x.bundle", "--seconds", "nan"], "--seconds must be above 0"),
                (["x.bundle", "--measure", "-1"], "--measure must be above 0"),
                (["x.bundle", "--seconds", "soon"], "invalid float value: 'soon'"),
                (["x.bundle", "--fast"], "unrecognized arguments: --fast"),
                (["x.bundle", "--learners", "/nowhere"], "no learners in '/nowhere'")):
            with self.subTest(arguments=arguments):
                done = calibrate(*arguments)
                self.assertEqual(done.returncode, 1 if "/nowhere" in arguments else 64)
                self.assertIn(sentence, done.stderr)
                self.assertEqual(done.stderr.count("\n"), 1)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    tap.main()
