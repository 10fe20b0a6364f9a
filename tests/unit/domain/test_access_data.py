"""Whose data an app sees."""

import pytest

from runtime.domain.access_data import AccessData, DataPlace, data_place
from runtime.domain.jobs import JobType

PROFILES = ("prod", "access", "staging")
SETTINGS: tuple[AccessData, ...] = ("snapshot", "separate")


@pytest.mark.parametrize("job_type", ["batch", "stream"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("access_data", SETTINGS)
def test_a_run_that_is_no_app_has_the_data_of_its_profile(
    job_type: JobType, profile: str, access_data: AccessData
) -> None:
    assert data_place(job_type, profile, access_data) == DataPlace(profile=profile)


@pytest.mark.parametrize(
    ("profile", "access_data", "place"),
    [
        ("access", "snapshot", DataPlace(profile="prod", kind="copy")),
        ("prod", "snapshot", DataPlace(profile="prod", kind="copy")),
        ("staging", "snapshot", DataPlace(profile="staging", kind="copy")),
        ("access", "separate", DataPlace(profile="access", kind="apart")),
        ("prod", "separate", DataPlace(profile="access", kind="apart")),
        ("staging", "separate", DataPlace(profile="staging", kind="apart")),
    ],
)
def test_an_app_has_a_copy_or_a_place_of_its_own_whatever_its_profile(
    profile: str, access_data: AccessData, place: DataPlace
) -> None:
    """Semantics J6: one that falls back to `prod` included."""
    assert data_place("interactive", profile, access_data) == place


@pytest.mark.parametrize("access_data", SETTINGS)
@pytest.mark.parametrize("profile", PROFILES)
def test_no_app_is_ever_given_the_very_data_of_batch_runs(profile: str, access_data: AccessData) -> None:
    kept = [data_place("batch", other, access_data) for other in PROFILES]
    assert data_place("interactive", profile, access_data) not in kept
