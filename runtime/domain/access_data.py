"""Whose data an app sees, and whether it sees the data itself or a copy of its own."""

from typing import Literal

from runtime.domain.jobs import JobType
from runtime.domain.model import Frozen
from runtime.domain.profiles import ACCESS, PROD

AccessData = Literal["snapshot", "separate"]
"""`snapshot`: apps get a copy of what batch runs wrote, renewed after each. `separate`: they have their own place."""


class DataPlace(Frozen):
    """Where a run's data lies.

    Attributes:
        profile: Under which profile.
        kind: `kept` is what batch runs of the profile write, the thing itself. A `copy` of it is thrown away with the
            run. `apart` is what the apps of the profile keep for themselves.
    """

    profile: str
    kind: Literal["kept", "copy", "apart"] = "kept"


def data_place(job_type: JobType, profile: str, access_data: AccessData) -> DataPlace:
    """The data of a run.

    Batch and stream runs have that of their profile. No app ever has: it must neither hold the lock of a database that
    the next load wants nor change what it shows. So it gets a copy: of `prod`'s data where it runs with the profile
    `access`, of its own profile's else (an app that falls back to `prod`, semantics J6, included). Where a workspace
    wants its apps `separate`, they keep what they write in a place where no batch run writes, whatever its profile,
    and see nothing else; one that falls back to `prod` has the place of those with `access`.
    """
    if job_type != "interactive":
        return DataPlace(profile=profile)
    if access_data == "separate":
        return DataPlace(profile=ACCESS if profile == PROD else profile, kind="apart")
    return DataPlace(profile=PROD if profile == ACCESS else profile, kind="copy")
