# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov list`, `show`, `set`, `cancel`, `pause`, `resume`, `drain`, `budget` and `wait`, with a
governor whose tasks the test makes up."""

import json
import os
import re
import signal
import subprocess
import time

import bus_case
import tap
from bus_case import COREGOV, NOBODY, PATH, PATIENCE, SOMEBODY, BusCase

COMMANDS = {"budget": [], "cancel": ["mine"], "drain": [], "list": [], "pause": ["mine"],
            "resume": ["mine"], "set": ["mine", "threads=2"], "show": ["mine"], "wait": ["mine"]}
HOUR = 3600


class ClientCase(BusCase):
    def setUp(self):
        super().setUp()
        if self.host:
            self.host.tell(f"task mine {os.geteuid()}")
            self.host.tell(f"task theirs {NOBODY}")

    def done(self, *words, user=None):
        """Standard output of what has to succeed."""
        status, out, err = self.coregov(*words, user=user)
        self.assertEqual((status, err), (0, ""), out)
        return out

    def failed(self, status, sentence, *words, user=None, env=None):
        found, out, err = self.coregov(*words, user=user, env=env)
        self.assertEqual((found, out), (status, ""), err)
        self.assertIn(sentence, err)
        self.assertEqual(err.count("\n"), 1, err)

    def calls(self):
        """Without who has made them, which is for test_bus."""
        return [re.sub(" by [0-9]+$", "", line[len("call "):]) for line in self.host.take()
                if line.startswith("call ")]


class List(ClientCase):
    def test_table(self):
        self.host.tell("target mine x")
        self.host.tell("share mine 0.5")
        self.host.tell("cpu mine 3780")
        self.host.tell("value mine 0.123456")
        self.host.tell("prospect mine likely")
        lines = self.done("list").splitlines()
        self.assertEqual(re.split("  +", lines[0].strip()), [
            "TASK", "OWNER", "PHASE", "SHARE", "CPU TIME", "VALUE", "TARGET", "DEADLINE", "LEFT",
            "OUTLOOK"])
        self.assertEqual(re.split("  +", lines[1].strip())[2:], [
            "alive", "0.50", "1h 3min", "0.12346", "accuracy >= 0.9 for 3", "none", "-", "likely"])
        self.assertEqual(re.split("  +", lines[2].strip())[0], "theirs")
        self.assertEqual(lines[3:], ["", "2 tasks, 0 at risk; budget 3cpu of 4cpu, 0.00 granted, "
                                     "0.00 used"])

    def test_none(self):
        for name in ("mine", "theirs"):
            self.host.tell(f"end {name} learned")
        self.assertEqual(self.done("list"),
                         "0 tasks, 0 at risk; budget 3cpu of 4cpu, 0.00 granted, 0.00 used\n")

    def test_those_that_have_ended(self):
        self.host.tell("end mine missed-target")
        self.assertNotIn("mine", self.done("list"))
        self.assertRegex(self.done("list", "--all"), r"mine .*ended .*missed-target\n")

    def test_json(self):
        self.host.tell("target mine x")
        self.host.tell("cpu mine 1.5")
        self.host.tell("end theirs failed")
        result = json.loads(self.done("list", "--json", "--all"))
        self.assertEqual(result["schema"], 1)
        self.assertEqual(result["governor"], {
            "version": "1.2.3", "policy": "core", "enforcer": "fake", "meter": "fake",
            "guarantee": "kernel", "slot_seconds": 1, "capacity_cpus": 4, "budget_cpus": 3,
            "granted_cpus": 0, "used_cpus": 0, "tasks": 1, "at_risk": 0, "draining": False})
        self.assertEqual(result["tasks"][0], {
            "number": 1, "name": "mine", "owner_uid": os.geteuid(), "pid": 4711,
            "command": ["python3", "train me.py"], "directory": "/home/somebody",
            "target": "accuracy >= 0.9 for 3", "deadline_unix_seconds": None, "threads": 1,
            "phase": "alive", "outcome": None, "prospect": "unknown", "share_cpus": 0,
            "cpu_seconds": 1.5, "value": None, "reports": 0, "feed": "none",
            "unheard": False, "began_unix_seconds": 1, "finished_unix_seconds": None,
            "exit_status": None})
        self.assertEqual([(task["outcome"], task["finished_unix_seconds"])
                          for task in result["tasks"][1:]], [("failed", 2)])
        self.assertEqual(len(json.loads(self.done("list", "-j"))["tasks"]), 1)

    def test_many(self):
        for i in range(25):
            self.host.tell(f"task t{i} 0")
        self.assertEqual([task["name"] for task in json.loads(self.done("list", "-j"))["tasks"]],
                         ["mine", "theirs"] + [f"t{i}" for i in range(25)])


class Show(ClientCase):
    def test_text(self):
        self.done("set", "mine", "deadline=2100-01-01 12:30")
        lines = {line[:10].strip(): line[11:] for line in self.done("show", "mine").splitlines()}
        self.assertEqual(lines["task"], "mine")
        self.assertEqual(lines["command"], "python3 'train me.py'")
        self.assertRegex(lines["deadline"], r"^2100-01-01 12:30, \d+d( \d+h)? left$")
        self.assertEqual(lines["target"], "none")
        self.assertEqual(lines["value"], "- after 0 reports (none)")
        self.assertEqual(lines["finished"], "not yet")
        self.assertNotIn("feed", lines)
        self.assertNotIn("status", lines)

    def shown(self):
        return {line[:10].strip(): line[11:] for line in self.done("show", "mine").splitlines()}

    def test_one_that_is_not_heard(self):
        self.host.tell("unheard mine yes")
        self.assertEqual(self.shown()["feed"],
                         "nothing was reported in that time: see --feed in coregov-run(1)")
        self.assertIs(json.loads(self.done("show", "-j", "mine"))["unheard"], True)

    def test_status(self):
        self.host.tell("end mine missed-target")
        self.assertEqual(self.shown()["status"], "nobody said")
        self.host.tell("status mine 3")
        self.assertEqual(self.shown()["status"], "3")
        self.assertEqual(json.loads(self.done("show", "-j", "mine"))["exit_status"], 3)

    def test_number(self):
        self.host.tell("end mine learned")
        self.host.tell("task mine 0")
        self.assertEqual(json.loads(self.done("show", "-j", "mine"))["number"], 3)
        self.assertEqual(json.loads(self.done("show", "-j", "1"))["outcome"], "learned")
        self.host.tell("task 1 0")  # a name comes first
        self.assertEqual(json.loads(self.done("show", "-j", "1"))["number"], 4)

    def test_no_such_task(self):
        self.failed(1, "there is no task 'mime'; did you mean 'mine'?", "show", "mime")
        self.failed(1, "there is no task '77'", "show", "77")
        self.failed(1, "there is no task ''", "show", "")

    def test_others_do_not_see_the_command(self):
        out = self.done("show", "mine", user=SOMEBODY)
        self.assertNotIn("train", out)
        self.assertNotIn("directory", out)
        result = json.loads(self.done("show", "--json", "mine", user=SOMEBODY))
        self.assertEqual((result["command"], result["directory"]), (None, None))

    def test_a_command_does_not_act_on_the_terminal(self):
        self.submit("Name:s=evil", "Command:as=a\x1b[2J\nb,it's,\u009bx,é", "Directory:s=/\x07")
        out = self.done("show", "evil")
        self.assertIn("command    'a?[2J?b' 'it'\\''s' '?x' 'é'\n", out)
        self.assertIn("directory  '/?'\n", out)


class Change(ClientCase):
    def test_set(self):
        self.assertEqual(self.done("set", "mine", "deadline=45min", "target=loss <= 0.25 for 2",
                                   "threads=3"), "")
        (call,) = self.calls()
        found = re.fullmatch(r"change mine deadline=boottime:(\d+) target=loss<=0.25\*2 threads=3",
                             call)
        left = int(found[1]) / 1e9 - time.clock_gettime(time.CLOCK_BOOTTIME)
        self.assertGreater(left, 2700 - PATIENCE)
        self.assertLessEqual(left, 2700)

    def test_deadlines(self):
        for text, wanted in (("2100-01-01 00:00", r"realtime:4102444800000000000"),
                             ("none", "none"), ("now+2h", r"boottime:\d+")):
            self.done("set", "mine", f"deadline={text}")
            (call,) = self.calls()
            self.assertRegex(call, f"^change mine deadline={wanted}$")
        self.done("set", "mine", "deadline=23:59:59")
        (call,) = self.calls()
        self.assertRegex(call, r"deadline=realtime:\d+$")
        left = int(call.split(":")[1]) / 1e9 - time.time()
        self.assertTrue(-PATIENCE < left <= 24 * HOUR, left)
        shown = json.loads(self.done("show", "mine", "--json"))["deadline_unix_seconds"]
        self.assertAlmostEqual(shown, int(call.split(":")[1]) / 1e9, places=3)

    def test_a_span_is_shown_as_a_moment(self):
        self.done("set", "mine", "deadline=2h")
        left = json.loads(self.done("show", "mine", "-j"))["deadline_unix_seconds"] - time.time()
        self.assertTrue(2 * HOUR - PATIENCE < left <= 2 * HOUR + 1, left)

    def test_no_target(self):
        self.done("set", "mine", "target=none")
        self.assertEqual(self.calls(), ["change mine target=none"])

    def test_bad_settings(self):
        for sentence, *words in (
                ("did you mean 'deadline'?", "mine", "dedline=1h"),
                ("there are deadline, target, threads", "mine", "qqqqqq=1"),
                ("'deadline' is not KEY=VALUE", "mine", "deadline"),
                ("has no unit", "mine", "deadline=45"),
                ("has passed already", "mine", "deadline=2001-01-01 00:00"),
                ("has passed already", "mine", "deadline=0s"),
                ("write '<='", "mine", "target=loss < 1"),
                ("threads: neither 'auto' nor a number", "mine", "threads=0"),
                ("threads: neither 'auto' nor a number", "mine", "threads=any"),
                ("given twice", "mine", "threads=1", "threads=2"),
                ("expected a task and KEY=VALUE", "mine")):
            with self.subTest(words):
                self.failed(64, sentence, "set", *words)
        self.assertEqual(self.calls(), [])

    def test_pause_resume_cancel(self):
        for command in ("pause", "resume", "cancel"):
            self.assertEqual(self.done(command, "mine", "theirs"), "")
            self.assertEqual(self.calls(), [f"{command} mine", f"{command} theirs"])

    def test_json(self):
        lines = self.done("pause", "-j", "mine", "theirs").splitlines()
        self.assertEqual([(json.loads(line)["name"], json.loads(line)["phase"]) for line in lines],
                         [("mine", "paused"), ("theirs", "paused")])
        self.assertEqual(json.loads(self.done("cancel", "--json", "mine"))["outcome"], "cancelled")
        self.assertEqual(json.loads(self.done("set", "-j", "theirs", "threads=7"))["threads"], 7)
        self.assertIsNone(json.loads(self.done("set", "-j", "theirs", "threads=auto"))["threads"])
        self.assertRegex(self.done("show", "theirs"), r"(?m)^threads +auto$")

    def test_many_are_done_in_turn(self):
        """More than a user may ask for at once."""
        self.done("pause", *["theirs"] * 30, user=NOBODY)
        self.assertEqual(self.calls(), ["pause theirs"] * 30)

    def test_too_much(self):
        self.host.tell(f"task overloaded {os.geteuid()}")
        self.failed(75, "that is too much at once", "pause", "overloaded")

    def test_one_of_several(self):
        status, out, err = self.coregov("cancel", "nothing", "mine")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("there is no task 'nothing'", err)
        self.assertEqual(self.calls(), ["cancel mine"])

    def test_of_others(self):
        for command, *words in (("pause", "mine"), ("resume", "mine"), ("cancel", "mine"),
                                ("set", "mine", "threads=1"), ("drain",), ("budget", "1cpu")):
            with self.subTest(command):
                self.failed(77, f"user {NOBODY} may not", command, *words, user=NOBODY)
        self.assertEqual(self.calls(), [])
        self.done("pause", "theirs", user=NOBODY)
        self.assertEqual(self.calls(), ["pause theirs"])

    def test_one_that_has_ended(self):
        self.host.tell("end mine learned")
        self.failed(1, "task mine has ended", "cancel", "mine")
        self.failed(1, "task mine has ended", "set", "mine", "threads=2")


class Govern(ClientCase):
    def test_budget(self):
        self.assertEqual(self.done("budget"), "budget 3cpu of 4cpu, 0.00 granted, 0.00 used\n")
        self.assertEqual(self.done("budget", "1.5cpu"), "")
        self.assertEqual(self.done("budget", "50%"), "")
        self.assertEqual(self.calls(), ["budget 1.5", "budget 2"])
        self.assertEqual(json.loads(self.done("budget", "-j", "75%"))["budget_cpus"], 3)

    def test_bad_budget(self):
        self.failed(64, "has no unit", "budget", "1.5")
        self.failed(64, "not a share", "budget", "much")
        self.failed(64, "is too much", "budget", "1cpu", "2cpu")
        self.failed(65, "above the capacity of 4 CPUs", "budget", "5cpu")
        self.failed(65, "nothing to share", "budget", "0%")
        self.assertEqual(self.calls(), [])

    def test_drain(self):
        self.assertEqual(self.done("drain"), "")
        self.assertIn("draining: no task is taken", self.done("budget"))
        self.assertIs(json.loads(self.done("drain", "--off", "--json"))["draining"], False)
        self.assertEqual(self.calls(), ["drain 1", "drain 0"])


class Wait(ClientCase):
    def start(self, *words, user=None):
        """`coregov wait`, once it listens and has the list."""
        with self.monitor() as lines:
            process = subprocess.Popen([COREGOV, "wait", *words], env=self.env, text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       **self.as_user(user))
            self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(),
                                     process.stderr.close()))
            is_asked = False
            for line in lines:
                is_asked |= "GetManagedObjects" in line
                if is_asked and re.match("method return .*sender=:", line):
                    return process
        raise AssertionError("the monitor has ended")

    def ends(self, process, status, out, err=""):
        found = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, found[0], found[1]), (status, out, err))

    def test_named(self):
        process = self.start("mine", "theirs", "mine")
        self.host.tell("end theirs learned")
        self.assertEqual(process.stdout.readline(), "theirs: learned\n")
        self.assertIsNone(process.poll())
        self.host.tell("end mine learned")
        self.ends(process, 0, "mine: learned\n")

    def test_not_learned(self):
        process = self.start("mine")
        self.host.tell("end mine missed-deadline")
        self.ends(process, 1, "mine: missed-deadline\n")

    def test_has_ended_already(self):
        self.host.tell("end mine learned")
        self.assertEqual(self.done("wait", "mine"), "mine: learned\n")
        self.host.tell("end theirs failed")
        self.assertEqual(self.coregov("wait", "mine", "theirs"),
                         (1, "mine: learned\ntheirs: failed\n", ""))

    def test_own(self):
        if os.geteuid() == NOBODY:
            self.skipTest("theirs is ours")
        process = self.start()
        self.host.tell("end theirs failed")
        self.host.tell("end mine learned")
        self.ends(process, 0, "mine: learned\n")
        self.assertEqual(self.done("wait"), "")

    def test_all(self):
        process = self.start("--all", "--json")
        self.host.tell("end theirs failed")
        self.assertEqual(json.loads(process.stdout.readline())["outcome"], "failed")
        self.host.tell("end mine learned")
        self.assertEqual(json.loads(process.stdout.readline())["name"], "mine")
        self.ends(process, 1, "")

    def test_it_hears_and_does_not_ask(self):
        process = self.start("mine")
        with self.monitor(f"destination={bus_case.NAME}", "type=method_call") as lines:
            for _ in range(20):
                self.host.tell("share mine 0.5")
                self.host.tell("slot")
            self.host.tell("end theirs learned")
            self.host.tell("end mine learned")
            self.ends(process, 0, "mine: learned\n")
            self.send(PATH, f"{bus_case.NAME}.GetTask", "string:mine")  # the last one
            calls = []
            for line in lines:
                calls += re.findall(r"member=(\w+)", line)
                if "GetTask" in line:
                    break
        # Up to the ends it may still be asking for what it waits for; then once for what has ended.
        self.assertLessEqual(calls.count("GetAll"), 1, calls)
        self.assertLessEqual(len(calls), 4, calls)

    def test_the_governor_goes(self):
        process = self.start()  # names would be asked for one by one
        self.host.stop()
        self.ends(process, 69, "", "coregov: the governor has gone: it is waited for\n"
                  "coregov: the governor has gone\n")

    def test_the_bus_goes(self):
        process = self.start()
        os.kill(self.bus.pid, signal.SIGKILL)
        self.ends(process, 69, "", "coregov: the governor has gone\n")

    def test_no_such_task(self):
        self.failed(1, "did you mean 'mine'?", "wait", "miine")

    def test_all_and_a_name(self):
        self.failed(64, "exclude each other", "wait", "--all", "mine")


class Anywhere(ClientCase):
    def test_usage(self):
        for command, words in COMMANDS.items():
            with self.subTest(command):
                self.failed(64, "did you mean '--json'?", command, "--jsn", *words)
                self.failed(64, "unknown option '-x'", command, "-x", *words)
                self.failed(64, "exclude each other", command, "-u", "-s", *words)
        for command in ("show", "cancel", "pause", "resume"):
            self.failed(64, "no task", command)
        for command in ("list", "drain"):
            self.failed(64, "'mine' is too much", command, "mine")
        self.failed(64, "'theirs' is too much", "show", "mine", "theirs")
        self.failed(64, "did you mean 'cancel'?", "cancle")
        self.assertEqual(self.calls(), [])

    def test_one_that_hangs(self):
        """Its answer is waited for, but not when it goes."""
        os.kill(self.host.process.pid, signal.SIGSTOP)
        process = subprocess.Popen([COREGOV, "list"], env=self.env, text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.host.process.kill()
        out, err = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, out), (69, ""))
        self.assertIn("governor", err)

    def test_a_closed_standard_output(self):
        result = subprocess.run(["sh", "-c", "exec \"$0\" list >/dev/full", COREGOV], env=self.env,
                                text=True, capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn("write to standard output", result.stderr)


class Nobody(ClientCase):
    host_options = None

    def test_no_governor(self):
        for command, words in COMMANDS.items():
            with self.subTest(command):
                self.failed(69, "no governor runs here; start it with 'systemctl start coregovd'",
                            command, *words)
        self.failed(69, "start your own with 'systemctl --user start coregovd'", "list", "--user")

    def test_no_bus(self):
        for address in ("unix:path=/nowhere/bus", "nonsense"):
            self.failed(69, "no governor can be reached", "list", env={
                "COREGOV_BUS_ADDRESS": address})

    def test_no_user_bus(self):
        """Without the variable, and with a user bus that is none: the next is the system's."""
        env = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus",
               "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere/bus", "XDG_RUNTIME_DIR": "/nowhere"}
        self.env.pop("COREGOV_BUS_ADDRESS")
        self.failed(69, "reach the user bus", "list", "--user", env=env)
        self.failed(69, "reach the system bus", "list", "--system", env=env)
        self.failed(69, "reach the system bus", "list", env=env)


class Choice(ClientCase):
    """Two buses: without --user and --system one's own governor is meant where it runs."""

    host_options = None

    def test_choice(self):
        system, user = self.address, None
        self.start_host("--reload", "ok")
        other = BusCase("assertTrue")
        other.host_options = None
        other.setUp()
        self.addCleanup(other.doCleanups)
        user = other.address
        env = {"DBUS_SESSION_BUS_ADDRESS": user, "DBUS_SYSTEM_BUS_ADDRESS": system}
        self.env.pop("COREGOV_BUS_ADDRESS")
        for words, status in (([], 0), (["--system"], 0), (["--user"], 69)):
            self.assertEqual(self.coregov("list", *words, env=env)[0], status)
        own = other.start_host("--reload", "ok")
        own.tell("task own 0")
        for words, is_own in (([], True), (["--system"], False), (["--user"], True)):
            out = self.coregov("list", *words, env=env)[1]
            self.assertEqual("own" in out.split(), is_own, out)


if __name__ == "__main__":
    tap.main()
