"""By what limits are kept, and the programs that put them on."""

from runtime.domain.machines import Machine
from runtime.sandbox.confinement import in_memory_bytes, inside, limits_in_force

EVERYTHING = frozenset({"memory", "pids", "cpu"})
MIB = 1024**2


def test_control_groups_keep_all_limits() -> None:
    limits = limits_in_force(EVERYTHING, (5, 10))
    assert (limits.memory, limits.cpus, limits.tasks) == ("control group",) * 3
    assert limits.shortcomings == []


def test_without_them_memory_is_watched_and_what_cannot_be_had_is_said() -> None:
    limits = limits_in_force(None, (6, 1))
    assert (limits.memory, limits.cpus, limits.tasks) == ("watched", "not", "process limit")
    assert len(limits.shortcomings) == 2


def test_before_linux_5_14_the_limit_of_processes_would_count_those_of_all_runs() -> None:
    assert limits_in_force(None, (5, 13)).tasks == "not"
    assert limits_in_force(None, (5, 14)).tasks == "process limit"
    assert limits_in_force(frozenset({"memory"}), (5, 13)).tasks == "not"


def test_a_process_gets_the_limits_that_its_group_does_not_keep() -> None:
    machine = Machine(tasks=128)
    assert inside(machine, limits_in_force(None, (6, 1)), None) == [
        "/usr/bin/prlimit",
        "--core=0",
        "--nproc=129",
        "--",
    ]
    assert inside(machine, limits_in_force(EVERYTHING, (6, 1)), 99) == [
        "/usr/bin/prlimit",
        "--core=0",
        "--fsize=99",
        "--",
    ]


def test_files_in_memory_get_half_of_it_and_never_so_little_that_nothing_starts() -> None:
    assert in_memory_bytes(Machine()) is None
    assert in_memory_bytes(Machine(memory=512 * MIB)) == 256 * MIB
    assert in_memory_bytes(Machine(memory=16 * MIB)) == 64 * MIB
