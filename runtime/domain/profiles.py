"""Profiles: which of a configuration's files a run sees (semantics J6)."""

import re
from collections.abc import Collection, Iterable

from runtime.domain.jobs import JobType
from runtime.domain.model import PROFILE_NAME
from runtime.errors import InvalidError

PROD = "prod"
ACCESS = "access"

_KINDS = ("config.toml", "secrets.toml")


def profile_of_file(relative_path: str) -> str | None:
    """The profile a configuration file belongs to: `prod.secrets.toml` -> `prod`; None for base files and others."""
    for kind in _KINDS:
        if relative_path.endswith("." + kind):
            return relative_path[: -len(kind) - 1]
    return None


def profiles_present(relative_paths: Iterable[str]) -> list[str]:
    """The profiles that have a file, sorted; files in subdirectories of `.dlt` define none."""
    found = {profile_of_file(path) for path in relative_paths if "/" not in path}
    return sorted(profile for profile in found if profile)


def choose_profile(job_type: JobType, required: str | None, present: Collection[str]) -> str:
    """The profile of a run: the required one, else `prod`, or `access` for interactive jobs where it is configured.

    Raises:
        InvalidError: the required one is no name for a profile.
    """
    if required:
        if not re.fullmatch(PROFILE_NAME, required):
            raise InvalidError(f"`{required}` is not a profile name", code="profile")
        return required
    return ACCESS if job_type == "interactive" and ACCESS in present else PROD


def files_for_profile(relative_paths: Iterable[str], profile: str) -> list[str]:
    """Exactly the files a run of `profile` may see: the base files and its own, never another profile's.

    Files in subdirectories are kept: they are not profiles' files but the workspace's own.
    """
    own = {*_KINDS, *(f"{profile}.{kind}" for kind in _KINDS)}
    return [path for path in relative_paths if path in own or (("/" in path) and profile_of_file(path) is None)]
