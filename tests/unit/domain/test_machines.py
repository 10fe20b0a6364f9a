"""Machine sizes and what runs are told that used too much."""

from pathlib import Path
from typing import Any

import pytest

from runtime.domain.machines import (
    Machine,
    Overuse,
    choose_machine,
    overuse_reason,
)
from runtime.domain.reconcile import reconcile
from runtime.domain.runs import judge_end
from runtime.errors import InvalidError
from runtime.settings_reading import load_settings
from tests.factories import make_definition

MIB = 1024**2
SIZES = {"default": Machine(memory=8 * MIB), "small": Machine(name="small", memory=MIB)}


def test_a_job_gets_the_size_it_asks_for_and_else_the_default() -> None:
    assert choose_machine(SIZES, "small").name == "small"
    assert choose_machine(SIZES, None).name == "default"


def test_an_unknown_size_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(InvalidError, match="no machine size `huge` here; there are `default`, `small`"):
        choose_machine(SIZES, "huge")


def test_a_run_killed_for_memory_says_so_with_its_peak() -> None:
    """Semantics S6."""
    overuse = Overuse(cause="memory", used=530 * MIB, limit=512 * MIB, machine="small")
    end = judge_end(137, stopped_for=None, last_line="loading", overuse=overuse)
    assert end.status == "failed"
    assert end.reason == "killed for memory: it used 530 MiB of the 512 MiB of machine size `small`"


def test_a_run_that_ended_well_before_it_was_killed_is_completed() -> None:
    overuse = Overuse(cause="memory", used=2, limit=1)
    assert judge_end(0, stopped_for=None, last_line="", overuse=overuse).status == "completed"


def test_a_full_disk_of_its_own_is_another_reason() -> None:
    overuse = Overuse(cause="disk", used=11 * MIB, limit=10 * MIB)
    assert overuse_reason(overuse) == (
        "killed for disk space: its files took 11 MiB of the 10 MiB of machine size `default`"
    )


@pytest.mark.parametrize(
    ("engine", "require"), [(1, {"machine": "small"}), (2, {"instance": {"size": "small"}}), (2, {"machine": "small"})]
)
def test_a_job_names_its_size_in_the_words_of_either_manifest_engine(engine: int, require: dict[str, Any]) -> None:
    """Semantics J5."""
    assert make_definition(engine=engine, require=require).machine == "small"
    assert make_definition(engine=engine, require={}).machine is None


def test_a_size_that_is_no_name_is_refused() -> None:
    with pytest.raises(InvalidError, match="machine"):
        make_definition(engine=2, require={"instance": {"size": 7}})


def test_a_deploy_warns_of_sizes_that_are_not_there() -> None:
    wanted = [make_definition("jobs.a", require={"machine": "huge"}), make_definition("jobs.b")]
    plan = reconcile(wanted, {}, "__deployment__", machines=SIZES)
    assert plan.warnings == ("job `jobs.a`: there is no machine size `huge` here; there are `default`, `small`",)


def test_what_a_size_does_not_say_is_as_for_the_default_size(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[machines.default]\nmemory = "4GiB"\n[machines.small]\nmemory = "512MiB"\ncpus = 0.5\n'
        "[machines.endless]\nmemory = 0\ntasks = 0\ndisk = 0\n"
    )
    sizes = load_settings(file).machine_sizes(16 * 1024 * MIB)
    assert sizes["default"] == Machine(memory=4096 * MIB, tasks=1024, disk=20 * 1024 * MIB)
    assert sizes["small"] == Machine(name="small", memory=512 * MIB, cpus=0.5, tasks=1024, disk=20 * 1024 * MIB)
    assert sizes["endless"] == Machine(name="endless")


def test_without_settings_a_run_gets_three_quarters_of_the_machines_memory(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.touch()
    assert load_settings(file).machine_sizes(16 * MIB)["default"].memory == 12 * MIB


def test_a_size_that_makes_no_sense_keeps_the_daemon_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[machines.small]\nmemory = "a lot"\n')
    with pytest.raises(InvalidError, match=r"machines.small.memory"):
        load_settings(file)


def test_a_build_may_use_what_a_size_has_that_there_is(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[environments]\nmachine = "small"\n[machines.small]\nmemory = "1GiB"\n')
    assert load_settings(file).environments.machine == "small"
    file.write_text('[environments]\nmachine = "smal"\n[machines.small]\nmemory = "1GiB"\n')
    with pytest.raises(InvalidError, match=r"environments.*there is no table `\[machines.smal\]`"):
        load_settings(file)
