# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov bundle --submit`: bundles under a real coregovd, on a bus of the test's own; and a bundle
with a governor of its own beside one."""

import json
import os
import signal
import subprocess
import sys
import time

import tap
from bus_case import COREGOV, NOBODY, PATIENCE, BusCase

COREGOVD = os.environ["COREGOVD"]
LEARNERS = os.environ["COREGOV_LEARNERS"]
# Tests of other suites may hold a part of the machine: these hold little.
BUDGET = "0.5cpu"
BUDGET_TAKEN = 75

# Trains on nothing: the loss falls by a tenth with every 10 ms of CPU time.
LEARN = """
import sys, time
loss, step = 1.0, 0
while step < %d:
    end = time.process_time() + 0.01
    while time.process_time() < end:
        pass
    loss, step = loss * 0.9, step + 1
    print("step %%d: loss %%.6f" %% (step, loss))
"""


class Bundles(BusCase):
    host_options = None
    configuration = f"[governor]\nbudget = {BUDGET}\nslot = 100ms\n"

    def setUp(self):
        super().setUp()
        (self.folder / "xdg" / "coregov").mkdir(parents=True)
        (self.folder / "xdg" / "coregov" / "coregov.conf").write_text(self.configuration)
        (self.folder / "run").mkdir()
        self.env.update(XDG_CONFIG_HOME=str(self.folder / "xdg"),
                        XDG_RUNTIME_DIR=str(self.folder / "run"))
        self.env.pop("PYTHONUNBUFFERED", None)
        self.write("learn.py", LEARN % 400)
        self.write("few.py", LEARN % 3)
        self.log = self.folder / "log"
        self.daemon = None
        self.processes = []
        self.addCleanup(self.end_processes)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def python(self, name):
        return f"{sys.executable} {self.folder / name}"

    def start_daemon(self):
        end = time.monotonic() + PATIENCE
        while True:
            with open(self.log, "ab") as log:
                self.daemon = subprocess.Popen([COREGOVD, "--user"], env=self.env, stderr=log,
                                               stdin=subprocess.DEVNULL)
            self.until(lambda: self.daemon.poll() is not None or self.coregov("list")[0] == 0)
            if self.daemon.poll() is None:
                break
            # A stranger's run on this machine may have to end first.
            self.assertEqual(self.daemon.returncode, BUDGET_TAKEN, self.log.read_text())
            self.assertLess(time.monotonic(), end)
            time.sleep(0.5)
        self.addCleanup(self.stop_daemon)

    def stop_daemon(self):
        if self.daemon.poll() is None:
            self.daemon.terminate()
        self.daemon.wait(PATIENCE)

    def end_processes(self):
        for process in self.processes:
            for _ in range(2):  # the second one kills
                if process.poll() is None:
                    process.terminate()
            process.communicate(timeout=PATIENCE)

    def bundle(self, tasks, head="budget = 0.5cpu\npolicy = equal\nslot = 100ms\n"):
        text = f"[bundle]\n{head}"
        for name, keys in tasks.items():
            text += f"[task {name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items())
        return self.write("test.bundle", text)

    def learning(self, **more):
        return {"command": self.python("learn.py"), "deadline": "60s", "target": "0.5",
                "on-target": "stop", "grace": "2s", **more}

    def start(self, path, *words, user=None):
        process = subprocess.Popen([COREGOV, "bundle", path, *words], env=self.env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, cwd="/", **self.as_user(user))
        self.processes.append(process)
        return process

    def done(self, tasks, *words, status=0, **more):
        """(result, standard error) of a bundle that is submitted."""
        process = self.start(self.bundle(tasks, **more), "--submit", "--json", *words)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, status, err)
        result = json.loads(out)
        return {**result, "results": {task["name"]: task for task in result["results"]}}, err

    def tasks_now(self, *words):
        status, out, err = self.coregov("list", "--json", *words)
        self.assertEqual((status, err), (0, ""))
        return {task["name"]: task for task in json.loads(out)["tasks"]}

    def refused(self, tasks, status, *sentences, **more):
        """Nothing has been started then, and there is no result."""
        process = self.start(self.bundle(tasks, **more), "--submit")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (status, ""), err)
        for sentence in sentences:
            self.assertIn(sentence, err)
        self.assertNotIn("begun", err)
        return err


class Submitted(Bundles):
    def setUp(self):
        super().setUp()
        self.start_daemon()

    def test_all_learn(self):
        result, err = self.done({"a": self.learning(), "b": self.learning(begin="1s")},
                                head="budget = 0.5cpu\npolicy = equal\nslot = 100ms\n"
                                     "[policy core]\nunseen-part = 0.3\n")
        self.assertEqual({name: task["outcome"] for name, task in result["results"].items()},
                         {"a": "learned", "b": "learned"}, err)
        self.assertEqual((result["kappa"], result["tasks"], result["learned"]), (1, 2, 2))
        self.assertEqual((result["policy"], result["budget_cpus"], result["slot_seconds"]),
                         ("core", 0.5, 0.1))
        b = result["results"]["b"]
        self.assertEqual((b["feed"], b["begin_seconds"], b["deadline_seconds"]), ("output", 1, 60))
        self.assertGreaterEqual(b["finish_seconds"], 1)
        self.assertLess(b["finish_seconds"], 60)
        self.assertLessEqual(b["loss"], 0.5)
        self.assertGreater(b["cpu_seconds"], 0.05)
        self.assertGreaterEqual(b["reports"], 7)
        self.assertIsNone(result["granted_cpus_max"])
        self.assertIn("left to the governor, which has its own: budget, policy, [policy], slot "
                      "(it shares 0.5 of ", err)
        self.assertRegex(err, r"\n +0\.\d s  a +start: begun\n")
        self.assertRegex(err, r"\n +[1-9]\d*\.\d s  b +start: begun\n")
        self.assertRegex(err, r" b +learned: loss 0\.\d+ after 0\.\d+ CPU-seconds\n")
        self.assertEqual(self.tasks_now(), {})

    def test_same_kappa_as_a_run_of_its_own(self):
        tasks = {"fast": self.learning(),
                 "few": self.learning(command=self.python("few.py")),
                 "never": self.learning(target="-1", deadline="3s", **{"on-deadline": "stop"})}
        submitted, _ = self.done(tasks)
        self.stop_daemon()
        end = time.monotonic() + PATIENCE
        while True:
            process = self.start(self.bundle(tasks), "--json")
            out, err = process.communicate(timeout=PATIENCE)
            if process.returncode != BUDGET_TAKEN:
                break
            self.assertLess(time.monotonic(), end)
        self.assertEqual(process.returncode, 0, err)
        own = json.loads(out)
        self.assertEqual({task["name"]: task["outcome"] for task in own["results"]},
                         {name: task["outcome"] for name, task in submitted["results"].items()})
        self.assertEqual({"fast": "learned", "few": "missed-target", "never": "missed-deadline"},
                         {task["name"]: task["outcome"] for task in own["results"]})
        self.assertEqual(own["kappa"], submitted["kappa"])
        self.assertEqual(set(own), set(submitted))
        self.assertEqual(set(own["results"][0]), set(submitted["results"]["fast"]))

    def test_table(self):
        process = self.start(self.bundle({"a": self.learning()}), "-S")
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        self.assertRegex(out, r"\na +loss <= 0\.5 +60\.0 s +\d+\.\d s .* learned +output\n")
        self.assertIn("core: kappa 1.00 (1 of 1 learned)", out)

    def test_on_a_terminal(self):
        """The table of a run of its own, from what the governor tells."""
        path = self.bundle({"a": self.learning(target="1e-9"),
                            "b": self.learning(command="sleep 2")})
        ours, its = os.openpty()
        process = subprocess.Popen([COREGOV, "bundle", path, "--submit"], stderr=its, text=True,
                                   env={**self.env, "TERM": "xterm"}, stdout=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL)
        self.processes.append(process)
        os.close(its)
        shown = b""
        try:
            while len(shown) < 1000000:
                shown += os.read(ours, 65536)
        except OSError:  # it has ended
            pass
        os.close(ours)
        out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, shown)
        self.assertIn("kappa 0.50", out)
        shown = shown.decode()
        self.assertRegex(shown, r"budget 0\.50, granted 0\.[1-5]\d, used 0\.\d\d CPU; "
                                r"2 run, 0 learned")
        self.assertRegex(shown, r"\na +alive +0\.\d\d [#-]{10} +0\.\d+ <= 1e-09 +\d+ s left")

    def test_output_and_what_the_task_has(self):
        (self.folder / "sub").mkdir()
        says = ("pwd; echo $WHO $OMP_NUM_THREADS $OMP_WAIT_POLICY $PYTHONUNBUFFERED; "
                "echo no >&2; cat")
        result, err = self.done(
            {"a": {"command": f"sh -c '{says}'", "directory": "sub", "environment": "WHO=me",
                   "deadline": "30s", "target": "1", "threads": "2.5"}},
            "--output", str(self.folder / "out"))
        self.assertEqual(result["results"]["a"]["outcome"], "missed-target")
        self.assertEqual((self.folder / "out" / "a.out").read_text(),
                         f"{self.folder / 'sub'}\nme 2 PASSIVE 1\n")
        self.assertEqual((self.folder / "out" / "a.err").read_text(), "no\n")
        self.assertIn("task a: threads 2.5 becomes 3", err)

    def test_verbose(self):
        tasks = {"a": {"command": "sh -c 'echo one; echo two >&2'", "deadline": "30s",
                       "target": "1"},
                 "b": {"command": "echo three", "deadline": "30s", "target": "1", "feed": "none"}}
        _, err = self.done(tasks, "--verbose", "--output", str(self.folder / "out"))
        self.assertIn("a: one\n", err)
        self.assertIn("a: two\n", err)
        self.assertEqual((self.folder / "out" / "b.out").read_text(), "three\n")
        self.assertIn("\nthree\n", self.done(tasks, "--verbose")[1])

    def test_a_learner_that_speaks_for_itself_is_stopped_when_it_has_learned(self):
        """As in a run of its own, and it is found among the learners."""
        self.env["COREGOV_DATA"] = os.environ["COREGOV_DATA"]
        self.env["COREGOV_LEARNERS"] = LEARNERS
        result, _ = self.done({"soft": {"command": "softmax", "deadline": "50s",
                                        "target": "loss <= 0.9"}})
        self.assertEqual((result["results"]["soft"]["outcome"], result["results"]["soft"]["feed"]),
                         ("learned", "shm"))

    def test_a_file_is_followed(self):
        self.write("log.py", "import time\nfor i in range(200):\n"
                             "    open('log.csv', 'a').write(f'{i},{1 / (i + 1)}\\n' if i else "
                             "'step,loss\\n')\n    time.sleep(0.05)\n")
        result, _ = self.done({"a": self.learning(command=self.python("log.py"), target="0.3",
                                                  feed="file:log.csv")})
        self.assertEqual((result["results"]["a"]["outcome"], result["results"]["a"]["feed"]),
                         ("learned", "file"))

    def test_failures_are_of_one_task(self):
        result, err = self.done({
            "gone": self.learning(directory="nowhere"),
            "missing": self.learning(command="no-such-program"),
            "bad": self.learning(command="sh -c 'echo because >&2; exit 3'"),
            "good": self.learning()})
        self.assertEqual({name: task["outcome"] for name, task in result["results"].items()},
                         {"gone": "failed", "missing": "failed", "bad": "failed",
                          "good": "learned"}, err)
        self.assertIn("failed: cannot enter directory '", err)
        self.assertIn("failed: 'no-such-program' cannot be executed: No such file", err)
        self.assertIn("failed: ended with status 3\n", err)
        self.assertIn("task bad said last:\nbecause\n", err)
        self.assertIsNone(result["results"]["gone"]["finish_seconds"])

    def test_interrupt(self):
        path = self.bundle({"a": self.learning(target="1e-30"),
                            "later": self.learning(begin="50s")})
        process = self.start(path, "--submit", "--json")
        self.until(lambda: self.tasks_now().get("a", {}).get("reports", 0) > 0)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, err)
        self.assertIn("SIGINT: the tasks are asked to stop", err)
        result = {task["name"]: task for task in json.loads(out)["results"]}
        self.assertEqual([task["outcome"] for task in result.values()], ["cancelled", "cancelled"])
        self.assertGreater(result["a"]["reports"], 0)
        self.assertIsNone(result["later"]["finish_seconds"])
        self.assertEqual(self.tasks_now("--all")["a"]["outcome"], "cancelled")
        self.assertEqual(self.tasks_now(), {})

    def test_second_interrupt_kills(self):
        path = self.bundle({"a": self.learning(
            command="sh -c \"trap '' TERM INT; echo ready; while :; do sleep 0.1; done\"",
            grace="5min")})
        process = self.start(path, "--submit", "--output", str(self.folder / "out"))
        said = self.folder / "out" / "a.out"
        self.until(lambda: said.exists() and said.read_text() == "ready\n")
        process.send_signal(signal.SIGTERM)
        self.until(lambda: self.tasks_now().get("a", {}).get("phase") == "stopping")
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGTERM, err)
        self.assertIn("cancelled", out)
        self.until(lambda: self.tasks_now() == {})

    def test_killed(self):
        """The tasks are the governor's, and run on."""
        process = self.start(self.bundle({"a": self.learning(target="1e-30")}), "--submit")
        self.until(lambda: self.tasks_now().get("a", {}).get("reports", 0) > 0)
        process.kill()
        process.communicate(timeout=PATIENCE)
        before = self.tasks_now()["a"]["reports"]
        self.until(lambda: self.tasks_now()["a"]["reports"] > before)
        self.assertEqual(self.coregov("cancel", "a")[0], 0)
        self.until(lambda: self.tasks_now() == {})

    def test_governor_that_goes(self):
        process = self.start(self.bundle({
            "a": self.learning(command="sh -c 'sleep 2; exit 4'"),
            "later": self.learning(begin="50s")}), "--submit", "--json")
        self.until(lambda: "a" in self.tasks_now())
        self.daemon.kill()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("the governor has gone: it is waited for", err)
        self.assertIn("what runs is waited for, nothing more is started", err)
        self.assertEqual([task["outcome"] for task in json.loads(out)["results"]],
                         ["failed", "cancelled"])

    def test_governor_that_is_killed_and_comes_back(self):
        """It goes on with those that run; those that come while it is away wait for it."""
        ended = self.folder / "ended"
        process = self.start(self.bundle({
            "a": self.learning(target="1e-9"),
            "short": self.learning(command=f"sh -c 'sleep 3; : >{ended}; exit 4'"),
            "later": self.learning(begin="2s")}), "--submit", "--json")
        self.until(lambda: self.tasks_now().get("a", {}).get("reports", 0) > 0 and
                   "short" in self.tasks_now())
        for is_awaited in (False, True):
            self.daemon.kill()
            self.daemon.wait(PATIENCE)
            # For two seconds its launcher tries to say how; one that has no share stands still.
            end = time.monotonic() + 3
            while is_awaited and not ended.exists() and time.monotonic() < end:
                time.sleep(0.02)
            self.start_daemon()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        result = json.loads(out)
        self.assertEqual({task["name"]: task["outcome"] for task in result["results"]},
                         {"a": "learned", "short": "failed", "later": "learned"}, err)
        self.assertEqual(err.count("the governor is back"), 2)
        self.assertNotIn("does not know it", err)
        self.assertEqual(self.tasks_now(), {})

    def test_ended_while_the_governor_is_away(self):
        process = self.start(self.bundle({"a": self.learning(command="sleep 60")}), "--submit")
        self.until(lambda: "a" in self.tasks_now())
        self.daemon.kill()
        self.daemon.wait(PATIENCE)
        process.stderr.readline()
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertLess(time.monotonic() - began, 15)

    def test_name_that_is_taken(self):
        other = subprocess.Popen([COREGOV, "run", "--quiet", "--name", "b", "--", "sleep", "60"],
                                 env=self.env, stdin=subprocess.DEVNULL, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(other)
        self.until(lambda: "b" in self.tasks_now())
        self.refused({"a": self.learning(), "b": self.learning()}, 65,
                     "test.bundle:11: a task 'b' runs already under the governor")
        self.assertEqual(set(self.tasks_now("--all")), {"b"})

    def test_name_that_is_taken_meanwhile(self):
        process = self.start(self.bundle({"a": self.learning(), "b": self.learning(begin="3s")}),
                             "--submit", "--json")
        self.until(lambda: "a" in self.tasks_now("--all"))
        other = subprocess.Popen([COREGOV, "run", "--quiet", "--name", "b", "--", "sleep", "60"],
                                 env=self.env, stdin=subprocess.DEVNULL, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(other)
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual([task["outcome"] for task in json.loads(out)["results"]],
                         ["learned", "failed"], err)
        self.assertRegex(err, r" b +failed: a task 'b' runs already")

    def test_draining(self):
        self.assertEqual(self.coregov("drain")[0], 0)
        self.refused({"a": self.learning()}, 75, "drained")

    def test_curve_only(self):
        self.write("a.csv", "cpu_seconds,loss\n1,0.5\n")
        curve = {"curve": "a.csv", "deadline": "9s", "target": "1"}
        self.refused({"a": self.learning(), "curve": curve}, 65,
                     "test.bundle:11: [task curve] is only a recorded curve")
        self.assertEqual(self.tasks_now("--all"), {})

    def test_unknown_preset(self):
        self.refused({"a": self.learning(feed="output:keros")}, 65, "did you mean 'keras'?")

    def test_bundle_that_has_none(self):
        result, _ = self.done({})
        self.assertEqual((result["tasks"], result["kappa"], result["slots"]), (0, None, 0))

    def test_a_budget_that_is_too_much_here_is_the_governors_affair(self):
        result, err = self.done({"a": self.learning()},
                                head="budget = 900cpu\ncapacity = 1000cpu\n[budget]\n5s = 1cpu\n")
        self.assertEqual((result["kappa"], result["budget_cpus"]), (1, 0.5))
        self.assertIn("budget, [budget], capacity (it shares", err)

    def test_a_run_of_its_own_beside_it(self):
        process = self.start(self.bundle({}, head="budget = 0.1cpu\n"))
        _, err = process.communicate(timeout=PATIENCE)
        self.assertRegex(err, r"a governor is running on this machine \(budget 0\.5 of [\d.]+ "
                              r"CPUs\): --submit would run this bundle under it\n")
        self.assertEqual(process.returncode, 0, err)

    def test_a_run_of_its_own_that_does_not_fit_beside_it(self):
        process = self.start(self.bundle({}, head="budget = 100%\n"))
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, BUDGET_TAKEN, err)
        self.assertIn(f"coregovd-{self.daemon.pid}-", err)
        self.assertIn("--submit would run this bundle under it\n", err)


class Limited(Bundles):
    configuration = Bundles.configuration + "per-user-tasks = 2\n"

    def setUp(self):
        super().setUp()
        self.start_daemon()

    def test_more_than_it_takes(self):
        self.refused({name: self.learning() for name in "abc"}, 75,
                     "3 of its tasks run at the same time, and the governor takes 2 more of yours")
        self.assertEqual(self.tasks_now("--all"), {})

    def test_one_after_another(self):
        result, _ = self.done({"a": self.learning(deadline="20s"),
                               "b": self.learning(deadline="20s"),
                               "c": self.learning(begin="20s", deadline="50s")})
        self.assertEqual(result["kappa"], 1)


class Alone(Bundles):
    """Without a governor."""

    def test_none(self):
        self.refused({"a": self.learning()}, 69, "no governor runs here")

    def test_none_but_an_error_comes_first(self):
        self.write("a.csv", "cpu_seconds,loss\n1,0.5\n")
        self.refused({"a": {"curve": "a.csv", "deadline": "9s", "target": "1"}}, 65, "recorded curve")
        self.refused({"a": self.learning(deadlin="1s")}, 65, "test.bundle:")

    def test_no_bus(self):
        self.stop_bus_now()
        self.refused({"a": self.learning()}, 69, "no governor can be reached")
        process = self.start(self.bundle({}, head="budget = 0.1cpu\n"))
        _, err = process.communicate(timeout=PATIENCE)
        self.assertNotIn("--submit", err)
        self.assertEqual(process.returncode, 0, err)

    def stop_bus_now(self):
        self.env["COREGOV_BUS_ADDRESS"] = f"unix:path={self.folder}/none"

    def test_usage(self):
        path = self.bundle({})
        for words, sentence in (
                (["--submit", "--policy", "edf"], "--policy and --submit exclude each other"),
                (["--submit", "--enforcer", "signal"], "--enforcer and --submit"),
                (["--submit", "--meter", "proc"], "--meter and --submit"),
                (["--submit", "--trace", "x"], "--trace and --submit"),
                (["--submit", "--dry-run"], "--dry-run and --submit"),
                (["--submit", "--user", "--system"], "which of the two?"),
                (["--user"], "--user without --submit")):
            with self.subTest(words):
                status, out, err = self.coregov("bundle", path, *words)
                self.assertEqual((status, out), (64, ""))
                self.assertIn(sentence, err)


class OfOthers(Bundles):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can be several users")
        self.start_daemon()

    def test_another_user(self):
        """The tasks are of who has submitted them."""
        process = self.start(self.bundle({"a": self.learning(command="sleep 60")}), "--submit",
                             user=NOBODY)
        self.until(lambda: "a" in self.tasks_now())
        self.assertEqual(self.tasks_now()["a"]["owner_uid"], NOBODY)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, err)


if __name__ == "__main__":
    tap.main()
