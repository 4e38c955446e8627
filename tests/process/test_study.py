# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov simulate` for studies: many bundles at once, what they come to, a trace, and how it ends."""

import fcntl
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import subprocess
import tempfile
import termios
import time
import unittest

import tap

COREGOV = os.environ["COREGOV"]
PATIENCE = 120
POLICIES = ["edf", "core", "equal"]


def children(pid):
    """The processes that it has started and not waited for."""
    try:
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        text = ""
    return [int(word) for word in text.split()]


def runs(pid):
    """Whether it is there, and no zombie."""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.split()[0] not in "ZX"


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"in vain: {what}")
        time.sleep(0.01)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # Loses 0.05 a CPU-second from 1.
        self.curve("c.csv", [(i, 1 - i / 20) for i in range(1, 11)])

    def curve(self, name, rows):
        (self.folder / name).write_text(
            "cpu_seconds,loss\n" + "".join(f"{cpu},{loss}\n" for cpu, loss in rows))

    def bundle(self, name, tasks, head="budget = 1cpu"):
        """tasks: dicts of what differs from a curve that needs 8 CPU-seconds in 30 s."""
        text = f"[bundle]\n{head}\n"
        for number, task in enumerate(tasks):
            keys = {"curve": "c.csv", "deadline": "30s", "target": "0.6", **task}
            text += f"[task t{number}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def many(self, n_bundles=30):
        """Bundles that differ, and of which not all is reached."""
        return [self.bundle(f"{i}.bundle", [
            {"target": f"{0.5 + (i * 7 + k * 3) % 10 / 20}", "begin": f"{k % 3 * 5}s",
             "deadline": f"{20 + (i + k * 5) % 17}s"} for k in range(2 + i % 4)])
            for i in range(n_bundles)]

    def long(self):
        """One that takes a while to run, and hardly any time to read."""
        self.curve("long.csv", [(1, 1), (10000, 1)])
        return self.bundle("long.bundle", [{"curve": "long.csv", "deadline": "1500s"}] * 300,
                           "budget = 300cpu")

    def full(self, deadline="10s"):
        """One with so many rows that they are kept, but not another 100,000 (ROWS_KEPT_MAX)."""
        self.curve("huge.csv", [(i, 1) for i in range(1, 100001)])
        return self.bundle("full", [{"curve": "huge.csv", "deadline": deadline}] * 83, "budget = 83cpu")

    @staticmethod
    def run_it(*words, **more):
        return subprocess.run([COREGOV, "simulate", *words], capture_output=True, text=True,
                              timeout=PATIENCE, check=False, **more)

    def output(self, *words):
        done = self.run_it(*words)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def results(self, *words):
        return [json.loads(line) for line in self.output("--json", *words).splitlines()]

    def refused(self, status, sentence, *words):
        done = self.run_it(*words)
        self.assertEqual((done.returncode, done.stdout), (status, ""))
        self.assertIn(sentence, done.stderr)


class Output(Case):
    def test_is_the_same_whatever_the_jobs(self):
        paths = self.many()
        for form in ([], ["--json"], ["--summary"], ["--summary", "--json"]):
            words = [*paths, "-p", ",".join(POLICIES), *form]
            once = self.output(*words, "--jobs", "1")
            for jobs in (["-J", "2"], ["-J7"], ["--jobs=200"], []):
                with self.subTest(form=form, jobs=jobs):
                    self.assertEqual(self.output(*words, *jobs), once)

    def test_is_in_the_order_of_bundles_then_policies(self):
        paths = self.many(7)[::-1]
        results = self.results(*paths, "-p", "equal,edf", "-p", "core")
        self.assertEqual([(result["bundle"], result["policy"]) for result in results],
                         [(path, policy) for path in paths for policy in ("equal", "edf", "core")])
        lines = self.output(*paths, "-p", "equal,edf").splitlines()
        self.assertEqual([line.split(": ")[:2] for line in lines[:14]],
                         [[path, policy] for path in paths for policy in ("equal", "edf")])
        self.assertEqual(lines[14:17], [
            "", f"7 bundles, {sum(2 + i % 4 for i in range(7))} tasks; the best that any policy could: kappa 0.9714",
            ""])

    def test_a_summary_is_for_several(self):
        first, second = self.many(2)
        self.assertNotIn("interval", self.output(first))
        self.assertIn("interval", self.output(first, "--summary"))
        self.assertIn("interval", self.output(first, "-p", "edf,core"))
        self.assertIn("interval", self.output(first, second))
        self.assertNotIn("against", self.output(first, second))
        alone = self.output(first, second, "-S")
        self.assertTrue(alone.startswith(
            "2 bundles, 5 tasks; the best that any policy could: kappa 1.0000\n\npolicy "), alone)
        self.assertTrue(self.output(first, second).endswith("\n\n" + alone))
        self.assertEqual(len(self.output(first, second, "-S", "-j").splitlines()), 1)

    def test_a_row_of_many_policies_has_no_name(self):
        paths = [self.bundle("a", [{}], "budget = 1cpu\npolicy = edf"),
                 self.bundle("b", [{}], "budget = 1cpu\npolicy = equal")]
        self.assertEqual(json.loads(self.output(*paths, "-S", "-j"))["policies"][0]["policy"], "own policy")
        self.assertEqual(json.loads(self.output(paths[1], "-S", "-j"))["policies"][0]["policy"], "equal")

    def test_the_summary_is_that_of_the_results(self):
        paths = self.many()
        words = [*paths, "-p", ",".join(POLICIES)]
        summary = json.loads(self.output(*words, "--summary", "--json"))
        results = self.results(*words)
        by_policy = [results[number::3] for number in range(3)]
        self.assertEqual((summary["bundles"], summary["tasks"]),
                         (30, sum(result["tasks"] for result in by_policy[0])))
        common, times = 0, [0, 0, 0]
        for triple in zip(*by_policy):
            for tasks in zip(*(result["results"] for result in triple)):
                if all(task["outcome"] == "learned" for task in tasks):
                    common += 1
                    for number, task in enumerate(tasks):
                        times[number] += task["finish_seconds"] - task["begin_seconds"]
        self.assertGreater(common, 10)
        self.assertEqual(summary["tasks_common"], common)
        for number, (row, its) in enumerate(zip(summary["policies"], by_policy)):
            self.assertEqual(row["policy"], POLICIES[number])
            self.about(row["kappa"]["mean"], [result["kappa"] for result in its])
            self.about(row["data_throughput"], [result["data_throughput"] for result in its])
            self.about(row["used_part"], [result["used_cpu_seconds"] / result["budget_cpu_seconds"]
                                          for result in its])
            self.about(row["learned_part"], [
                sum(task["cpu_seconds"] for task in result["results"] if task["outcome"] == "learned") /
                result["used_cpu_seconds"] for result in its])
            self.about(row["to_target_seconds"], [times[number] / common])
            self.assertTrue(row["kappa"]["low"] < row["kappa"]["mean"] < row["kappa"]["high"])
            differences = [one["kappa"] - first["kappa"] for one, first in zip(its, by_policy[0])]
            against = row["against_first"]
            if number == 0:
                self.assertIsNone(against)
                continue
            self.about(against["mean"], differences)
            self.assertEqual([against["better"], against["equal"], against["worse"]],
                             [sum(d > 0 for d in differences), sum(d == 0 for d in differences),
                              sum(d < 0 for d in differences)])

    def about(self, mean, values):
        """Of nine digits."""
        expected = sum(values) / len(values)
        self.assertAlmostEqual(mean, expected, delta=1e-8 * max(1, abs(expected)))

    def test_what_does_not_fit_into_memory_is_read_again(self):
        full = self.full()
        paths = [self.bundle(f"{i}.more", [{"curve": "huge.csv", "target": "0.5"}, {}], f"budget = {i}cpu")
                 for i in range(1, 4)] + self.many(2)
        words = ["-p", "edf,equal", "-J2"]
        alone = self.results(*paths, *words)
        # On one CPU `edf` gives all to the first by name.
        self.assertEqual([result["learned"] for result in alone[:6]], [0, 1, 1, 1, 1, 1])
        self.assertEqual(self.results(full, *paths, *words)[2:], alone)

    def test_what_can_be_read_once_is_read_once(self):
        full = self.full()
        path = self.bundle("once", [{"curve": self.folder / "c.csv"}, {"curve": self.folder / "huge.csv"}])
        done = subprocess.run(["bash", "-c", '"$0" simulate "$1" <(cat "$2") -p edf,fifo -j -J2',
                               COREGOV, full, path], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([json.loads(line)["learned"] for line in done.stdout.splitlines()], [0, 0, 1, 1])


class Odd(Case):
    """What is unusual, and what is wrong."""

    every = "core,edf,equal,exclusive,fifo,fixed"

    def learned(self, path, policies=every):
        return [result["learned"] for result in self.results(path, "-p", policies)]

    def test_no_task_and_one(self):
        empty = self.results(self.bundle("0", []), "-p", self.every)
        self.assertEqual([(one["tasks"], one["kappa"], one["slots"]) for one in empty], [(0, None, 0)] * 6)
        self.assertEqual(self.learned(self.bundle("1", [{}])), [1] * 6)
        summary = json.loads(self.output(str(self.folder / "0"), str(self.folder / "1"), "-S", "-j"))
        self.assertEqual(summary["policies"][0]["kappa"], {"mean": 1, "low": None, "high": None})

    def test_ten_thousand_tasks(self):
        # Each needs 1 CPU-second of its 2 s; `exclusive` has one run in each of the two slots.
        path = self.bundle("many", [{"target": "0.95", "deadline": "2s"}] * 10000, "budget = 10000cpu")
        self.assertEqual(self.learned(path), [10000, 10000, 10000, 2, 10000, 10000])
        path = self.bundle("half", [{"target": "0.95", "deadline": "2s"}] * 10000, "budget = 2500cpu")
        self.assertEqual(self.learned(path, "edf,fifo,equal"), [5000, 5000, 0])

    def test_equal_deadlines(self):
        # 24 s are enough for three, by name.
        self.assertEqual(self.learned(self.bundle("equal", [{"deadline": "24s"}] * 9), "edf,fifo,equal,fixed"),
                         [3, 3, 0, 0])

    def test_losses_that_are_none(self):
        self.curve("c.csv", [(1, "nan"), (2, "inf"), (3, "1e18"), (4, "-inf"), (5, "1e400"), (6, "0.5")])
        path = self.bundle("nan", [{}])
        for result in self.results(path, "-p", self.every):
            self.assertEqual((result["learned"], result["results"][0]["finish_seconds"],
                              result["results"][0]["reports"]), (1, 6, 6))
        self.curve("c.csv", [(1, "nan"), (2, "inf")])
        for result in self.results(path, "-p", self.every):
            self.assertEqual((result["results"][0]["outcome"], result["results"][0]["loss"]),
                             ("missed-target", None))
        self.curve("c.csv", [(1, "1e18"), (2, "1e-300"), (3, "-1e300")])
        path = self.bundle("range", [{"target": "-1e299"}])
        self.assertEqual(self.learned(path), [1] * 6)

    def test_all_impossible(self):
        path = self.bundle("impossible", [{"target": "0.0001"}] * 5)
        summary = json.loads(self.output(path, "-p", self.every, "-S", "-j"))
        for row in summary["policies"]:
            self.assertEqual((row["kappa"]["mean"], row["learned_part"], row["to_target_seconds"]),
                             (0, 0, None))

    def test_no_budget_for_a_while_or_ever(self):
        path = self.bundle("gap", [{}], "budget = 1cpu\n[budget]\n3s = 0cpu\n6.5s = 1cpu")
        for result in self.results(path, "-p", self.every):
            # From 7 s on: half of a slot is not enough for the whole.
            self.assertEqual((result["learned"], result["results"][0]["finish_seconds"]), (1, 12))
        path = self.bundle("none", [{}], "budget = 0cpu")
        for result in self.results(path, "-p", self.every):
            self.assertEqual((result["learned"], result["data_throughput"]), (0, None))
        self.assertIn(" - ", self.output(path, "-S"))

    def test_a_mistake_in_the_last_shows_at_once(self):
        paths = self.many(3)
        bad = self.bundle("bad", [{"target": "soon"}])
        self.refused(65, "bad:6: target: ", *paths, bad)
        self.refused(65, "No such file", *paths, str(self.folder / "nowhere"))

    def test_on_the_command_line(self):
        path = self.bundle("a", [{}])
        for sentence, *words in (
                ("--jobs: '0' is outside the range; expected a whole number from 1 to 1024", "--jobs", "0"),
                ("--jobs: '1025' is outside the range", "-J1025"),
                ("--jobs: '-1' is not a whole number", "--jobs=-1"),
                ("--jobs: '' is not a whole number", "--jobs="),
                ("--policy names 'edf' twice", "-p", "edf,core,edf"),
                ("--policy names 'edf' twice", "-p", "edf", "-p", "core,edf"),
                ("--policy names no policy", "-p", ","),
                ("unknown policy 'edff'; did you mean 'edf'?", "-p", "core,edff"),
                ("--trace is of one bundle under one policy; there are 1 and 2", "-p", "edf,core",
                 "--trace", str(self.folder / "trace")),
                ("--trace is of one bundle under one policy; there are 2 and 1", path,
                 "-t", str(self.folder / "trace")),
                ("--trace needs a value", "--trace")):
            with self.subTest(words=words):
                self.refused(64, sentence, path, *words)
        self.assertFalse((self.folder / "trace").exists())


class Trace(Case):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "run.trace"

    def query(self, sql):
        database = sqlite3.connect(self.path)
        self.addCleanup(database.close)
        return database.execute(sql).fetchall()

    def test_has_what_the_result_says(self):
        path = self.bundle("a", [{"deadline": "24s"}, {"begin": "3s"}, {"target": "0.5"}],
                           "budget = 0.75cpu\ncapacity = 1cpu")
        printed = self.output(path, "-p", "core", "--set", "core.capacity-part=0.8",
                              "--trace", str(self.path), "--json")
        result = json.loads(printed)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.query("SELECT bundle, policy, enforcer, meter, guarantee, capacity_cpus, "
                                    "n_tasks, started_realtime_ns FROM run"),
                         [(path, "core", "sim", "sim", "sim", 1, 3, 0)])
        self.assertEqual(self.query("SELECT value FROM parameters WHERE name = 'capacity-part'"), [(0.8,)])
        self.assertEqual(self.query("SELECT json, n_dropped, n_unwritten FROM result"),
                         [(printed.strip(), 0, 0)])
        self.assertEqual(
            self.query("SELECT name, outcome, outcomes.cpu_ns FROM outcomes JOIN tasks USING (task)"),
            [(task["name"], task["outcome"], round(task["cpu_seconds"] * 1e9)) for task in result["results"]])
        self.assertEqual(self.query("SELECT count(*) FROM reports"),
                         [(sum(task["reports"] for task in result["results"]),)])
        used = round(result["used_cpu_seconds"] * 1e9)
        self.assertEqual(self.query("SELECT sum(cpu_ns) FROM outcomes"), [(used,)])
        # A slot says what was used in the one before: of the last one none is told.
        [(told,)] = self.query("SELECT sum(used_ns) FROM slots")
        [(last,)] = self.query("SELECT granted_ns FROM slots ORDER BY slot DESC LIMIT 1")
        self.assertLessEqual(told, used)
        self.assertLessEqual(used - told, last)
        self.assertEqual(self.query("SELECT count(*) FROM slots WHERE granted_ns > budget_ns OR late_ns"),
                         [(0,)])
        self.assertEqual(self.query("SELECT count(*) FROM slot_tasks WHERE quota_us OR period_us OR "
                                    "wait_ns IS NOT NULL OR n_runnable IS NOT NULL OR steps_total"), [(0,)])

    def test_is_the_same_each_time(self):
        path, = self.many(1)
        self.output(path, "--trace", str(self.path))
        first = self.path.read_bytes()
        self.output(path, "-t", str(self.path), "-J", "5")
        self.assertEqual(self.path.read_bytes(), first)
        self.assertEqual(os.listdir(self.folder).count("run.trace"), 1)
        self.assertFalse([name for name in os.listdir(self.folder)
                          if name.startswith("run.trace") and name != "run.trace"])

    def test_does_not_change_the_result(self):
        path, = self.many(1)
        self.assertEqual(self.output(path, "-t", str(self.path)), self.output(path))

    def test_drops_nothing_of_a_long_run(self):
        self.output(self.long(), "-p", "edf", "-t", str(self.path), "-S")
        self.assertEqual(self.query("SELECT n_dropped, n_unwritten FROM result"), [(0, 0)])
        self.assertEqual(self.query("SELECT count(*) FROM slot_tasks"), [(300 * 1500,)])

    def test_where_it_cannot_be_written(self):
        path = self.bundle("a", [{}])
        self.refused(1, "cannot create a file there: No such file or directory", path, "--trace",
                     str(self.folder / "no" / "trace"))
        self.refused(1, "a file that is not a trace is there", path, "--trace", path)
        self.assertIn("[task t0]", pathlib.Path(path).read_text())


class Terminal(Case):
    """Standard error, and perhaps the output, are a terminal."""

    def on_terminal(self, *words, has_output=False, term="xterm"):
        ours, its = os.openpty()
        self.addCleanup(os.close, ours)
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen([COREGOV, "simulate", *words], stderr=its,
                                       stdout=its if has_output else output,
                                       env={**os.environ, "TERM": term})
            os.close(its)
            shown = b""
            while True:
                try:
                    shown += os.read(ours, 65536)
                except OSError:
                    break
            self.assertEqual(process.wait(PATIENCE), 0)
            output.seek(0)
            return shown.decode(), output.read().decode()

    def test_shows_progress_and_takes_it_away(self):
        path = self.long()
        words = [*[path] * 25, "-p", "edf,fifo", "-J1"]
        shown, output = self.on_terminal(*words)
        self.assertEqual(output, self.output(*words))
        drawn = shown.split("\r")
        self.assertEqual((drawn[0], drawn[-1]), ("", "\x1b[K"))
        self.assertGreater(len(drawn), 3)
        last = 0
        for line in drawn[1:-1]:
            if line == "\x1b[K" or "bundles read" in line:
                continue
            found = re.fullmatch(r"(#*)(-*) +(\d+) %  (\d+) of 50 runs, [\d.]+/s(, left: .*)?\x1b\[K", line)
            self.assertIsNotNone(found, line)
            n_done = int(found[4])
            self.assertGreaterEqual(n_done, last)
            self.assertEqual(int(found[3]), 100 * n_done // 50)
            self.assertEqual((len(found[1]), len(found[2])), (20 * n_done // 50, 20 - 20 * n_done // 50))
            last = n_done
        self.assertGreater(last, 0)

    def test_results_on_the_same_terminal_stay_whole(self):
        path = self.long()
        shown, _ = self.on_terminal(*[path] * 25, "-p", "edf", "-J2", has_output=True)
        # What a line holds when it is ended.
        lines = [re.split("\r(?!$)|\x1b\\[K", line)[-1].strip("\r") for line in shown.split("\n")]
        self.assertEqual([line for line in lines if line.startswith(path)],
                         [f"{path}: edf: kappa 0.000 (0 of 300 learned), data throughput 1.000"] * 25)
        self.assertIn("of 25 runs", shown)

    def test_shows_none(self):
        path = self.long()
        paths = [path] * 25
        self.assertEqual(self.on_terminal(*paths, "-p", "edf", "--quiet")[0], "")
        self.assertEqual(self.on_terminal(*paths, "-p", "edf", term="dumb")[0], "")
        self.assertEqual(self.on_terminal(self.bundle("short", [{}]), "-p", "edf")[0], "")
        shown, _ = self.on_terminal(*paths, "-p", "edf", "--json", has_output=True)
        self.assertEqual([json.loads(line)["tasks"] for line in shown.splitlines()], [300] * 25)


class Optimum(Case):
    """kappa*, the most that any policy could reach."""

    def star(self, tasks, *words, head="budget = 1cpu"):
        """Of a bundle; the same under each policy, none of which is better."""
        results = self.results(self.bundle("a", tasks, head), "-p", "edf,oracle,equal", *words)
        self.assertEqual(len({result["kappa_star"] for result in results}), 1)
        for result in results:
            if result["kappa_star"] is not None:
                self.assertLessEqual(result["kappa"], result["kappa_star"])
        return results[0]["kappa_star"]

    def test_by_hand(self):
        for tasks, star in (
                ([{}], 1),
                # 24 CPU-seconds do not go into 20 seconds.
                ([{"deadline": "20s"}] * 3, 2 / 3),
                # They do with two tasks at a time, but one has too few seconds; or its target is never met.
                ([{"deadline": "20s"}] * 2 + [{"deadline": "7.999s"}], 2 / 3),
                ([{"deadline": "20s"}] * 2 + [{"deadline": "8s"}], 2 / 3),
                ([{"deadline": "24s"}] * 2 + [{"deadline": "8s"}], 1),
                ([{}, {"target": "0.1"}], 0.5),
                ([{"target": "0.1"}] * 4, 0),
                # 0.6 is met at 8 and for the second time at 9.
                ([{"target": "0.6 for 2", "deadline": "9s"}], 1),
                ([{"target": "0.6 for 2", "deadline": "8.999s"}], 0)):
            with self.subTest(tasks=tasks):
                self.assertAlmostEqual(self.star(tasks), star, 8)

    def test_where_the_budget_changes(self):
        head = "budget = 1cpu\n[budget]\n4s = 0cpu\n10s = 0.5cpu\n"
        for deadline, star in (("17.999s", 0), ("18s", 1)):
            self.assertEqual(self.star([{"deadline": deadline}], head=head), star)

    def test_where_there_is_none(self):
        self.assertIsNone(self.star([]))
        # Of 10,000 equal ones it is found; where each has a time of its own the search would take hours.
        head = "budget = 1cpu\nslot = 10s"
        self.assertEqual(self.star([{}] * 10000, head=head), 0.0003)
        self.assertIsNone(self.star([{"begin": f"{i}ms", "deadline": f"{30000 + i}ms"}
                                     for i in range(10000)], head=head))

    def test_is_in_the_summary(self):
        paths = self.many()
        results = self.results(*paths, "-p", "edf")
        self.assertFalse([result for result in results if result["kappa"] > result["kappa_star"]])
        star = sum(result["kappa_star"] for result in results) / len(results)
        row, = json.loads(self.output(*paths, "-p", "edf", "--summary", "--json"))["policies"]
        self.assertAlmostEqual(row["kappa_star"], star, 8)
        self.assertAlmostEqual(row["part_of_kappa_star"], row["kappa"]["mean"] / star, 8)
        self.assertIn(f"the best that any policy could: kappa {star:.4f}", self.output(*paths, "--summary"))
        self.assertIn("kappa 1.00 (1 of 1 learned; 1.00 is possible)",
                      self.output(self.bundle("a", [{}]), "-p", "edf"))


class Ends(Case):
    """Before its time."""

    def start(self, *words, **more):
        process = subprocess.Popen([COREGOV, "simulate", *words], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True, **more)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def started(self, n_jobs=3):
        """One that has printed its first result and has long to go."""
        process = self.start(*[self.long()] * 300, "-p", "edf", "-j", "-J", str(n_jobs))
        first = process.stdout.readline()
        self.assertEqual(json.loads(first)["learned"], 0)
        workers = children(process.pid)
        self.assertEqual(len(workers), n_jobs)
        return process, workers

    def test_by_a_signal(self):
        for signo, word in ((signal.SIGINT, "Interrupt"), (signal.SIGTERM, "Terminated"),
                            (signal.SIGHUP, "Hangup")):
            with self.subTest(signo=signo):
                process, workers = self.started()
                # As a terminal does, to all of them.
                os.killpg(process.pid, signo)
                output, errors = process.stdout.read(), process.stderr.read()
                self.assertEqual((process.wait(PATIENCE), errors),
                                 (128 + signo, f"coregov: {word}: not all of it was run\n"))
                self.assertTrue(all(json.loads(line) for line in output.splitlines()))
                self.assertFalse([pid for pid in workers if runs(pid)])

    def test_while_it_reads(self):
        # A pipe that nobody writes to, and then another bundle: it is found out between them.
        os.mkfifo(self.folder / "pipe")
        process = self.start(self.bundle("a", [{}]), str(self.folder / "pipe"), self.bundle("b", [{}]))
        with open(self.folder / "pipe", "w", encoding="ascii") as pipe:
            process.send_signal(signal.SIGINT)
            pipe.write("[bundle]\nbudget = 1cpu\n")
        self.assertEqual(process.communicate(timeout=PATIENCE)[0], "")
        self.assertEqual(process.returncode, 130)

    def test_where_a_bundle_is_changed_meanwhile(self):
        # It is for some time at work on the first; the other is read again only then.
        full = self.full("50000s")
        for tasks, sentence in (([{}, {}], "it was changed while others were run"),
                                ([{"target": "soon"}], "other:6: target: ")):
            with self.subTest(tasks=tasks):
                other = self.bundle("other", [{"curve": "huge.csv"}])
                process = self.start(full, other, "-p", "edf", "-j", "-J1")
                until(lambda pid=process.pid: children(pid), "all are read")
                self.bundle("other", tasks)
                output, errors = process.communicate(timeout=PATIENCE)
                self.assertEqual((process.returncode, output.count("\n")), (1, 1))
                self.assertRegex(errors, rf"^coregov: {other}: edf: .*{sentence}")

    def test_with_a_process_that_is_killed(self):
        process, workers = self.started()
        os.kill(workers[1], signal.SIGKILL)
        output, errors = process.stdout.read(), process.stderr.read()
        self.assertEqual(process.wait(PATIENCE), 1)
        self.assertRegex(errors, r"^coregov: \S*/long\.bundle: edf: the process that ran it was killed by "
                                 r"signal 9 \(Killed\)\n$")
        self.assertTrue(all(json.loads(line)["tasks"] == 300 for line in output.splitlines()))
        self.assertFalse([pid for pid in workers if runs(pid)])

    def test_killed_itself(self):
        process, workers = self.started()
        process.kill()
        until(lambda: not any(runs(pid) for pid in workers), "they end with it")

    def test_nobody_reads(self):
        process, workers = self.started()
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), -signal.SIGPIPE)
        until(lambda: not any(runs(pid) for pid in workers), "they end with it")

    def test_by_a_signal_while_nobody_reads(self):
        process, workers = self.started()
        # The pipe is full some time, and the workers wait for the caller.
        size = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
        until(lambda: struct.unpack("i", fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4)))[0] >
              size - 8192, "it is full")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), 128 + signal.SIGTERM)
        self.assertFalse([pid for pid in workers if runs(pid)])

    def test_nowhere_to_write_to(self):
        paths = self.many()
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([COREGOV, "simulate", *paths, "-p", "edf,core"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("write the results: No space left on device", done.stderr)


if __name__ == "__main__":
    tap.main()
