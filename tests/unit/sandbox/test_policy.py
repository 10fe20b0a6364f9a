"""A policy as bubblewrap's arguments."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from runtime.sandbox.policy import Link, Mount, SandboxPolicy, bwrap_argv
from runtime.sandbox.tools import SandboxTools


def make_policy(**changes: Any) -> SandboxPolicy:
    fields: dict[str, Any] = {
        "mounts": (Mount(source=Path("/usr"), target="/usr"),),
        "environment": {"TOKEN": "hush"},
        "working_directory": "/tmp",
        "share_network": True,
    }
    return SandboxPolicy(**(fields | changes))


def test_the_whole_list() -> None:
    policy = make_policy(
        mounts=(
            Mount(source=Path("/usr"), target="/usr"),
            Mount(source=Path("/state/copy"), target="/workspace", writable=True),
        ),
        links=(Link(path="/bin", target="usr/bin"),),
        working_directory="/workspace",
    )
    assert bwrap_argv(policy, ["python", "-c", "pass"], status_fd=7, info_fd=9) == [
        "/usr/bin/bwrap",
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        "--disable-userns",
        *("--uid", "1000", "--gid", "1000", "--hostname", "job", "--cap-drop", "ALL", "--new-session"),
        *("--json-status-fd", "7", "--info-fd", "9"),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm", "--tmpfs", "/tmp", "--tmpfs", "/home/job"),
        *("--symlink", "usr/bin", "/bin"),
        *("--ro-bind", "/usr", "/usr", "--bind", "/state/copy", "/workspace"),
        *(
            "--remount-ro",
            "/proc",
            "--remount-ro",
            "/dev",
            "--remount-ro",
            "/",
            "--chdir",
            "/workspace",
            "--",
            "python",
            "-c",
            "pass",
        ),
    ]


def test_the_environment_is_not_among_the_arguments() -> None:
    assert "hush" not in " ".join(bwrap_argv(make_policy(), ["true"]))


def test_a_sandbox_without_the_network_gets_an_empty_one() -> None:
    assert "--unshare-net" in bwrap_argv(make_policy(share_network=False), ["true"])
    assert "--unshare-net" not in bwrap_argv(make_policy(share_network=True), ["true"])


def test_only_a_sandbox_that_should_dies_with_its_parent() -> None:
    """Design decision 4: a run outlives the daemon."""
    assert "--die-with-parent" not in bwrap_argv(make_policy(), ["true"])
    assert "--die-with-parent" in bwrap_argv(make_policy(dies_with_parent=True), ["true"])


def test_user_namespaces_are_forbidden_where_bubblewrap_can() -> None:
    tools = SandboxTools(bwrap="/opt/bwrap", can_disable_userns=False)
    argv = bwrap_argv(make_policy(), ["true"], tools=tools)
    assert argv[0] == "/opt/bwrap"
    assert "--disable-userns" not in argv


def test_the_root_is_closed_after_everything_else_was_mounted() -> None:
    argv = bwrap_argv(make_policy(), ["true"])
    closing = list(pairwise(argv)).index(("--remount-ro", "/"))
    assert not {"--bind", "--ro-bind", "--tmpfs", "--symlink"} & set(argv[closing:])


@pytest.mark.parametrize(
    "changes",
    [
        {"mounts": (Mount(source=Path("/usr"), target="usr"),)},
        {"mounts": (Mount(source=Path("/usr"), target="/workspace/../etc"),)},
        {"links": (Link(path="bin", target="usr/bin"),)},
        {"empty_directories": ("tmp",)},
        {"working_directory": "workspace"},
    ],
)
def test_paths_inside_are_absolute_and_plain(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="absolute and plain"):
        make_policy(**changes)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "GLIBC_TUNABLES", "", "A=B"])
def test_variables_that_would_act_on_bubblewrap_itself_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be set"):
        make_policy(environment={name: "x"})


def test_what_is_kept_in_memory_is_bounded_where_bubblewrap_can() -> None:
    policy = make_policy(in_memory_bytes=4096)
    argv = bwrap_argv(policy, ["true"])
    places = [after for option, after in pairwise(argv) if option == "--tmpfs"]
    sizes = [after for option, after in pairwise(argv) if option == "--size"]
    assert places == ["/dev/shm", "/tmp", "/home/job"]
    assert sizes == ["4096"] * 3
    assert "--size" not in bwrap_argv(policy, ["true"], tools=SandboxTools(can_bound_memory=False))


def test_the_filter_of_system_calls_is_read_from_a_descriptor() -> None:
    assert ("--seccomp", "11") in pairwise(bwrap_argv(make_policy(), ["true"], seccomp_fd=11))
    assert "--seccomp" not in bwrap_argv(make_policy(), ["true"])
