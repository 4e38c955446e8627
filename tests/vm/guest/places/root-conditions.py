#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a run may find itself: services, containers, read-only trees. deadline: 180 s

In each case the run goes on with the best that is left, and says in one sentence what would help."""

import contextlib
import json
import os
import pathlib
import pwd
import subprocess
import tempfile
import time

import inside
import tap

PATIENCE = 60
USER = pwd.getpwuid(1000).pw_name
# A tree of one's own in a cgroup namespace of one's own, as a container has it.
CONTAINER = ("unshare", "--cgroup", "--mount", "sh", "-c",
             "umount -l /sys/fs/cgroup && mount -t cgroup2 {options} none /sys/fs/cgroup && "
             "exec \"$@\"", "sh")
READ_ONLY = ("unshare", "--mount", "sh", "-c",
             "mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"", "sh")


def service(*properties):
    return ("systemd-run", "--quiet", "--wait", "--pipe", "--collect",
            *(f"--property={p}" for p in properties), f"--setenv=PATH={os.environ['PATH']}")


def container(options, more="true"):
    """In a group that no manager knows of; `more` is done where the group above is $d/.."""
    enter = ("d=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/inner; mkdir $d && "
             f"echo $$ >$d/cgroup.procs && {more} && exec \"$@\"")
    return ("systemd-run", "--quiet", "--scope", "--property=Delegate=yes",
            "sh", "-c", enter, "sh", *(word.format(options=options) for word in CONTAINER))


GIVE_ON = "echo +cpu >$d/../cgroup.subtree_control"


def as_user(*words):
    return ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups", "env",
            "--unset=XDG_RUNTIME_DIR", "--unset=DBUS_SESSION_BUS_ADDRESS", *words)


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.1)


@contextlib.contextmanager
def lingering():
    """The user has a manager, and no login."""
    subprocess.run(["loginctl", "enable-linger", USER], check=True)
    try:
        wait_until(lambda: os.path.exists("/run/user/1000/bus"), "the user's manager")
        yield
    finally:
        subprocess.run(["loginctl", "disable-linger", USER], check=True)
        subprocess.run(["loginctl", "terminate-user", USER], check=False)
        wait_until(lambda: not os.path.exists("/run/user/1000/bus"), "the manager to end")


def spinners():
    """Processes of tasks that are alive."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if b"while :; do :; done" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                pass
    return found


class Where(inside.Case):
    def tearDown(self):
        self.assert_nothing_left()

    def ran(self, enforcer, *words, prefix=(), options=inside.FAST_METER):
        if enforcer == "cgroup2":
            run = inside.Run(*options, prefix=prefix)
        else:
            run = inside.Run(prefix=prefix, seconds=1)
        if enforcer == "cgroup2":
            self.assert_ran(run, enforcer)
        else:  # what that one holds in a second is not asked here
            self.assertEqual((run.status, run.result["enforcer"]), (0, enforcer), run.said)
        for word in words:
            self.assertIn(word, run.said)
        return run

    def test_a_delegated_service_is_home(self):
        run = self.ran("cgroup2", prefix=service("Delegate=yes"))
        self.assertEqual(run.result["guarantee"], "cooperative")

    def test_a_delegated_service_of_a_user_is_home(self):
        run = self.ran("cgroup2", prefix=service("Delegate=yes", f"User={USER}"))
        self.assertEqual(run.result["guarantee"], "cooperative")

    def test_a_service_delegated_without_cpu(self):
        self.ran("signal", "cpu controller is not available", "Delegate=cpu",
                 prefix=service("Delegate=memory"))

    def test_the_limit_of_a_service_is_the_capacity(self):
        run = self.ran("cgroup2", prefix=service("CPUQuota=80%"))
        self.assertEqual(run.result["capacity_cpus"], 0.8)

    def test_a_service_without_control_groups(self):
        self.ran("signal", "read-only", "ProtectControlGroups=no",
                 prefix=service("ProtectControlGroups=yes"))

    def test_no_bus(self):
        no_bus = "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent"
        self.ran("signal", "system bus", "package dbus", prefix=("env", no_bus))
        # What is delegated is marked, that needs no bus.
        self.ran("cgroup2", prefix=(*service("Delegate=yes"), "env", no_bus))

    def test_a_read_only_tree(self):
        self.ran("signal", "read-only", "unmask", prefix=READ_ONLY)

    def test_a_user_who_lingers(self):
        with lingering():
            self.ran("cgroup2", prefix=as_user())

    def test_a_user_with_variables_of_somebody_else(self):
        """His own manager is found all the same: past a folder that he may not enter, a bus that does
        not let him in, and one that does and has another manager on it."""
        address = "unix:abstract=test-bus-of-root"
        with lingering(), tempfile.TemporaryDirectory() as closed, \
             subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile",
                               "--print-address", f"--address={address}"],
                              stdout=subprocess.PIPE) as bus:
            try:
                bus.stdout.readline()
                variables = (f"XDG_RUNTIME_DIR={closed}",
                             f"DBUS_SESSION_BUS_ADDRESS=unix:path={closed}/bus",
                             f"DBUS_SESSION_BUS_ADDRESS={address}",
                             "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket")
                for variable, run in zip(variables, inside.runs_beside(
                        [as_user("env", variable) for variable in variables],
                        *inside.FAST_METER)):
                    with self.subTest(variable):
                        self.assert_ran(run, "cgroup2")
            finally:
                bus.terminate()

    def test_a_container(self):
        run = self.ran("cgroup2", prefix=container("-o rw", GIVE_ON), options=())
        self.assertEqual(run.result["meter"], "bpf", run.said)  # also from within a namespace

    def test_a_container_with_a_read_only_tree(self):
        self.ran("signal", "read-only", "unmask", prefix=container("-o ro", GIVE_ON))

    def test_a_container_without_the_controller(self):
        """A group below one that does not give the cpu controller on."""
        self.ran("signal", "cpu controller", "cgroup.subtree_control of the group above",
                 prefix=container("-o rw"))

    def test_a_namespace_around_somebody_else(self):
        self.ran("signal", "cgroup namespace", prefix=("unshare", "--cgroup"))


class Ends(inside.Case):
    """However a run ends, no process and no group stays."""

    def start(self, *prefix):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name, "spin.bundle")
        # Task two waits its turn, frozen.
        path.write_text(inside.SPINNERS.format(budget="0.5cpu", seconds=3600).replace(
            "policy = equal", "policy = exclusive"))
        os.chmod(folder.name, 0o755)
        process = subprocess.Popen([*prefix, inside.COREGOV, "bundle", str(path), "--json",
                                    *inside.FAST_METER],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: len(spinners()) > 0 or process.poll() is not None, "the tasks")
        self.assertIsNone(process.poll())
        return process

    def scope(self):
        return next(g.name for g in inside.groups_of_runs() if g.name.endswith(".scope"))

    def assert_gone(self, process):
        out, err = process.communicate(timeout=PATIENCE)
        wait_until(lambda: not spinners(), "all tasks to be gone")
        wait_until(lambda: not inside.groups_of_runs(), "the groups to be gone")
        units = subprocess.run(["systemctl", "list-units", "--all", "--plain", "coregov*"],
                               capture_output=True, text=True, check=True).stdout
        self.assertNotIn(".scope", units)
        return out, err

    def test_the_scope_is_stopped(self):
        process = self.start()
        subprocess.run(["systemctl", "stop", self.scope()], check=True, timeout=PATIENCE)
        out, err = self.assert_gone(process)
        # systemd asks all of them at once: a task may be gone before the governor has heard.
        outcomes = {task["outcome"] for task in json.loads(out)["results"]}
        self.assertLessEqual(outcomes, {"cancelled", "failed"}, err)

    def test_the_scope_is_killed(self):
        process = self.start()
        subprocess.run(["systemctl", "kill", "--signal=KILL", self.scope()], check=True)
        self.assert_gone(process)

    def test_the_governor_is_killed(self):
        process = self.start()
        process.kill()
        self.assert_gone(process)

    def test_the_service_is_stopped(self):
        for properties in (["Delegate=yes"], []):
            process = self.start(*service(*properties), "--unit=test-stop")
            subprocess.run(["systemctl", "stop", "test-stop"], check=True, timeout=PATIENCE)
            self.assert_gone(process)

    def test_killed_in_a_container_and_cleared_by_the_next_start(self):
        """No manager clears up there, and the keeper is killed, too."""
        words = container("-o rw", GIVE_ON)
        process = self.start(*words)
        pids = [int(p) for g in inside.groups_of_runs() if g.name == "coregov-leaf"
                for p in inside.read(g / "cgroup.procs").split()]
        for pid in pids:
            if "coregov" in pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii"):
                os.kill(pid, 9)
        process.communicate(timeout=PATIENCE)
        run = inside.Run(seconds=2)
        self.assert_ran(run, "cgroup2")
        self.assert_gone(process)


if __name__ == "__main__":
    tap.main()
