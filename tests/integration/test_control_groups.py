"""Control groups of the kernel: what a machine size becomes for real processes.

Needs a group of version 2 of one's own with the memory controller, as `systemd-run --user --scope -p Delegate=yes`
gives one; skipped elsewhere.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.domain.machines import Machine
from runtime.sandbox.cgroups import ControlGroups
from runtime.sandbox.precedence import behind_the_daemon

MIB = 1024**2
BOMB = "kept = []\nwhile True: kept.append(bytearray(b'x' * 1024 * 1024))"
CHILDREN = """
import os, subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; kept = b'x' * 1024 * 1024 * 200; time.sleep(60)"]).wait()
"""
FORKS = """
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
print(count)
"""
BURNS = """
import time
began, until = time.process_time(), time.monotonic() + 2
while time.monotonic() < until:
    pass
print(time.process_time() - began)
"""


@pytest.fixture(scope="module")
def groups() -> ControlGroups:
    opened = ControlGroups.open()
    if opened is None:
        pytest.skip("no control group of version 2 with the memory controller is this process's own")
    return opened


@pytest.fixture
def name(groups: ControlGroups) -> Iterator[str]:
    given = f"test-{time.monotonic_ns()}"
    yield given
    groups.remove(given)


def run_in(group: Path, code: str) -> "subprocess.CompletedProcess[str]":
    command = [*behind_the_daemon(group), sys.executable, "-I", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("code", [BOMB, CHILDREN])
def test_the_kernel_ends_all_of_a_run_that_takes_too_much_memory(groups: ControlGroups, name: str, code: str) -> None:
    """Semantics S6."""
    group = groups.create(name, Machine(memory=64 * MIB))
    done = run_in(group, code)
    assert done.returncode == -9, done.stderr
    usage = groups.usage(name)
    assert usage is not None
    assert usage.memory_kills >= 1
    assert usage.peak_memory is not None
    assert usage.peak_memory <= 64 * MIB
    print(usage)


def test_a_run_has_no_more_processes_than_its_machine(groups: ControlGroups, name: str) -> None:
    if "pids" not in groups.controllers:
        pytest.skip("no pids controller")
    group = groups.create(name, Machine(tasks=40))
    done = run_in(group, FORKS)
    assert 30 <= int(done.stdout) <= 43


def test_a_run_gets_no_more_of_the_processor_than_its_machine(groups: ControlGroups, name: str) -> None:
    if "cpu" not in groups.controllers:
        pytest.skip("no cpu controller")
    group = groups.create(name, Machine(cpus=0.25))
    done = run_in(group, BURNS)
    assert float(done.stdout) < 1.0, "of two seconds"


def test_a_group_goes_with_all_that_is_in_it_and_the_next_daemon_finds_it(groups: ControlGroups, name: str) -> None:
    group = groups.create(name, Machine(tasks=40))
    sleeper = subprocess.Popen([*behind_the_daemon(group), "sleep", "60"])
    try:
        while str(sleeper.pid) not in (group / "cgroup.procs").read_text().split():
            assert sleeper.poll() is None
        later = ControlGroups.open()
        assert later is not None
        assert name in later.names()
        later.remove(name)
        assert sleeper.wait(10) == -9
        assert not group.exists()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_what_joins_is_the_first_to_go_when_memory_is_short_and_the_last_for_the_processor(
    groups: ControlGroups, name: str
) -> None:
    group = groups.create(name, Machine())
    done = run_in(group, "import os\nprint(open('/proc/self/oom_score_adj').read().strip(), os.nice(0))")
    assert done.stdout.split() == ["800", str(os.nice(0) + 5)]
