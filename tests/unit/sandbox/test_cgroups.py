"""Control groups, over directories that look like the kernel's; `test_control_groups.py` has the kernel's own."""

import os
from pathlib import Path

import pytest

from runtime.domain.machines import Machine
from runtime.sandbox.cgroups import ControlGroups, GroupUsage, limits_of

UNIT = "system.slice/dlt-runtime.service"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hierarchy in which the daemon is in the unit's group, with two processes of an earlier one."""
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
    root = tmp_path / "cgroup"
    make_group(root / UNIT, processes=[os.getpid(), 4001, 4002])
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    (root / UNIT / "cgroup.controllers").write_text("cpu io memory pids")
    for name in ("daemon", "runs"):
        make_group(root / UNIT / name)
    (tmp_path / "own").write_text(f"1:name=systemd:/x\n0::/{UNIT}\n")
    return root


def make_group(path: Path, processes: list[int] | None = None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in processes or []))
    for name in ("cgroup.subtree_control", "cpu.weight", "cgroup.controllers"):
        (path / name).touch()


def open_groups(root: Path) -> ControlGroups | None:
    return ControlGroups.open(root, root.parent / "own")


def test_the_daemon_and_what_is_there_move_into_a_group_of_their_own(root: Path) -> None:
    groups = open_groups(root)
    assert groups is not None
    assert groups.controllers == {"memory", "pids", "cpu"}
    # The kernel moves a process at each write; of a file's content the last one is left.
    assert (root / UNIT / "daemon" / "cgroup.procs").read_text().startswith("4002")
    assert "+" in (root / UNIT / "runs" / "cgroup.subtree_control").read_text()


def test_a_daemon_that_systemd_has_put_into_the_group_finds_the_one_above(root: Path) -> None:
    (root.parent / "own").write_text(f"0::/{UNIT}/daemon\n")
    assert open_groups(root) is not None


@pytest.mark.parametrize("controllers", ["", "cpu pids"])
def test_without_the_memory_controller_there_are_no_groups(root: Path, controllers: str) -> None:
    (root / UNIT / "cgroup.controllers").write_text(controllers)
    assert open_groups(root) is None


def test_on_a_machine_of_version_1_there_are_no_groups(root: Path) -> None:
    (root.parent / "own").write_text("4:memory:/user\n1:name=systemd:/\n")
    assert open_groups(root) is None


def test_where_the_group_is_somebody_elses_there_are_none(root: Path) -> None:
    (root / UNIT / "cgroup.procs").unlink()
    assert open_groups(root) is None


def test_a_group_that_systemd_has_not_handed_over_stays_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal's, for one: its user may write there, and other programs live in it."""
    monkeypatch.setenv("SYSTEMD_EXEC_PID", "1")
    assert open_groups(root) is None
    assert (root / UNIT / "daemon" / "cgroup.procs").read_text() == ""


def test_what_a_group_has_seen_is_its_peak_and_its_kills(root: Path) -> None:
    groups = open_groups(root)
    assert groups is not None
    run = root / UNIT / "runs" / "7"
    run.mkdir()
    (run / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 1\noom_kill 3\noom_group_kill 1\n")
    (run / "memory.current").write_text("100\n")
    assert groups.usage("7") == GroupUsage(peak_memory=100, memory_kills=3)
    (run / "memory.peak").write_text("536870912\n")
    assert groups.usage("7") == GroupUsage(peak_memory=536870912, memory_kills=3)
    assert groups.usage("8") is None
    assert groups.names() == {"7"}


def test_builds_have_groups_beside_the_runs_and_are_none(root: Path) -> None:
    """What runs left is cleared away by their names; a build that goes on must not be ended by that."""
    groups = open_groups(root)
    assert groups is not None
    build = groups.create_for_build(Machine())
    (root / UNIT / "runs" / "7").mkdir()
    assert build.parent == root / UNIT / "runs"
    assert groups.names() == {"7"}
    groups.remove_builds()
    assert not build.exists()
    assert groups.names() == {"7"}


def test_a_group_that_is_gone_is_as_good_as_removed(root: Path) -> None:
    groups = open_groups(root)
    assert groups is not None
    groups.remove("9")
    (root / UNIT / "runs" / "9").mkdir()
    groups.remove("9")
    assert groups.names() == set()


def test_a_machine_becomes_limits_of_the_kernel() -> None:
    everything = frozenset({"memory", "pids", "cpu"})
    machine = Machine(memory=512, cpus=1.5, tasks=128)
    assert limits_of(machine, everything) == {
        "memory.max": 512,
        "memory.swap.max": 0,
        "pids.max": 130,
        "cpu.max": "150000 100000",
    }
    assert limits_of(Machine(), everything) == {}
    assert limits_of(machine, frozenset({"memory"})) == {"memory.max": 512, "memory.swap.max": 0}
