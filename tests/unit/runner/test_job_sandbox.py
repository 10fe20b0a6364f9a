"""The sandbox of a job, as data."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from runtime.runner.job_sandbox import data_links, job_command, job_environment, job_policy
from runtime.runner.launch import UNRELEASED_EXIT_CODE, CopiedData, KeptData, Launch
from runtime.sandbox.policy import Mount
from runtime.sandbox.system_mounts import SystemView

RUN_ID = UUID("00000000-0000-0000-0000-000000000007")
SYSTEM = SystemView(mounts=(Mount(source=Path("/usr"), target="/usr"),), links=())


def make_launch(**changes: Any) -> Launch:
    fields: dict[str, Any] = {
        "run_id": RUN_ID,
        "workspace_id": UUID(int=1),
        "environment": Path("/state/envs/key"),
        "base_prefix": Path("/usr"),
        "working_copy": Path("/state/runs/7/workspace"),
        "data": KeptData(var=Path("/state/data/var"), local=Path("/state/data/local")),
        "profile": "prod",
        "launcher": "dlt._workspace.deployment.launchers.job",
    }
    return Launch(**(fields | changes))


def places(launch: Launch) -> dict[str, tuple[str, bool]]:
    policy = job_policy(launch, SYSTEM, Path("/lib/launchers"), {})
    return {mount.target: (str(mount.source), mount.writable) for mount in policy.mounts}


def test_everything_is_at_its_place_and_only_the_jobs_own_is_writable() -> None:
    assert places(make_launch()) == {
        "/usr": ("/usr", False),
        "/venv": ("/state/envs/key", False),
        "/opt/dlt-runtime/launchers": ("/lib/launchers", False),
        "/workspace": ("/state/runs/7/workspace", True),
        "/workspace/.dlt/.var/prod": ("/state/data/var", True),
        "/workspace/.dlt/state/prod": ("/state/data/var", True),
        "/workspace/_local/prod": ("/state/data/local", True),
        "/workspace/.dlt/data/prod": ("/state/data/local", True),
    }


def test_copied_data_are_shown_as_a_whole_and_links_lead_through_the_newest_generation() -> None:
    shown = places(make_launch(data=CopiedData(place=Path("/state/runs/7/data")), profile="access"))
    assert shown["/run/data"] == ("/state/runs/7/data", True)
    assert not any("access" in target for target in shown)
    assert data_links("access") == {
        ".dlt/.var/access": "/run/data/current/var",
        ".dlt/state/access": "/run/data/current/var",
        "_local/access": "/run/data/current/local",
        ".dlt/data/access": "/run/data/current/local",
    }


def test_mounts_inside_the_workspace_come_after_it() -> None:
    targets = list(places(make_launch(extra_mounts=(Mount(source=Path("/p"), target="/workspace/extra"),))))
    assert min(i for i, target in enumerate(targets) if target.startswith("/workspace/")) > targets.index("/workspace")


def test_tmp_is_in_memory_unless_there_is_a_directory_for_it() -> None:
    policy = job_policy(make_launch(), SYSTEM, Path("/l"), {})
    assert "/tmp" in policy.empty_directories
    launch = make_launch(scratch_dir=Path("/state/runs/7/tmp"))
    assert places(launch)["/tmp"] == ("/state/runs/7/tmp", True)
    assert "/tmp" not in job_policy(launch, SYSTEM, Path("/l"), {}).empty_directories


def test_a_run_does_not_die_with_the_daemon() -> None:
    """Design decision 4."""
    assert not job_policy(make_launch(), SYSTEM, Path("/l"), {}).dies_with_parent


def test_of_the_daemons_environment_only_locale_timezone_and_proxies_are_taken() -> None:
    daemon = {
        "LANG": "de_DE.UTF-8",
        "LC_NUMERIC": "C",
        "TZ": "Europe/Berlin",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "corp",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "PATH": "/opt/daemon/bin",
        "PYTHONPATH": "/opt/daemon",
        "CREDENTIALS_DIRECTORY": "/run/credentials",
        "DLT_RUNTIME_STATE_DIR": "/state",
    }
    environment = job_environment(make_launch(), daemon)
    taken = {name: value for name, value in environment.items() if daemon.get(name) == value}
    assert set(taken) == {"LANG", "LC_NUMERIC", "TZ", "https_proxy", "NO_PROXY"}
    assert "hush" not in str(environment)
    assert environment["PATH"].startswith("/venv/bin:")


def test_a_job_knows_its_profile_and_its_run() -> None:
    environment = job_environment(make_launch(profile="access"), {})
    assert environment["WORKSPACE__PROFILE"] == "access"
    assert environment["RUNTIME__RUN_ID"] == str(RUN_ID)
    assert environment["SEND__ARTIFACTS__BUCKET_URL"] == "file:///workspace/.dlt/.var/access/artifacts"


def test_the_launchs_own_variables_win() -> None:
    environment = job_environment(make_launch(variables={"LANG": "C", "EXTRA": "1"}), {"LANG": "de_DE.UTF-8"})
    assert (environment["LANG"], environment["EXTRA"]) == ("C", "1")


def test_our_launcher_is_told_whom_it_stands_for() -> None:
    assert job_command(make_launch()) == [
        "/venv/bin/python",
        "/opt/dlt-runtime/launchers/start.py",
        "dlt._workspace.deployment.launchers.job",
        str(UNRELEASED_EXIT_CODE),
    ]


@pytest.mark.parametrize("profile", ["", ".", "..", "../etc", "a/b", "a\0b"])
def test_a_profile_that_would_be_another_path_is_refused(profile: str) -> None:
    with pytest.raises(ValidationError, match="cannot be a profile's name"):
        make_launch(profile=profile)
