"""Which profile a run has, and which files it may see (semantics J6)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.profiles import choose_profile, files_for_profile, profile_of_file, profiles_present
from runtime.errors import InvalidError

FILES = [
    ".workspace",
    "access.secrets.toml",
    "config.toml",
    "dev.config.toml",
    "prod.config.toml",
    "prod.secrets.toml",
    "secrets.toml",
    "toolkits/index.yaml",
]


@pytest.mark.parametrize(
    ("job_type", "required", "present", "expected"),
    [
        ("batch", None, ["access", "prod"], "prod"),
        ("batch", None, [], "prod"),
        ("stream", None, ["access"], "prod"),
        ("interactive", None, ["access", "prod"], "access"),
        ("interactive", None, ["prod"], "prod"),
        ("interactive", None, [], "prod"),
        ("batch", "dev", [], "dev"),
        ("interactive", "dev", ["access"], "dev"),
        ("batch", "", [], "prod"),
    ],
)
def test_the_profile_of_a_run(job_type: Any, required: str | None, present: list[str], expected: str) -> None:
    """Semantics J6: a missing file is not an error."""
    assert choose_profile(job_type, required, present) == expected


@pytest.mark.parametrize("name", ["..", ".", "../dev", "a/b", "/etc", "dev\n", "de v", "dev\x00", "a" * 101, "-x"])
def test_what_cannot_be_a_directory_is_no_profile(name: str) -> None:
    """Semantics J6: a profile names the place of a workspace's data, so it must not lead out of it."""
    with pytest.raises(InvalidError, match="profile"):
        choose_profile("batch", name, [])


@pytest.mark.parametrize("name", ["dev", "prod_2", "eu-west", "v1.2", "früh"])
def test_usual_names_are_profiles(name: str) -> None:
    """Semantics J6."""
    assert choose_profile("batch", name, []) == name


def test_the_profiles_of_a_configuration_are_those_with_a_file() -> None:
    """Semantics J6."""
    assert profiles_present(FILES) == ["access", "dev", "prod"]
    assert profiles_present(["config.toml", "secrets.toml", "sub/x.config.toml", ".config.toml"]) == []


@pytest.mark.parametrize(
    ("profile", "own"),
    [
        ("prod", {"prod.config.toml", "prod.secrets.toml"}),
        ("access", {"access.secrets.toml"}),
        ("staging", set()),
    ],
)
def test_a_run_sees_base_files_and_its_own_profiles(profile: str, own: set[str]) -> None:
    """Semantics J6: exactly these; a profile without a file has the base ones."""
    assert set(files_for_profile(FILES, profile)) == {"config.toml", "secrets.toml", "toolkits/index.yaml"} | own


names = st.text("ab.", min_size=1, max_size=4) | st.sampled_from(["prod", "access", "config"])
paths = st.one_of(
    st.sampled_from(FILES),
    st.builds("{}.{}.toml".format, names, st.sampled_from(["config", "secrets"])),
    st.builds("{}/{}.{}.toml".format, names, names, st.sampled_from(["config", "secrets"])),
)


@given(st.lists(paths, unique=True), names)
def test_no_run_ever_sees_another_profiles_file(files: list[str], profile: str) -> None:
    """Semantics J6: whatever files and profiles are called, subdirectories included."""
    for path in files_for_profile(files, profile):
        owner = profile_of_file(path.rsplit("/", 1)[-1])
        assert owner in (None, profile)


@given(st.lists(paths, unique=True), names)
def test_the_files_of_a_run_are_some_of_the_configurations(files: list[str], profile: str) -> None:
    """Semantics J6: in their order."""
    seen = files_for_profile(files, profile)
    assert seen == [path for path in files if path in seen]
