"""What the console's sandbox may see, as data: the program itself, read-only, and one socket of the API.

Nothing in it is of the machine's users or of the daemon's state, and it has no network at all. What a page of the
console could be made to do beyond what it is for, by whatever mistake in it, ends here.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import runtime
from runtime.sandbox.policy import Mount, SandboxPolicy
from runtime.sandbox.system_mounts import SystemView

API_SOCKET = "/run/dlt-runtime/console.sock"
HOME = "/home/job"
_ROOT = Path(runtime.__file__).parents[1]
_PACKAGES = ("runtime", "cli", "tui")
_IN_MEMORY_BYTES = 16 * 1024 * 1024
_LOCALE = ("LANG", "LANGUAGE", "TZ")


def console_command(channel: int) -> list[str]:
    """The server behind the pages, told the descriptor over which its connections come."""
    return [sys.executable, "-s", "-P", "-m", "tui.browser", str(channel), API_SOCKET]


def console_policy(
    system: SystemView, api_socket: Path, key: str, daemon_environment: Mapping[str, str]
) -> SandboxPolicy:
    """The policy of one session's sandbox.

    Args:
        system: The machine's read-only part, with the daemon's interpreter.
        api_socket: The console's socket of the API on the machine.
        key: What the pages show there.
        daemon_environment: `os.environ`; only locale and timezone are taken from it.
    """
    inherited = {name: value for name, value in daemon_environment.items() if name in _LOCALE or name[:3] == "LC_"}
    environment = {
        "LANG": "C.UTF-8",
        **inherited,
        "HOME": HOME,
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DLT_RUNTIME_TOKEN": key,
    }
    if not _ROOT.is_relative_to(sys.prefix):
        environment["PYTHONPATH"] = str(_ROOT)
    return SandboxPolicy(
        mounts=(*system.mounts, *_program(), Mount(source=api_socket, target=API_SOCKET)),
        links=system.links,
        empty_directories=("/tmp", HOME),  # noqa: S108 - inside
        in_memory_bytes=_IN_MEMORY_BYTES,
        environment=environment,
        working_directory=HOME,
        share_network=False,
        dies_with_parent=True,
    )


def _program() -> list[Mount]:
    """Virtualenv and packages at their own places, as far as the system's part does not show them."""
    places = [Path(sys.prefix), *(_ROOT / name for name in _PACKAGES if not _ROOT.is_relative_to(sys.prefix))]
    return [Mount(source=place, target=str(place)) for place in places if not place.is_relative_to("/usr")]
