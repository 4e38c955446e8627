# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python package against the governor's reader: small programs run below page_host."""

import os
import subprocess
import sys
import unittest

import tap

HOST = os.environ["PAGE_HOST"]


def run(program, target="loss <= 0.5", share=0.75, threads=3, stop=0):
    """Runs a program with a page; its reports [(step, value)], the facts, its own output."""
    command = [HOST, target, str(share), str(threads), str(stop), sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f"exit status {done.returncode}: {done.stderr}")
    reports, facts, said = [], {}, []
    for line in done.stdout.splitlines():
        kind, *words = line.split()
        if kind == "report":
            reports.append((int(words[0]), float(words[1])))
        elif kind == "facts":
            facts = {name: float(value) for name, value in (w.split("=") for w in words)}
        else:
            said.append(line)
    return reports, facts, said


class Reports(unittest.TestCase):
    def test_arrive_as_they_were_made(self):
        reports, facts, _ = run("""
import coregov
coregov.total_steps(3)
coregov.samples(64)
coregov.epoch(1.5)
assert coregov.report(1, loss=2.5)
assert coregov.report(2, accuracy=0.25)
assert coregov.report(3, accuracy=0.5, loss=float("inf"))
assert coregov.report(4, loss=float("nan"))
""")
        self.assertEqual(reports[:2], [(1, 2.5), (3, float("inf"))])
        self.assertEqual(reports[2][0], 4)
        self.assertNotEqual(reports[2][1], reports[2][1])
        self.assertEqual(facts, {"reports": 4, "dropped": 0, "refused": 0, "step": 4, "total": 3,
                                 "samples": 64, "epoch": 1.5, "speaks": 1})

    def test_at_full_speed_are_whole_or_counted(self):
        reports, facts, _ = run("""
import coregov
for i in range(1, 100001):
    coregov.report(i, loss=float(i))
""")
        self.assertTrue(all(step == value for step, value in reports))
        self.assertEqual(sorted(set(reports)), reports)
        self.assertEqual(facts["reports"], 100000)
        self.assertEqual(facts["refused"], 0)
        self.assertEqual(len(reports) + facts["dropped"], 100000)

    def test_a_target_met_in_between_is_seen(self):
        for target, value in (("loss <= 0.5 for 3", 0.4), ("loss >= 0.5 for 3", 0.6)):
            reports, _, _ = run(f"""
import coregov, mmap, time
for i in range(10000):
    coregov.report(i, loss={value} if 100 <= i < 103 else 1 - {value})
""", target=target)
            row = longest = 0
            for _, seen in reports:
                row = row + 1 if seen == value else 0
                longest = max(longest, row)
            self.assertGreaterEqual(longest, 3)

    def test_numbers_of_other_types(self):
        reports, _, _ = run("""
import coregov, fractions
class Scalar:
    def __float__(self): return 0.25
    def __index__(self): return 7
coregov.report(Scalar(), loss=Scalar())
coregov.report(True, loss=fractions.Fraction(1, 2))
coregov.report(2, loss="0.125")
""")
        self.assertEqual(reports, [(7, 0.25), (1, 0.5), (2, 0.125)])

    def test_wrong_ones_raise_and_leave_the_ring_whole(self):
        reports, facts, _ = run("""
import coregov
def raises(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except (TypeError, ValueError):
        return True
assert raises(coregov.report, -1, loss=1)
assert raises(coregov.report, 1 << 64, loss=1)
assert raises(coregov.report, 1, loss=None)
assert raises(coregov.report, 1, loss="x")
assert raises(coregov.epoch, -1) and raises(coregov.epoch, float("nan"))
assert raises(coregov.samples, -1)
assert not coregov.report(1)
assert not coregov.report(1, **{"": 1})
assert not coregov.report(1, **{"x" * 64: 1})
assert coregov.report(1, **{"x" * 63: 1})
for i in range(6):
    assert coregov.report(1, **{f"m{i}": 1})
assert not coregov.report(1, m6=1)
assert coregov.report(2, loss=1, m5=3)
""")
        self.assertEqual(reports, [(2, 1)])
        self.assertEqual((facts["reports"], facts["dropped"], facts["refused"]), (8, 3, 0))


class Processes(unittest.TestCase):
    def test_forked_children_are_ignored_and_counted(self):
        reports, facts, _ = run("""
import coregov, os
coregov.report(1, loss=1)
for i in range(2):
    pid = os.fork()
    if pid == 0:
        os._exit(coregov.report(100, loss=0) or coregov.total_steps(5) or coregov.threads() != 3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert coregov.report(2, loss=1)
""")
        self.assertEqual(reports, [(1, 1), (2, 1)])
        self.assertEqual((facts["refused"], facts["total"]), (2, 0))

    def test_a_writer_that_is_gone_is_succeeded(self):
        # subprocess closes the descriptor: the path is what is left.
        program = "import coregov; assert coregov.report(%d, loss=1, other=2)"
        reports, facts, _ = run(f"""
import subprocess, sys
for program in ({program % 1!r}, {program % 2!r}):
    subprocess.run([sys.executable, "-c", program], check=True)
{program % 3}
""")
        self.assertEqual(reports, [(1, 1), (2, 1), (3, 1)])
        self.assertEqual(facts["refused"], 0)

    def test_two_at_once_have_one_writer(self):
        reports, facts, _ = run("""
import subprocess, sys
program = "import coregov, sys; print(int(coregov.report(1, loss=1)), flush=True); sys.stdin.read()"
ranks = [subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) for _ in range(4)]
assert sum(int(rank.stdout.readline()) for rank in ranks) == 1
for rank in ranks:
    rank.communicate("")
""")
        self.assertEqual(reports, [(1, 1)])
        self.assertEqual(facts["refused"], 3)

    def test_threads_take_turns(self):
        _, facts, _ = run("""
import coregov, os, threading
def work():
    for i in range(5000):
        coregov.report(i, loss=1) or os._exit(1)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""")
        self.assertEqual((facts["reports"], facts["refused"]), (20000, 0))


class News(unittest.TestCase):
    def test_is_seen(self):
        _, facts, said = run("""
import coregov, time
print(coregov.is_governed(), coregov.share(), coregov.threads(), coregov.should_stop())
print(*coregov.target())
print(60 < coregov.deadline() - time.monotonic() < 90)
""", target="accuracy >= 0.9 for 2", stop=1)
        self.assertEqual(said, ["True 0.75 3 True", "accuracy 0.9 True 2", "True"])
        self.assertEqual(facts["speaks"], 0)  # looking is not speaking

    def test_steps_counts_and_ends_when_asked(self):
        program = """
import coregov
with coregov.task() as t:
    for item in t.steps("abc"):
        t.report(loss=ord(item))
for item in coregov.steps(iter("de"), total=7):
    coregov.report(loss=ord(item))
"""
        reports, facts, _ = run(program)
        self.assertEqual(reports, [(1, 97), (2, 98), (3, 99), (1, 100), (2, 101)])
        self.assertEqual(facts["total"], 7)
        reports, _, _ = run(program, stop=1)
        self.assertEqual(reports, [])

    def test_task_counts_by_itself(self):
        reports, facts, _ = run("""
import coregov
with coregov.task(total_steps=10) as t:
    t.report(loss=1)
    t.report(loss=2)
    t.report(9, loss=3)
    t.report(loss=4)
""")
        self.assertEqual(reports, [(1, 1), (2, 2), (9, 3), (10, 4)])
        self.assertEqual(facts["total"], 10)


class Outside(unittest.TestCase):
    PROGRAM = """
import coregov
assert not coregov.is_governed()
assert not coregov.report(1, loss=1) and not coregov.report(None, loss=None)
assert not coregov.total_steps(1) and not coregov.samples(1) and not coregov.epoch(1)
assert coregov.should_stop() is False
assert (coregov.share(), coregov.threads(), coregov.deadline(), coregov.target()) == (None,) * 4
assert list(coregov.steps("abc")) == ["a", "b", "c"]
"""

    def test_nothing_happens(self):
        environment = {k: v for k, v in os.environ.items() if k != "COREGOV_PROGRESS"}
        for text in (None, "", "199", "x:/proc/self/fd/0:1", "0:/dev/null:1", "0:/proc/self/fd/0:1",
                     "-1:/proc/1/fd/999999:1", "9" * 30 + ":/proc/self/fd/1:zz"):
            if text is not None:
                environment["COREGOV_PROGRESS"] = text
            with self.subTest(text=text):
                subprocess.run([sys.executable, "-c", self.PROGRAM], env=environment, check=True,
                               timeout=60)


if __name__ == "__main__":
    tap.main()
