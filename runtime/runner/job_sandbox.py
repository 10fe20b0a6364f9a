"""The sandbox of a job: which files at which places, and its environment. Pure, so that it is tested as data."""

from collections.abc import Mapping
from pathlib import Path

from runtime.runner.launch import UNRELEASED_EXIT_CODE, KeptData, Launch
from runtime.sandbox.confinement import in_memory_bytes
from runtime.sandbox.policy import SHARED_MEMORY, Mount, SandboxPolicy
from runtime.sandbox.system_mounts import SystemView

VENV = "/venv"
WORKSPACE = "/workspace"
LAUNCHERS = "/opt/dlt-runtime/launchers"
HOME = "/home/job"
IN_MEMORY = (HOME, SHARED_MEMORY)
"""What is there but on no disk; `/tmp` is on one."""
COPIES = "/run/data"
"""Where an app finds the generations of its copied data."""

_LOCALE = ("LANG", "LANGUAGE", "TZ")
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")


def job_command(launch: Launch) -> list[str]:
    """Our launcher, told which of dlt's it stands for."""
    return [f"{VENV}/bin/python", f"{LAUNCHERS}/start.py", launch.launcher, str(UNRELEASED_EXIT_CODE)]


def job_policy(
    launch: Launch, system: SystemView, launchers: Path, daemon_environment: Mapping[str, str]
) -> SandboxPolicy:
    """The policy of one run.

    Args:
        system: The machine's read-only part, with the interpreter of this environment.
        launchers: Our launchers' directory on the machine.
        daemon_environment: `os.environ`; only locale, timezone and proxies are taken from it.
    """
    own = [
        Mount(source=launch.environment, target=VENV),
        Mount(source=launchers, target=LAUNCHERS),
        Mount(source=launch.working_copy, target=WORKSPACE, writable=True),
        *_data_mounts(launch),
    ]
    empty = [HOME]
    if launch.scratch_dir is None:
        empty.append("/tmp")  # noqa: S108 - inside
    else:
        own.append(Mount(source=launch.scratch_dir, target="/tmp", writable=True))  # noqa: S108
    return SandboxPolicy(
        mounts=(*system.mounts, *own, *launch.extra_mounts),
        links=system.links,
        empty_directories=tuple(empty),
        in_memory_bytes=in_memory_bytes(launch.machine),
        environment=job_environment(launch, daemon_environment),
        working_directory=WORKSPACE,
        share_network=True,
    )


def data_links(profile: str) -> dict[str, str]:
    """The links a working copy needs where its data are copies: path in the working copy, and where it leads."""
    links = dict.fromkeys(state_places(profile), f"{COPIES}/current/var")
    links |= dict.fromkeys(data_places(profile), f"{COPIES}/current/local")
    return {place.removeprefix(f"{WORKSPACE}/"): target for place, target in links.items()}


def _data_mounts(launch: Launch) -> list[Mount]:
    data = launch.data
    if isinstance(data, KeptData):
        kept = [(data.var, place) for place in state_places(launch.profile)]
        kept += [(data.local, place) for place in data_places(launch.profile)]
        return [Mount(source=source, target=place, writable=True) for source, place in kept]
    return [Mount(source=data.place, target=COPIES, writable=True)]


def job_environment(launch: Launch, daemon_environment: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a job: nothing of the daemon's but locale, timezone and proxy settings."""
    artifacts = f"file://{state_places(launch.profile)[0]}/artifacts"
    inherited = {name: value for name, value in daemon_environment.items() if _is_inherited(name)}
    return {
        "LANG": "C.UTF-8",
        **inherited,
        "HOME": HOME,
        "USER": "job",
        "LOGNAME": "job",
        "SHELL": "/bin/sh",
        "PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": VENV,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "WORKSPACE__PROFILE": launch.profile,
        "RUNTIME__RUN_ID": str(launch.run_id),
        "SEND__ARTIFACTS__BUCKET_URL": artifacts,
        # fsspec makes directories in buckets, but not on a disk unless it is told to.
        "SEND__ARTIFACTS__KWARGS": '{"auto_mkdir": true}',
        "SYNC__ARTIFACTS__BUCKET_URL": artifacts,
        **launch.variables,
    }


def state_places(profile: str) -> tuple[str, ...]:
    """Where dlt keeps pipelines' state and load packages: before dlt 1.27 (first) and since.

    Both lead to the same directory, so a job's state stays with it when its dlt is upgraded.
    """
    return f"{WORKSPACE}/.dlt/.var/{profile}", f"{WORKSPACE}/.dlt/state/{profile}"


def data_places(profile: str) -> tuple[str, ...]:
    """Where local files go, DuckDB's for one: before dlt 1.27 (first) and since; the same directory as well."""
    return f"{WORKSPACE}/_local/{profile}", f"{WORKSPACE}/.dlt/data/{profile}"


def _is_inherited(name: str) -> bool:
    return name in _LOCALE or name.startswith("LC_") or name.lower() in _PROXIES
