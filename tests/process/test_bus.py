# SPDX-License-Identifier: GPL-2.0-or-later
"""The governor on the bus: what comes through to the daemon, who may, what is refused and in which
words, and the signals."""

import os
import pathlib
import re
import signal
import subprocess
import time
import xml.etree.ElementTree

import bus_case
import tap
from bus_case import NAME, NOBODY, PATH, PATIENCE, SOMEBODY, BusCase, Peer

ERROR = "org.coregov.Error"
INVALID = "org.freedesktop.DBus.Error.InvalidArgs"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
TASK = f"{NAME}.Task"
FAKE_SYSTEMD = os.environ["FAKE_SYSTEMD"]
SOURCE = pathlib.Path(os.environ["SOURCE"])
FAR = 4102444800_000000  # the year 2100, in microseconds
BY_US = f"by {os.geteuid()}"


def task(number):
    return f"{PATH}/task/_{number}"


class Submit(BusCase):
    def refused(self, error, words, *options, user=None):
        (line,) = self.submit(*options, user=user)
        self.assertTrue(line.startswith(f"error {error}: "), line)
        for word in words if isinstance(words, tuple) else (words,):
            self.assertIn(word, line)
        self.assertEqual([call for call in self.host.take() if "submit" in call], [])

    def accepted(self, *options, user=None):
        (line,) = self.submit(*options, user=user)
        self.assertRegex(line, rf"^task {PATH}/task/_\d+ ")
        (call,) = [call for call in self.host.take() if call.startswith("call submit")]
        return call

    def test_all_options(self):
        call = self.accepted(
            "Name:s=mlp", "Command:as=python3,train.py", "Directory:s=/tmp",
            "Target:s=accuracy >= 0.9 for 3", f"DeadlineRealtime:t={FAR}", "Threads:u=2",
            "OnTarget:s=stop", "OnDeadline:s=yield", "GraceUSec:t=5000000")
        self.assertRegex(call, rf"pid=\d+ owner={os.geteuid()} name=mlp words=python3,train.py "
                         rf"directory=/tmp target=accuracy>=0.9\*3 deadline=realtime:{FAR}000 "
                         r"threads=2 on-target=1 on-deadline=2 grace=5000000000$")

    def test_defaults(self):
        self.assertRegex(self.accepted("Command:as=train"),
                         r"name=- words=train directory=- target=none deadline=none threads=0 "
                         r"on-target=0 on-deadline=0 grace=10000000000$")

    def test_threads_that_are_found_out(self):
        (line,) = self.submit("Name:s=any", "Threads:u=0")
        (call,) = [call for call in self.host.take() if call.startswith("call submit")]
        self.assertIn(" threads=0 ", call)
        self.assertEqual(self.get(re.match(r"task (\S+) ", line)[1], "Threads"), "uint32 0")

    def test_neither_name_nor_command(self):
        for options in ([], ["Command:as="]):
            self.assertIn("name=- words=task ", self.accepted(*options))

    def test_what_comes_back(self):
        self.assertEqual(self.submit("Name:s=a"), [f"task {task(1)} unknown 123456789abcdef"])
        self.assertEqual(self.submit("Name:s=b"), [f"task {task(2)} unknown 123456789abcdef"])

    def test_no_target_and_no_deadline_by_name(self):
        self.assertIn("target=none deadline=none", self.accepted(
            "Name:s=a", "Target:s=", f"DeadlineBoottime:t={2**64 - 1}"))

    def test_boottime(self):
        self.assertIn(f"deadline=boottime:{FAR}000", self.accepted(
            "Name:s=a", f"DeadlineBoottime:t={FAR}"))

    def test_bad_options(self):
        for error, words, *options in (
                (INVALID, "'Treads'; did you mean 'Threads'?", "Name:s=a", "Treads:u=1"),
                (INVALID, "unknown option 'zzz'", "Name:s=a", "zzz:u=1"),
                (INVALID, ("Threads", "'s'", "'u'"), "Name:s=a", "Threads:s=1"),
                (INVALID, ("Command", "'s'", "'as'"), "Command:s=a"),
                (INVALID, "twice", "Name:s=a", "Name:s=b"),
                (INVALID, "no name of a task", "Name:s=a b"),
                (INVALID, "no name of a task", "Name:s=" + "x" * 65),
                (INVALID, "expected stop, yield or auto", "Name:s=a", "OnTarget:s=kill"),
                (INVALID, "expected stop, yield or auto", "Name:s=a", "OnDeadline:s="),
                (INVALID, "longer than", "Name:s=a", f"GraceUSec:t={2**63}"),
                (INVALID, "only one", "Name:s=a", f"DeadlineRealtime:t={FAR}",
                 f"DeadlineBoottime:t={FAR}"),
                (INVALID, "Directory", "Name:s=a", "Directory:s=/" + "x" * 5000),
                (f"{ERROR}.BadTarget", "write '<='", "Name:s=a", "Target:s=loss < 1"),
                (f"{ERROR}.BadDeadline", "microseconds", "Name:s=a", f"DeadlineRealtime:t={2**63}"),
                (f"{ERROR}.BadDeadline", "passed", "Name:s=a", "DeadlineRealtime:t=1")):
            with self.subTest(options):
                self.refused(error, words, *options)

    def test_a_long_command_is_cut(self):
        self.assertRegex(self.accepted("Command:as=" + ",".join(["x" * 100] * 900)),
                         r"words=(x{40},){161}x{40} ")

    def test_what_the_daemon_refuses(self):
        self.accepted("Name:s=a")
        self.refused(f"{ERROR}.NameTaken", "'a' runs already", "Name:s=a")
        for name in "bcd":
            self.accepted(f"Name:s={name}")
        self.refused(f"{ERROR}.OverLimit", "4 tasks already", "Name:s=e")
        self.send(PATH, f"{NAME}.Drain", "boolean:true")
        self.refused(f"{ERROR}.Draining", "no tasks at present", "Name:s=e")

    def test_no_pidfd(self):
        self.refused(INVALID, "pidfd_open", "--no-process", "Name:s=a")

    def test_a_process_that_has_ended(self):
        self.refused(f"{ERROR}.NotGoverned", "has ended", "--ended", "Name:s=a")

    def test_somebody_elses_process(self):
        self.as_user(NOBODY)
        ours = str(os.getpid())
        self.refused(DENIED, (f"process {ours} is of user 0", f"user {NOBODY}"), "--pid", ours,
                     "Name:s=a", user=NOBODY)

    def test_root_does_not_submit_for_others(self):
        sleeper = subprocess.Popen(["sleep", "600"], **self.as_user(NOBODY))
        try:
            self.refused(DENIED, f"is of user {NOBODY}", "--pid", str(sleeper.pid), "Name:s=a")
        finally:
            sleeper.kill()
            sleeper.wait()

    def test_a_process_of_two_users(self):
        """Set-user-ID: its real user is the sender, but it is not theirs alone."""
        self.as_user(NOBODY)
        sleeper = subprocess.Popen(
            ["setpriv", "--ruid", str(NOBODY), "sleep", "600"])
        try:
            comm = pathlib.Path(f"/proc/{sleeper.pid}/comm")
            end = time.monotonic() + PATIENCE
            while comm.read_text() != "sleep\n" and time.monotonic() < end:
                time.sleep(0.01)
            self.refused(DENIED, "more than one user", "--pid", str(sleeper.pid), "Name:s=a",
                         user=NOBODY)
        finally:
            sleeper.kill()
            sleeper.wait()

    def test_a_user(self):
        self.assertIn(f"owner={NOBODY}", self.accepted("Name:s=a", user=NOBODY))

    def test_ended(self):
        self.submit("--end", "137", "Name:s=a")
        self.assertEqual(self.host.take()[-1], "call ended a 137")
        for status, words in ((256, "0 to 255"), (-1, "0 to 255")):
            code, text = self.send(PATH, f"{NAME}.Ended", f"objpath:{task(1)}", f"int32:{status}")
            self.assertEqual(code, 1)
            self.assertIn(words, text)
        for path in (task(2), task(0), "/", task("1x"), task("01"), task(2**64)):
            code, text = self.send(PATH, f"{NAME}.Ended", f"objpath:{path}", "int32:0")
            self.assertIn(f"{ERROR}.NoSuchTask", text)
        code, text = self.send(PATH, f"{NAME}.Ended", f"objpath:{task(1)}", "int32:0", user=NOBODY)
        self.assertIn(f"{ERROR}.NotYours", text)
        self.assertEqual(self.host.take(), [])


class Scopes(BusCase):
    """Each process is put into a scope before it is a task, by a manager that is told how it goes."""

    host_options = ("--scopes",)
    AT_ONCE = 16  # that systemd is asked for, scope_maker_bus.c

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("a user's own manager is looked for elsewhere")
        super().setUp()
        self.systemd = Peer(FAKE_SYSTEMD, env=self.env)
        self.addCleanup(self.systemd.stop)

    def start_host(self, *options):
        self.env["DBUS_SYSTEM_BUS_ADDRESS"] = self.address
        return super().start_host(*options)

    def process(self):
        process = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def begin(self, name, process):
        caller = subprocess.Popen([bus_case.SUBMIT, "--pid", str(process.pid), f"Name:s={name}"],
                                  env=self.env, text=True, stdout=subprocess.PIPE)
        self.addCleanup(caller.stdout.close)
        self.addCleanup(caller.wait)
        return caller

    def asked(self, n):
        """What the manager is asked for, once it has come to that many."""
        lines, end = [], time.monotonic() + PATIENCE
        while len(lines) < n:
            lines += self.systemd.take()
            self.assertLess(time.monotonic(), end, lines)
        self.assertEqual(len(lines), n)
        return [line.split() for line in lines]

    def answer_of(self, caller):
        return caller.communicate(timeout=PATIENCE)[0].strip()

    def calls(self):
        return [line for line in self.host.take() if line.startswith("call")]

    def test_one_after_the_other(self):
        """Between them nothing is listened to: each is heard of all the same."""
        for name in ("one", "two"):
            process = self.process()
            caller = self.begin(name, process)
            ((_, unit, where, pid),) = self.asked(1)
            self.assertRegex(unit, rf"^coregov-{name}-[0-9a-f]+\.scope$")
            self.assertEqual((where, int(pid)), ("coregov.slice", process.pid))
            self.assertEqual(self.calls(), [])  # not before it is there
            self.systemd.tell("done")
            self.assertRegex(self.answer_of(caller), "^task ")
            (call,) = self.calls()
            self.assertIn(f"pid={process.pid} ", call)
            self.assertTrue(call.endswith(f" scope={unit}"), call)

    def test_it_cannot_be_made(self):
        """Whoever submits has done nothing wrong: no governor, as far as that command goes."""
        for how, why in (("failed", "failed"), ("refuse", "the process does not exist")):
            caller = self.begin("one", self.process())
            ((_, unit, _, _),) = self.asked(1)
            self.systemd.tell(how)
            self.assertEqual(self.answer_of(caller), f"error {ERROR}.NotGoverned: "
                             f"systemd did not make {unit}: {why}")
            self.assertEqual(self.calls(), [])

    def test_a_command_ends_before_it_is_asked_for(self):
        """It waits behind those that systemd has enough to do with. Its number may be another's by then."""
        callers = [self.begin(f"t{i}", self.process()) for i in range(self.AT_ONCE)]
        self.asked(self.AT_ONCE)
        late, later = self.process(), self.process()
        callers.append(self.begin("later", later))
        caller = self.begin("late", late)
        said = []
        while not {"asked later", "asked late"} <= set(said):  # both wait in there
            said += self.host.take()
        late.kill()
        late.wait()
        self.systemd.tell("done")
        self.systemd.tell("done")
        said = self.answer_of(caller)
        self.assertRegex(said, rf"^error {ERROR}\.NotGoverned: systemd did not make "
                         r"coregov-late-[0-9a-f]+\.scope: No such process$")
        ((_, _, _, pid),) = self.asked(1)
        self.assertEqual(int(pid), later.pid)
        for _ in range(self.AT_ONCE - 1):
            self.systemd.tell("done")
        self.assertEqual([self.answer_of(each).split()[0] for each in callers],
                         ["task"] * (self.AT_ONCE + 1))
        calls = self.calls()
        self.assertEqual(len(calls), self.AT_ONCE + 1)
        self.assertNotIn(f"pid={late.pid} ", "".join(calls))

    def test_a_command_ends_while_systemd_is_at_it(self):
        """What is in the scope by then is limited."""
        process = self.process()
        caller = self.begin("one", process)
        ((_, unit, _, _),) = self.asked(1)
        process.kill()
        process.wait()
        self.systemd.tell("done")
        self.assertEqual(self.answer_of(caller), f"error {ERROR}.NotGoverned: the process has ended")
        self.assertEqual(self.calls(), [f"call confine {unit}"])


class Flood(BusCase):
    def test_one_user_sends_many(self):
        """Each is answered, if not by the bus itself, they get no more than a user may have, and others
        are answered, too."""
        n = 3000
        process = subprocess.Popen(
            [bus_case.SUBMIT, "--times", str(n), "Command:as=train"], env=self.env, text=True,
            stdout=subprocess.PIPE, **self.as_user(NOBODY))
        self.assertEqual(self.submit("Name:s=other", user=SOMEBODY)[0].split()[0], "task")
        lines = process.communicate(timeout=PATIENCE)[0].splitlines()
        self.assertEqual(len([line for line in lines if line.startswith("task ")]), 4)
        self.assertEqual(len([line for line in lines if line.startswith((
            f"error {ERROR}.OverLimit", "error org.freedesktop.DBus.Error.LimitsExceeded"))]), n - 4)


    def call(self, n, number, method, user):
        return subprocess.Popen(
            [bus_case.SUBMIT, "--do", method, "--times", str(n), task(number)], env=self.env,
            text=True, stdout=subprocess.PIPE, **self.as_user(user))

    def test_one_user_changes_often(self):
        """So often at once, so often a second, whatever the method; others do not notice, and it may end
        its tasks at any time."""
        for name, user in (("theirs", NOBODY), ("other", SOMEBODY), ("ours", 0)):
            self.host.tell(f"task {name} {user}")
        for method in ("Pause", "Resume", "Pause"):
            start = time.monotonic()
            lines = self.call(100, 1, method, NOBODY).communicate(timeout=PATIENCE)[0].splitlines()
            self.assertEqual(len(lines), 100)
            self.assertLessEqual(lines.count("done"), 21 + 10 * (time.monotonic() - start))
            refused = [line for line in lines if line != "done"]
            self.assertEqual(set(refused), {
                f"error {ERROR}.OverLimit: user {NOBODY} changes tasks too often (20 times at once, "
                "then 10 a second); try again in a moment"})
            calls = [line for line in self.host.take() if line.startswith("call")]
            self.assertEqual(calls, [f"call {method.lower()} theirs by {NOBODY}"] * lines.count("done"))
        self.assertEqual(self.send(task(2), f"{TASK}.Pause", user=SOMEBODY), (0, ""))
        lines = self.call(100, 3, "Pause", 0).communicate(timeout=PATIENCE)[0].splitlines()
        self.assertEqual(lines, ["done"] * 100)
        self.assertEqual(self.send(task(1), f"{TASK}.Cancel", user=NOBODY), (0, ""))

    def test_what_is_refused_counts(self):
        """Nor can the tasks of others be used to keep the governor busy."""
        self.host.tell("task ours 0")
        lines = self.call(100, 1, "Pause", NOBODY).communicate(timeout=PATIENCE)[0].splitlines()
        errors = [line.split()[1] for line in lines]
        self.assertGreaterEqual(errors.count(f"{ERROR}.NotYours:"), 20)
        self.assertGreater(errors.count(f"{ERROR}.OverLimit:"), 0)


class WaitStart(BusCase):
    def start(self, *options):
        process = subprocess.Popen(
            [bus_case.SUBMIT, *options, "WaitStart:b=1"], env=self.env, text=True,
            stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + PATIENCE
        while not any("call submit" in line for line in self.host.lines):
            self.host.tell("sync")
            self.assertLess(time.monotonic(), end)
        return process

    def test_answer_with_the_first_share(self):
        process = self.start("Name:s=a")
        self.host.tell("slot")
        self.host.tell("prospect a likely")
        # One that need not wait has its answer before.
        self.submit("Name:s=b")
        self.assertIsNone(process.poll())
        self.host.tell("share a 0.5")
        self.host.tell("slot")
        self.assertEqual(process.stdout.read(), f"task {task(1)} likely 123456789abcdef\n")

    def test_an_end_before_it(self):
        process = self.start("Name:s=a")
        self.host.tell("end a cancelled")
        self.assertIn(f"error {ERROR}.NotGoverned: the task has ended while it waited for a share: "
                      "cancelled", process.stdout.read())

    def test_a_launcher_that_has_gone(self):
        process = self.start("Name:s=a")
        process.kill()
        process.wait()
        self.host.tell("share a 0.5")
        self.host.tell("slot")
        self.submit("Name:s=b")

    def test_the_end_of_the_governor(self):
        self.start("Name:s=a")
        self.assertEqual(self.host.stop(), ("", ""))


class Look(BusCase):
    def setUp(self):
        super().setUp()
        self.host.tell(f"task mine {os.geteuid()}")
        self.host.tell(f"task theirs {NOBODY}")

    def test_properties_of_the_governor(self):
        for name, value in (("Version", "1.2.3"), ("Policy", "core"), ("SlotUSec", "uint64 1000000"),
                            ("CapacityCPUs", "double 4"), ("BudgetCPUs", "double 3"),
                            ("Enforcer", "fake"), ("Meter", "fake"), ("Guarantee", "kernel"),
                            ("NTasks", "uint32 2"), ("NAtRisk", "uint32 0"),
                            ("GrantedCPUs", "double 0"), ("UsedCPUs", "double 0"),
                            ("IsDraining", "boolean false")):
            with self.subTest(name):
                self.assertEqual(self.get(PATH, name), value)

    def test_vacant_places_are_those_of_who_asks(self):
        if os.geteuid() == NOBODY:
            self.skipTest("theirs is ours")
        self.host.tell(f"task more {os.geteuid()}")
        self.assertEqual(self.get(PATH, "NVacant"), "uint32 2")
        self.assertEqual(self.get(PATH, "NVacant", user=NOBODY), "uint32 3")

    def test_properties_of_a_task(self):
        self.host.tell("target mine x")
        self.host.tell("value mine 0.25")
        self.host.tell("cpu mine 1.5")
        self.host.tell("share mine 0.75")
        for name, value in (
                ("Number", "uint32 1"), ("Name", "mine"), ("OwnerUID", f"uint32 {os.geteuid()}"),
                ("PID", "uint32 4711"), ("Command", "array [ python3 train me.py ]"),
                ("Directory", "/home/somebody"), ("Target", "accuracy >= 0.9 for 3"),
                ("DeadlineRealtime", f"uint64 {2**64 - 1}"), ("Threads", "uint32 1"),
                ("Phase", "alive"), ("Outcome", ""), ("ShareCPUs", "double 0.75"),
                ("CPUUSec", "uint64 1500000"), ("Value", "double 0.25"), ("NReports", "uint64 0"),
                ("Feed", "none"), ("IsUnheard", "boolean false"), ("Prospect", "unknown"), ("BeganRealtime", "uint64 1000000"),
                ("FinishedRealtime", "uint64 0"), ("ExitStatus", "int32 -1")):
            with self.subTest(name):
                self.assertEqual(self.get(task(1), name), value)
        self.host.tell("unheard mine yes")
        self.assertEqual(self.get(task(1), "IsUnheard"), "boolean true")
        self.host.tell("status mine 3")
        self.assertEqual(self.get(task(1), "ExitStatus"), "int32 3")
        self.host.tell("phase mine yielded")
        self.assertEqual(self.get(task(1), "Phase"), "yielding")
        self.host.tell("end mine learned")
        self.assertEqual(self.get(task(1), "Phase"), "ended")
        self.assertEqual(self.get(task(1), "Outcome"), "learned")
        self.assertEqual(self.get(task(1), "FinishedRealtime"), "uint64 2000000")

    def test_only_the_owner_and_root_see_the_command(self):
        self.as_user(NOBODY)
        for path, user, is_shown in ((task(1), SOMEBODY, False), (task(1), NOBODY, False),
                                     (task(2), SOMEBODY, False), (task(2), NOBODY, True),
                                     (task(2), 0, True)):
            with self.subTest(path=path, user=user):
                shown = ("array [ python3 train me.py ]", "/home/somebody")
                self.assertEqual(
                    (self.get(path, "Command", user=user), self.get(path, "Directory", user=user)),
                    shown if is_shown else ("array [ ]", ""))
                self.assertEqual(self.get(path, "ShareCPUs", user=user), "double 0")
        status, text = self.send(PATH, "org.freedesktop.DBus.ObjectManager.GetManagedObjects",
                                 user=NOBODY)
        self.assertEqual((status, text.count("train me.py")), (0, 1), text)

    def test_objects(self):
        _, text = self.send(PATH, "org.freedesktop.DBus.ObjectManager.GetManagedObjects")
        self.assertEqual(sorted(re.findall(r"/org/coregov/Governor1/task/_\d+", text)),
                         [task(1), task(2)])
        _, text = self.send(f"{PATH}/task", "org.freedesktop.DBus.Introspectable.Introspect")
        self.assertEqual(re.findall(r'<node name="(.*?)"', text), ["_1", "_2"])
        for path in (task(3), task(0), task("x"), task("001"), task(2**64), f"{task(1)}/x"):
            with self.subTest(path):
                status, text = self.send(path, f"{TASK}.Cancel")
                self.assertEqual(status, 1)
                self.assertIn("org.freedesktop.DBus.Error.Unknown", text)

    def test_get_task(self):
        self.assertEqual(self.send(PATH, f"{NAME}.GetTask", "string:theirs"), (0, task(2)))
        status, text = self.send(PATH, f"{NAME}.GetTask", "string:theis")
        self.assertIn(f"{ERROR}.NoSuchTask: there is no task 'theis'; did you mean 'theirs'?", text)
        status, text = self.send(PATH, f"{NAME}.GetTask", "string:qqqqqq")
        self.assertTrue(text.endswith("there is no task 'qqqqqq'"), text)
        self.assertEqual(status, 1)


class Change(BusCase):
    def setUp(self):
        super().setUp()
        self.host.tell(f"task mine {os.geteuid()}")
        self.host.tell(f"task theirs {NOBODY}")

    def call(self, number, method, user=None):
        return self.send(task(number), f"{TASK}.{method}", user=user)

    def set(self, *words, user=None, number=1):
        return self.run_once("busctl", f"--address={self.address}", "call", NAME, task(number), TASK,
                             "Set", "a{sv}", str(len(words) // 3), *words, user=user)

    def test_own_task(self):
        for method, call in (("Pause", "pause"), ("Resume", "resume"), ("Cancel", "cancel")):
            self.assertEqual(self.call(1, method), (0, ""))
            self.assertEqual(self.host.take(), [f"call {call} mine {BY_US}"])
        self.assertEqual(self.call(2, "Pause", user=NOBODY), (0, ""))
        self.assertEqual(self.get(task(2), "Phase"), "paused")

    def test_of_others(self):
        self.as_user(NOBODY)
        for method in ("Pause", "Resume", "Cancel"):
            status, text = self.call(1, method, user=NOBODY)
            self.assertEqual(status, 1)
            self.assertIn(f"{ERROR}.NotYours: user {NOBODY} may not change the tasks of others", text)
        self.assertEqual(self.host.take(), [])
        self.assertEqual(self.call(2, "Cancel"), (0, ""))  # root
        self.assertEqual(self.host.take(), [f"call cancel theirs {BY_US}"])

    def test_one_that_has_ended(self):
        self.host.tell("end mine learned")
        for method in ("Pause", "Resume", "Cancel"):
            _, text = self.call(1, method)
            self.assertIn(f"{ERROR}.HasEnded: task mine has ended", text)

    def test_set(self):
        if self.run_once("sh", "-c", "command -v busctl").returncode != 0:
            self.skipTest("busctl is missing: install the package systemd")
        result = self.set("Target", "s", "0.1", "Threads", "u", "2", "DeadlineRealtime", "t", str(FAR))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.host.take(), [f"call change mine deadline=realtime:{FAR}000 "
                                            f"target=loss<=0.1*1 threads=2 {BY_US}"])
        self.assertEqual(self.get(task(1), "DeadlineRealtime"), f"uint64 {FAR}")
        self.assertEqual(self.get(task(1), "Target"), "loss <= 0.1")
        for words, sentence in ((("Name", "s", "x"), "unknown option 'Name'"),
                                (("Target", "s", "x"), "target 'x'"),
                                (("Thread", "u", "1"), "did you mean 'Threads'?"),
                                (("DeadlineRealtime", "t", "5"), "has passed")):
            result = self.set(*words)
            self.assertEqual(result.returncode, 1)
            self.assertIn(sentence, result.stderr)
        self.assertEqual(self.host.take(), [])

    def test_budget(self):
        for text, cpus in (("1.5cpu", "1.5"), ("75%", "3"), ("4cpu", "4")):
            self.assertEqual(self.send(PATH, f"{NAME}.SetBudget", f"string:{text}"), (0, ""))
            self.assertEqual(self.host.take(), [f"call budget {cpus} {BY_US}"])
        for text, words in (("1.5", "no unit"), ("0cpu", "nothing to share"), ("101%", "capacity of 4"),
                            ("5cpu", "above the capacity"), ("1e99cpu", "too much"),
                            ("nancpu", "not a share"), ("", "not a share")):
            status, answer = self.send(PATH, f"{NAME}.SetBudget", f"string:{text}")
            self.assertEqual(status, 1)
            self.assertIn(f"Error {INVALID}: budget", answer)
            self.assertIn(words, answer)
        self.assertEqual(self.host.take(), [])

    def test_only_root_governs(self):
        self.as_user(NOBODY)
        for method, *words in (("SetBudget", "string:1cpu"), ("Drain", "boolean:true"), ("Reload",)):
            status, text = self.send(PATH, f"{NAME}.{method}", *words, user=NOBODY)
            self.assertEqual(status, 1)
            self.assertIn(f"{DENIED}: user {NOBODY} may not change the governor's", text)
        self.assertEqual(self.host.take(), [])

    def test_no_configuration(self):
        _, text = self.send(PATH, f"{NAME}.Reload")
        self.assertIn("no configuration", text)


class Reload(BusCase):
    host_options = ("--reload", "ok")

    def test_reload(self):
        self.assertEqual(self.send(PATH, f"{NAME}.Reload"), (0, ""))
        self.assertEqual(self.host.take(), [f"call reload {BY_US}"])


class BadReload(BusCase):
    host_options = ("--reload", "bad")

    def test_reload(self):
        _, text = self.send(PATH, f"{NAME}.Reload")
        self.assertIn(f"{INVALID}: /etc/coregov/coregov.conf:3: budget has no unit", text)


class Signals(BusCase):
    def read_until(self, lines, *words):
        """The lines up to the one after which each word has been seen."""
        seen, missing = [], list(words)
        for line in lines:
            seen.append(line)
            while missing and missing[0] in line:
                missing.pop(0)
            if not missing:
                return "".join(seen)
        raise AssertionError(f"{missing} after {seen}")

    def test_a_life(self):
        with self.monitor(f"sender={NAME}") as lines:
            self.host.tell(f"task a {os.geteuid()}")
            text = self.read_until(lines, "InterfacesAdded", task(1), TASK, '"Name"', '"a"',
                                   '"Command"', "]", '"Directory"', '""')
            self.assertNotIn("train me.py", text)
            self.host.tell("share a 0.5")
            self.read_until(lines, f"path={task(1)}", "PropertiesChanged", "ShareCPUs", "0.5")
            self.host.tell("slot")
            self.read_until(lines, f"path={PATH};", "PropertiesChanged", "UsedCPUs", "0.25", "NTasks")
            self.host.tell("end a learned")
            self.read_until(lines, f"path={task(1)}", "PropertiesChanged", '"learned"',
                            "TaskEnded", task(1), '"a"', '"learned"')
            self.host.tell("forget a")
            self.read_until(lines, "InterfacesRemoved", task(1), TASK)

    def test_one_that_is_not_heard(self):
        self.host.tell(f"task a {os.geteuid()}")
        with self.monitor(f"sender={NAME}") as lines:
            self.host.tell("unheard a yes")
            self.read_until(lines, f"path={task(1)}", "PropertiesChanged", "IsUnheard", "true",
                            f"path={task(1)}; interface={TASK}; member=Unheard")

    def test_what_is_changed_by_a_call(self):
        self.host.tell(f"task a {os.geteuid()}")
        with self.monitor(f"sender={NAME}") as lines:
            self.send(PATH, f"{NAME}.SetBudget", "string:1cpu")
            self.read_until(lines, "PropertiesChanged", "BudgetCPUs", "double 1")
            self.send(PATH, f"{NAME}.Drain", "boolean:true")
            self.read_until(lines, "PropertiesChanged", "IsDraining", "true")
            self.send(task(1), f"{TASK}.Pause")
            self.read_until(lines, "PropertiesChanged", "Phase", '"paused"')


class Changes(BusCase):
    """Each property that is declared to emit a change does, whatever the change comes from, and no other is told
    with it."""

    WHOLE = {
        "Policy": ("policy x", '"edf"'), "SlotUSec": ("slot-seconds 2", "2000000"),
        "CapacityCPUs": ("capacity 8", "8"), "BudgetCPUs": ("budget 2.5", "2.5"),
        "GrantedCPUs": ("granted 1.5", "1.5"), "UsedCPUs": ("used 1.25", "1.25"),
        "Enforcer": ("enforcer x", '"signal"'), "Meter": ("meter x", '"proc"'),
        "Guarantee": ("guarantee x", '"cooperative"'), "NTasks": ("tasks 7", "7"),
        "NAtRisk": ("at-risk 3", "3"), "NSlotsMissed": ("missed 5", "5"), "NSlotsLate": ("late 4", "4"),
        "IsDraining": ("draining 1", "true"),
    }
    OF_TASK = {
        "Target": ("target", '"accuracy >= 0.9 for 3"'), "DeadlineRealtime": ("due-in", ""),
        "Threads": ("threads", "5"), "Phase": ("phase", '"waiting"'), "Outcome": ("outcome", '"failed"'),
        "ShareCPUs": ("share", "5"), "CPUUSec": ("cpu", "5000000"), "Value": ("value", "5"),
        "NReports": ("reports", "5"), "Feed": ("feed", '"launcher"'), "IsUnheard": ("unheard", "true"),
        "Prospect": ("prospect", '"unlikely"'), "BeganRealtime": ("began", "5000000"),
        "FinishedRealtime": ("finished", "5000000"), "ExitStatus": ("status", "5"),
    }
    WORDS = {"outcome": "failed", "unheard": "yes"}

    def declared(self, path, interface):
        """The properties of an interface that emit a change, by its introspection."""
        _, text = self.send(path, "org.freedesktop.DBus.Introspectable.Introspect")
        body = re.search(rf'<interface name="{re.escape(interface)}">(.*?)</interface>', text,
                         re.DOTALL)[1]
        return {name for name, rest in re.findall(r'<property name="(\w+)"[^>]*?(?:/>|>(.*?)</property>)',
                                                  body, re.DOTALL) if "EmitsChangedSignal" not in rest}

    def test_of_the_governor(self):
        self.assertEqual(set(self.WHOLE), self.declared(PATH, NAME))
        with self.monitor(f"sender={NAME}") as lines:
            for name, (change, value) in self.WHOLE.items():
                self.host.tell(f"whole {change}")
                self.assertEqual(self.next_change(lines), (PATH, {name: value}))
            # And nothing where nothing is otherwise; then several at once.
            self.host.tell("whole nothing x")
            self.host.tell("whole policy x")
            self.host.tell("slot")
            self.assertEqual(self.next_change(lines), (PATH, {"UsedCPUs": "1.5"}))

    def test_of_a_task(self):
        self.host.tell(f"task a {os.geteuid()}")
        self.assertEqual(set(self.OF_TASK), self.declared(task(1), TASK))
        with self.monitor(f"sender={NAME}") as lines:
            for name, (change, value) in self.OF_TASK.items():
                self.host.tell(f"{change} a {self.WORDS.get(change, 5)}")
                path, changed = self.next_change(lines)
                self.assertEqual((path, set(changed)), (task(1), {name}))
                self.assertIn(value, changed[name])

    def test_what_is_no_news(self):
        """Of a share a little waits for more, and a deadline on another clock is no other each time."""
        self.host.tell(f"task a {os.geteuid()}")
        self.host.tell("share a 0.5")
        self.host.tell("due-in a 3600")
        with self.monitor(f"sender={NAME}") as lines:
            for _ in range(20):
                self.host.tell("share a 0.505")
            self.host.tell("cpu a 1")
            self.assertEqual(self.next_change(lines),
                             (task(1), {"ShareCPUs": "0.505", "CPUUSec": "1000000"}))
            self.host.tell("due-in a 3700")
            self.assertEqual(set(self.next_change(lines)[1]), {"DeadlineRealtime"})
            self.host.tell("share a 0")
            self.assertEqual(self.next_change(lines)[1], {"ShareCPUs": "0"})
            self.host.tell("share a 0.004")
            self.assertEqual(self.next_change(lines)[1], {"ShareCPUs": "0.004"})

    def test_of_a_call(self):
        """Once, however it is heard of."""
        self.host.tell(f"task a {os.geteuid()}")
        self.host.tell("whole nothing x")
        with self.monitor(f"sender={NAME}") as lines:
            self.assertEqual(self.send(PATH, f"{NAME}.SetBudget", "string:1cpu"), (0, ""))
            self.assertEqual(self.next_change(lines), (PATH, {"BudgetCPUs": "1"}))
            self.host.tell("whole nothing x")
            self.assertEqual(self.send(PATH, f"{NAME}.SetBudget", "string:1cpu"), (0, ""))
            self.assertEqual(self.send(task(1), f"{TASK}.Pause"), (0, ""))
            self.assertEqual(self.next_change(lines), (task(1), {"Phase": '"paused"'}))
            self.assertEqual(self.send(task(1), f"{TASK}.Cancel"), (0, ""))
            path, changed = self.next_change(lines)
            self.assertEqual((path, changed["Outcome"]), (task(1), '"cancelled"'))

    def test_those_that_were_there_before(self):
        """A governor that was on another bus before: what was told there is not told again."""
        self.host.tell(f"task a {os.geteuid()}")
        self.host.tell("share a 0.5")
        self.host.tell("rejoin")
        with self.monitor(f"sender={NAME}") as lines:
            self.host.tell("share a 0.5")
            self.host.tell("whole nothing x")
            self.host.tell("cpu a 2")
            self.assertEqual(self.next_change(lines), (task(1), {"CPUUSec": "2000000"}))

    def test_many_come_and_go(self):
        """What was told of each is its own."""
        for i in range(1, 31):
            self.host.tell(f"task t{i} {os.geteuid()}")
        for i in range(1, 31, 3):
            self.host.tell(f"forget t{i}")
        with self.monitor(f"sender={NAME}") as lines:
            for i in range(30, 0, -1):
                if i % 3 != 1:
                    self.host.tell(f"share t{i} {i}")
                    self.host.tell(f"share t{i} {i}")
                    self.assertEqual(self.next_change(lines), (task(i), {"ShareCPUs": str(i)}))


class Polkit(BusCase):
    """With a polkit whose answers the test knows."""

    host_options = ("--polkit",)

    def start_polkit(self, *answers):
        polkit = Peer(bus_case.POLKIT, *(f"org.coregov.{answer}" for answer in answers), env=self.env)
        self.addCleanup(polkit.stop)
        return polkit

    def setUp(self):
        super().setUp()
        self.as_user(NOBODY)
        self.host.tell("task ours 0")
        self.host.tell(f"task theirs {NOBODY}")

    def asked(self, polkit):
        return [line.split()[3] for line in polkit.take() if line.startswith("asked system-bus-name :")]

    def test_yes(self):
        polkit = self.start_polkit("change-others=yes", "change-own=yes", "set-budget=yes",
                                   "submit=yes")
        self.assertEqual(self.send(task(1), f"{TASK}.Pause", user=NOBODY), (0, ""))
        self.assertEqual(self.send(task(2), f"{TASK}.Pause", user=NOBODY), (0, ""))
        self.assertEqual(self.send(PATH, f"{NAME}.SetBudget", "string:1cpu", user=NOBODY), (0, ""))
        self.assertEqual(self.send(PATH, f"{NAME}.Drain", "boolean:true", user=NOBODY), (0, ""))
        self.send(PATH, f"{NAME}.Drain", "boolean:false")
        self.assertTrue(self.submit("Name:s=a", user=NOBODY)[0].startswith("task "))
        self.assertEqual(self.asked(polkit), [f"org.coregov.{action}" for action in (
            "change-others", "change-own", "set-budget", "set-budget", "submit")])
        self.assertEqual([line.split()[1] for line in self.host.take()],
                         ["pause", "pause", "budget", "drain", "drain", "submit"])

    def test_no(self):
        self.start_polkit()
        for path, method, *words, error in (
                (task(1), f"{TASK}.Pause", f"{ERROR}.NotYours"), (task(2), f"{TASK}.Pause", DENIED),
                (PATH, f"{NAME}.SetBudget", "string:1cpu", DENIED)):
            status, text = self.send(path, method, *words, user=NOBODY)
            self.assertEqual(status, 1)
            self.assertIn(f"Error {error}: user {NOBODY} may not", text)
        self.assertIn(f"error {DENIED}", self.submit("Name:s=a", user=NOBODY)[0])
        self.assertEqual(self.host.take(), [])

    def test_root_is_not_asked_about(self):
        polkit = self.start_polkit()
        self.assertEqual(self.send(task(2), f"{TASK}.Pause"), (0, ""))
        self.assertEqual(self.asked(polkit), [])

    def test_absent(self):
        self.assertEqual(self.send(task(2), f"{TASK}.Pause", user=NOBODY), (0, ""))
        _, text = self.send(task(1), f"{TASK}.Pause", user=NOBODY)
        self.assertIn(f"{ERROR}.NotYours", text)
        said = self.host.take()
        self.assertEqual([line for line in said if line.startswith("call")], [f"call pause theirs by {NOBODY}"])
        self.assertEqual(len([line for line in said if "polkit is not on the bus" in line]), 1)

    def test_the_task_is_looked_at_again(self):
        polkit = self.start_polkit("change-own=later")
        process = subprocess.Popen(
            ["dbus-send", f"--bus={self.address}", "--print-reply", f"--dest={NAME}", task(2),
             f"{TASK}.Cancel"], text=True, stderr=subprocess.PIPE, env=self.env,
            **self.as_user(NOBODY))
        polkit.lines.append(polkit.read_to("asked"))
        self.host.tell("forget theirs")
        polkit.tell("go")
        self.assertIn(f"{ERROR}.NoSuchTask", process.communicate(timeout=PATIENCE)[1])
        self.assertEqual(self.host.take(), [])

    def test_questions_are_bounded(self):
        """What one user asks too much keeps nobody else from asking."""
        polkit = self.start_polkit("submit=later", "change-own=yes")
        process = subprocess.Popen(
            [bus_case.SUBMIT, "--times", "20", "Name:s=a"], text=True, stdout=subprocess.PIPE,
            env=self.env, **self.as_user(NOBODY))
        for _ in range(8):
            polkit.read_to("asked")
        refused = [process.stdout.readline() for _ in range(12)]
        self.assertTrue(all(f"error {ERROR}.OverLimit: user {NOBODY} waits for too many" in line
                            for line in refused), refused)
        self.host.tell(f"task other {SOMEBODY}")
        self.assertEqual(self.send(task(3), f"{TASK}.Pause", user=SOMEBODY), (0, ""))
        polkit.tell("go")
        rest = process.communicate(timeout=PATIENCE)[0].splitlines()
        self.assertEqual(sorted(line.split()[0] for line in rest), ["error"] * 7 + ["task"])
        self.assertTrue(self.send(task(4), f"{TASK}.Pause")[0] == 0)

    def test_the_end_of_the_governor(self):
        polkit = self.start_polkit("change-own=later")
        process = subprocess.Popen(
            ["dbus-send", f"--bus={self.address}", "--print-reply", f"--dest={NAME}", task(2),
             f"{TASK}.Cancel"], stderr=subprocess.DEVNULL, env=self.env, **self.as_user(NOBODY))
        polkit.read_to("asked")
        self.assertEqual(self.host.stop(), ("", ""))
        self.assertEqual(process.wait(PATIENCE), 1)


class Start(BusCase):
    host_options = None

    def start_in_vain(self):
        result = self.run_once(bus_case.HOST)
        self.assertEqual(result.returncode, 1)
        return result.stderr

    def test_a_second_governor(self):
        self.start_host("--reload", "ok")
        self.assertIn("another governor is on this bus", self.start_in_vain())

    def test_no_bus(self):
        self.env["COREGOV_BUS_ADDRESS"] = f"unix:path={self.folder}/nothing"
        self.assertIn("reach the bus 'unix:path=", self.start_in_vain())

    def test_no_address(self):
        self.env["COREGOV_BUS_ADDRESS"] = "nonsense"
        self.assertIn("reach the bus 'nonsense'", self.start_in_vain())

    def test_the_bus_goes(self):
        host = self.start_host("--reload", "ok")
        os.kill(self.bus.pid, signal.SIGKILL)
        self.assertEqual(host.process.stdout.readline(), "call lost\n")
        self.assertEqual(host.stop(), ("", ""))
        self.assertEqual(host.process.returncode, 0)


class Policy(BusCase):
    """On a bus that is as closed as the system's, but for what is installed."""

    host_options = None
    policy = f"""<policy context="default"><allow user="*"/><deny own="*"/>
        <deny send_type="method_call"/><allow send_type="signal"/>
        <allow send_requested_reply="true" send_type="method_return"/>
        <allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
        <allow receive_type="method_return"/><allow receive_type="error"/>
        <allow receive_type="signal"/><allow send_destination="org.freedesktop.DBus"/></policy>
        <include>{SOURCE}/governor/daemon/org.coregov.Governor1.conf</include>"""

    def setUp(self):
        super().setUp()
        self.as_user(NOBODY)

    def test_everybody_may_call(self):
        host = self.start_host("--reload", "ok")
        host.tell(f"task theirs {NOBODY}")
        self.assertEqual(self.send(task(1), f"{TASK}.Pause", user=NOBODY), (0, ""))
        self.assertEqual(self.get(task(1), "Phase", user=SOMEBODY), "paused")
        self.assertTrue(self.submit("Name:s=a", user=NOBODY)[0].startswith("task "))

    def test_only_root_may_be_it(self):
        result = self.run_once(bus_case.HOST, user=NOBODY)
        self.assertEqual(result.returncode, 1)
        self.assertIn("the bus does not let this user be org.coregov.Governor1", result.stderr)


class Manual(BusCase):
    def test_page_and_introspection(self):
        """org.coregov.Governor1(5) has each member, with its types, and no other."""
        self.host.tell("task a 0")
        found = {}
        for path, interface in ((PATH, NAME), (task(1), TASK)):
            _, text = self.send(path, "org.freedesktop.DBus.Introspectable.Introspect")
            body = re.search(rf'<interface name="{re.escape(interface)}">(.*?)</interface>', text,
                             re.DOTALL)[1]
            found[interface] = self.members(body)
        page = (SOURCE / "man/org.coregov.Governor1.5").read_text()
        for interface, members in found.items():
            section = re.search(rf"^\.Sh {re.escape(interface)}$(.*?)(?=^\.Sh )", page,
                                re.MULTILINE | re.DOTALL)[1]
            self.assertEqual(set(re.findall(r"^\.It Ic (.*)$", section, re.MULTILINE)), members)

    def test_actions_of_polkit(self):
        text = (SOURCE / "governor/daemon/org.coregov.policy").read_text()
        asked = re.findall(r'"(org\.coregov\.[a-z-]+)"',
                           (SOURCE / "governor/daemon/allow_bus.c").read_text())
        self.assertEqual(sorted(action.get("id") for action in
                                xml.etree.ElementTree.fromstring(text).iter("action")),
                         sorted(asked))

    def test_the_page_has_each_error(self):
        names = re.findall(r'"(org\.coregov\.Error\.\w+)"',
                           (SOURCE / "governor/client/governor_names.h").read_text())
        page = (SOURCE / "man/org.coregov.Governor1.5").read_text()
        self.assertEqual(sorted(re.findall(r"^\.It Ql (org\.coregov\.Error\.\w+)$", page,
                                           re.MULTILINE)), sorted(names))

    @staticmethod
    def members(body):
        """`Name(type name, ...) -> (type name)`, `Name type` and `signal Name(...)`."""
        members = set()
        for kind, name, arguments in re.findall(
                r'<(method|signal) name="(\w+)">(.*?)</\1>|$', re.sub(
                    r"<(method|signal) ([^>]*)/>", r"<\1 \2></\1>", body), re.DOTALL):
            if not name:
                continue
            sides = {"in": [], "out": []}
            for argument in re.findall(r"<arg ([^>]*)/>", arguments):
                values = dict(re.findall(r'(\w+)="([^"]*)"', argument))
                sides[values.get("direction", "in")].append(f"{values['type']} {values['name']}")
            text = f"{name} ({', '.join(sides['in'])})"
            if sides["out"]:
                text += f" -> ({', '.join(sides['out'])})"
            members.add(("signal " if kind == "signal" else "") + text)
        return members | {f"{name} {kind}" for name, kind in
                          re.findall(r'<property name="(\w+)" type="([^"]+)"', body)}


if __name__ == "__main__":
    tap.main()
