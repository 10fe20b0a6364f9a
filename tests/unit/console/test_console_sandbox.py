"""What the console's sandbox is shown."""

import sys
from pathlib import Path

from runtime.console.sandbox import API_SOCKET, console_command, console_policy
from runtime.sandbox.policy import Mount, bwrap_argv
from runtime.sandbox.system_mounts import SystemView

SOCKET = Path("/var/lib/dlt-runtime/tmp/console.sock")
SYSTEM = SystemView(mounts=(Mount(source=Path("/usr"), target="/usr"),), links=())
ENVIRONMENT = {
    "TZ": "Europe/Berlin",
    "LC_ALL": "C.UTF-8",
    "AWS_SECRET_ACCESS_KEY": "pear",
    "DLT_RUNTIME_TOKEN": "other",
}


def test_there_is_the_program_one_socket_and_nothing_that_can_be_written() -> None:
    policy = console_policy(SYSTEM, SOCKET, "key", ENVIRONMENT)
    assert not [mount for mount in policy.mounts if mount.writable]
    shown = {str(mount.source): mount.target for mount in policy.mounts}
    assert shown.pop(str(SOCKET)) == API_SOCKET
    root = Path(__file__).parents[3]
    places = {"/usr", sys.prefix, *(str(root / name) for name in ("runtime", "cli", "tui"))}
    assert set(shown) <= places
    assert all(source == target for source, target in shown.items())


def test_there_is_no_network_and_it_ends_with_the_daemon() -> None:
    policy = console_policy(SYSTEM, SOCKET, "key", ENVIRONMENT)
    assert not policy.share_network
    assert policy.dies_with_parent


def test_the_key_is_in_the_environment_alone_and_of_the_daemons_only_locale_and_timezone_are() -> None:
    policy = console_policy(SYSTEM, SOCKET, "the-key", ENVIRONMENT)
    assert policy.environment["DLT_RUNTIME_TOKEN"] == "the-key"
    assert (policy.environment["TZ"], policy.environment["LC_ALL"]) == ("Europe/Berlin", "C.UTF-8")
    assert "AWS_SECRET_ACCESS_KEY" not in policy.environment
    assert "the-key" not in " ".join(bwrap_argv(policy, console_command(3)))
