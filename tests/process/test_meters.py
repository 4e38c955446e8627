# SPDX-License-Identifier: GPL-2.0-or-later
"""`coregov bundle` where the eBPF meter cannot work: the next one goes on, and the log says what would
help. And where it does: it takes as many tasks as a run does, and goes when the run goes.

What the kernel lacks it lacks in a mount namespace: needs root, and a kernel on which the meter works."""

import ctypes
import errno
import os
import pathlib
import platform
import signal
import sqlite3
import subprocess
import sys
import time
import unittest

import tap
from test_bundle import BUDGET_TAKEN, PATIENCE, Case, processes_of, wait_until, works

TYPES = pathlib.Path("/sys/kernel/btf/vmlinux")
# Members of the kernel's structs that whoever counts CPU time by group has to read.
MEMBERS = (b"sum_exec_runtime", b"sched_task_group")
# For tasks of other users, too: others may be in somebody's home.
PYTHON = next(p for p in ("/usr/bin/python3", sys.executable) if os.access(p, os.X_OK))
N_TASKS_MAX = 1000  # of a real run
NOBODY = 65534


class MeterCase(Case):
    @classmethod
    def setUpClass(cls):
        end = time.monotonic() + PATIENCE
        while (probe := works("--meter", "bpf")).returncode == BUDGET_TAKEN:
            if time.monotonic() > end:
                raise AssertionError(probe.stderr)
            time.sleep(0.2)
        if probe.returncode != 0:
            raise unittest.SkipTest(probe.stderr.strip().splitlines()[-1])
        if subprocess.run(["unshare", "--mount", "true"], check=False).returncode != 0:
            raise unittest.SkipTest("no mount namespace can be made here (needs root)")

    def python(self, name):
        return f"{PYTHON} {self.path(name)}"

    def spinners(self, n=1, **more):
        return {f"spin{i}": {"command": self.python("spin.py"), "deadline": "50s", "target": "0.5",
                             "on-deadline": "stop", **more} for i in range(n)}


class Lacking(MeterCase):
    """One task learns, the other does not: so the run has to end, whoever counts."""

    def run_on(self, meter, *words, enforcers=("cgroup1", "cgroup2"), prefix=()):
        self.prefix = prefix
        path = self.bundle({
            "learns": {"command": self.python("learn.py"), "deadline": "50s", "target": "0.5",
                       "on-target": "stop"},
            **self.spinners(deadline="1s")})
        result, said = self.run_json(path, "--trace", self.path("trace.db"))
        self.assertIn(result["enforcer"], enforcers, said)
        self.assertEqual(result["meter"], meter, said)
        with sqlite3.connect(self.path("trace.db")) as db:
            self.assertEqual(db.execute("SELECT meter FROM run").fetchall(), [(meter,)])
        lines = [line for line in said.splitlines() if line.startswith(f"coregov: meter {meter}")]
        self.assertEqual(len(lines), 1, said)
        for word in words:
            self.assertIn(word, lines[0])
        outcomes = {name: task["outcome"] for name, task in result["by_name"].items()}
        self.assertEqual(outcomes, {"learns": "learned", "spin0": "missed-deadline"}, said)
        # Seven steps of 20 ms, until the loss is below a half.
        self.assertGreaterEqual(result["by_name"]["learns"]["cpu_seconds"], 0.13, said)
        return lines[0]

    def test_nothing(self):
        self.assertEqual(self.run_on("bpf"), "coregov: meter bpf")

    def hiding(self, path, by):
        """What a command is started by that is to find something else there."""
        return ("unshare", "--mount", "sh", "-c",
                "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh", by, str(path))

    def test_the_types_of_the_kernel(self):
        os.mkdir(self.path("empty"))
        self.run_on("cgroup", "(bpf: ", "CONFIG_DEBUG_INFO_BTF",
                    prefix=self.hiding(TYPES.parent, self.path("empty")))

    def test_capabilities(self):
        for lost in ("-bpf,-perfmon,-sys_admin", "-perfmon,-sys_admin", "-bpf,-sys_admin"):
            with self.subTest(lost):
                self.run_on("cgroup", "(bpf: ", "CAP_BPF and CAP_PERFMON",
                            prefix=("setpriv", "--bounding-set", lost))

    def test_a_member_that_the_verifier_misses(self):
        """As on a kernel that has renamed it: libbpf loads what the verifier must refuse."""
        types = TYPES.read_bytes()
        for member in MEMBERS:
            with self.subTest(member):
                self.assertEqual(types.count(b"\0" + member + b"\0"), 1)
                renamed = pathlib.Path(self.path("types"))
                renamed.write_bytes(types.replace(b"\0" + member, b"\0X" + member[1:]))
                self.run_on("cgroup", "(bpf: the kernel's verifier refuses the program: ",
                            member.decode(), prefix=self.hiding(TYPES, str(renamed)))

    def test_groups(self):
        """A plain user without a group: nothing could be counted, capabilities or not."""
        os.chmod(self.folder.name, 0o777)
        prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        if subprocess.run([*prefix, "test", "-x", os.environ["COREGOV"]], check=False).returncode:
            self.skipTest("the build is not readable for everybody")
        self.run_on("proc", "(bpf: the enforcer signal makes no groups", "; cgroup: the enforcer",
                    enforcers=["signal"], prefix=prefix)


class Kernel:
    """bpf(2): is there something that the kernel knows by this id?"""

    NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
    GET_FD_BY_ID = {"prog_id": 13, "map_id": 14, "link_id": 30}

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.number = self.NUMBERS[platform.machine()]

    def has(self, kind, number):
        attributes = (ctypes.c_uint32 * 3)(number)
        fd = self.libc.syscall(self.number, self.GET_FD_BY_ID[kind], attributes,
                               ctypes.sizeof(attributes))
        if fd >= 0:
            os.close(fd)
        elif ctypes.get_errno() != errno.ENOENT:
            raise OSError(ctypes.get_errno(), f"look for {kind} {number}")
        return fd >= 0


def loaded_by(pid):
    """(kind, id) of what a process holds of programs, maps and links."""
    found = set()
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError:  # closed meanwhile
            continue
        # A link tells its program, too.
        found |= {(kind, int(value)) for kind, _, value in (line.partition(":\t") for line in lines)
                  if kind in Kernel.GET_FD_BY_ID}
    return found


class Working(MeterCase):
    def test_as_many_tasks_as_a_run_takes(self):
        tasks = {"one": {"command": self.python("spin.py"), "deadline": "50s", "target": "0.5"}}
        later = {"command": "true", "begin": "40s", "deadline": "50s", "target": "0.5"}
        tasks.update({f"later{i}": later for i in range(N_TASKS_MAX - 1)})
        process = self.start_until(lambda: processes_of(self.path("spin.py")), "the task to run",
                                   self.bundle(tasks), "--json")
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, said)
        self.assertIn("\"meter\":\"bpf\"", out, said)
        self.assert_nothing_left(process.pid)

        process = self.start(self.bundle({**tasks, "more": later}))
        _, said = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 65, said)
        self.assertIn(f"at most {N_TASKS_MAX} (split the bundle", said)

    def start_counted(self, path):
        process = self.start_until(lambda: len(processes_of(self.path("spin.py"))) == 2,
                                   "the tasks to run", path, "--meter", "bpf")
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            keeper = int(file.read().split()[0])
        loaded = loaded_by(process.pid)
        self.assertEqual({kind for kind, _ in loaded}, set(Kernel.GET_FD_BY_ID))
        self.assertTrue(all(Kernel().has(*it) for it in loaded))
        for pid in (keeper, *processes_of(self.path("spin.py"))):
            self.assertEqual(loaded_by(pid), set())
        return process, keeper, loaded

    def assert_unloaded(self, loaded):
        kernel = Kernel()
        wait_until(lambda: not any(kernel.has(*it) for it in loaded), f"{loaded} to go")

    def test_the_run_ends(self):
        process, _, loaded = self.start_counted(self.bundle(self.spinners(2)))
        process.terminate()
        process.communicate(timeout=PATIENCE)
        self.assert_unloaded(loaded)
        self.assert_nothing_left(process.pid)

    def test_the_governor_is_killed(self):
        process, _, loaded = self.start_counted(self.bundle(self.spinners(2)))
        process.kill()
        process.communicate(timeout=PATIENCE)
        self.assert_unloaded(loaded)
        self.assert_nothing_left(process.pid)

    def test_governor_and_keeper_are_killed(self):
        process, keeper, loaded = self.start_counted(self.bundle(self.spinners(2)))
        os.kill(keeper, signal.SIGSTOP)  # neither sees the other die
        process.kill()
        os.kill(keeper, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        self.assert_unloaded(loaded)
        self.assertEqual(works().returncode, 0)  # clears up
        self.assert_nothing_left(process.pid)


if __name__ == "__main__":
    tap.main()
