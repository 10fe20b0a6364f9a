"""The network of a workspace, seen from every side, on a machine made of namespaces; needs no network and no root."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PROGRAMS = ("bwrap", "ip", "mount", "nsenter", "pasta", "setpriv", "unshare")
CANNOT = 77


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the scenario observed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if missing := [program for program in PROGRAMS if shutil.which(program, path=path) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("/dev/net/tun cannot be opened by this user")
    directory = tmp_path_factory.mktemp("network")
    scenario = [sys.executable, str(HERE / "network_scenario.py")]
    environment = {
        "PATH": path,
        "PYTHONPATH": str(HERE.parents[1]),
        "RESOLV_CONF": str(directory / "resolv.conf"),
        "NEIGHBOUR": " ".join([*scenario, "serve", "198.51.100.2"]),
        "OBSERVATIONS": str(directory / "seen.json"),
    }
    testbed = ["bash", str(HERE / "network_testbed.sh"), *scenario]
    unshare = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "--mount", "--net"]
    done = subprocess.run([*unshare, *testbed], env=environment, capture_output=True, text=True, timeout=100)
    if done.returncode == CANNOT or "unshare:" in done.stderr:
        pytest.skip(f"no testbed on this machine: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    observed: dict[str, Any] = json.loads((directory / "seen.json").read_text())
    return observed


def test_the_machine_reaches_its_own_listeners_so_that_the_other_tests_mean_something(seen: dict[str, Any]) -> None:
    assert set(seen["own addresses from the machine"].values()) == {"machine"}


def test_a_job_reaches_no_address_of_the_machine_neither_loopback_nor_any_other(seen: dict[str, Any]) -> None:
    answers = seen["own addresses from a job"]
    assert len(answers) == 4
    assert "machine" not in answers.values()
    assert all(answer.endswith("Error") for answer in answers.values())


def test_a_job_reaches_another_machine(seen: dict[str, Any]) -> None:
    assert list(seen["neighbour"].values()) == ["neighbour"]


def test_a_job_resolves_names_though_the_resolver_is_on_the_machines_loopback(seen: dict[str, Any]) -> None:
    assert list(seen["neighbour by name"].values()) == ["neighbour"]


def test_a_job_cannot_open_what_was_closed_off(seen: dict[str, Any]) -> None:
    assert "not permitted" in " ".join(seen["taking a route away"])


def test_jobs_of_one_workspace_reach_each_other(seen: dict[str, Any]) -> None:
    assert list(seen["a job's port from its workspace"].values()) == ["job"]


def test_jobs_of_two_workspaces_do_not_reach_each_other(seen: dict[str, Any]) -> None:
    assert "job" not in seen["a job's port from another workspace"].values()


def test_there_is_no_way_in_from_the_machine(seen: dict[str, Any]) -> None:
    assert "job" not in seen["a job's port from the machine"].values()


def test_a_later_daemon_finds_the_holder_again(seen: dict[str, Any]) -> None:
    assert seen["same for a later daemon"]


@pytest.mark.parametrize("part", ["relay", "sleeper"])
def test_a_dead_holder_is_replaced_at_the_next_entry(seen: dict[str, Any], part: str) -> None:
    assert seen[f"replaced when the {part} died"]
    assert list(seen[f"works when the {part} was replaced"].values()) == ["neighbour"]
    assert seen[f"nothing left of the holder whose {part} died"]


def test_a_holder_outlives_a_daemon_that_is_killed(seen: dict[str, Any]) -> None:
    assert seen["daemon killed"]
    assert seen["holder outlived it"]
    assert list(seen["works after it"].values()) == ["neighbour"]


def test_a_dismissed_holder_leaves_nothing(seen: dict[str, Any]) -> None:
    assert seen["dismissed"]
