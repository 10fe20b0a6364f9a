"""Which files are deployed, by generation of the SDK, and the SDK itself as the judge."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.workspace.packing import read_package
from cli.workspace.selection import (
    code_files,
    configuration_files,
    local_settings,
    may_match_inside,
    rules_for,
)
from runtime.errors import InvalidError

OLD, MIDDLE, NEW = rules_for("1.26.0"), rules_for("1.30.2"), rules_for("1.31.0")


def plant(root: Path, *paths: str) -> Path:
    for path in (".dlt/.workspace", *paths):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    return root


def test_without_an_ignore_file_the_usual_rubbish_stays_out(tmp_path: Path) -> None:
    root = plant(
        tmp_path, "a.py", "sub/b.txt", "__pycache__/a.pyc", "sub/c.pyc", ".venv/x", "build/y", ".env", ".git/config"
    )
    assert list(code_files(root, OLD)) == [".git/config", "a.py", "sub/b.txt"]


def test_an_ignore_file_replaces_the_usual_list(tmp_path: Path) -> None:
    root = plant(tmp_path, "a.py", "data/x.csv", "data/keep.csv", ".env")
    (root / ".gitignore").write_text("data/*\n!data/keep.csv\n")
    assert list(code_files(root, OLD)) == [".env", ".gitignore", "a.py", "data/keep.csv"]


def test_the_settings_directory_is_never_code_but_for_what_the_newest_sdk_needs(tmp_path: Path) -> None:
    root = plant(tmp_path, "a.py", ".dlt/secrets.toml", ".dlt/.toolkits")
    assert list(code_files(root, OLD)) == ["a.py"]
    assert list(code_files(root, NEW)) == [".dlt/.toolkits", "a.py"]


def test_a_linked_directory_is_entered_or_kept_as_a_link_by_generation(tmp_path: Path) -> None:
    root = plant(tmp_path, "real/a.py")
    (root / "linked").symlink_to("real")
    assert list(code_files(root, OLD)) == ["linked/a.py", "real/a.py"]
    assert list(code_files(root, NEW)) == ["linked", "real/a.py"]


def test_a_link_that_leads_back_is_an_error_that_names_it(tmp_path: Path) -> None:
    root = plant(tmp_path, "real/a.py")
    (root / "real" / "up").symlink_to("..")
    with pytest.raises(InvalidError, match="the link `real/up` leads back"):
        list(code_files(root, OLD))


def test_links_to_nothing_and_pipes_are_not_selected(tmp_path: Path) -> None:
    import os

    root = plant(tmp_path, "a.py")
    (root / "gone").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    assert list(code_files(root, OLD)) == list(code_files(root, NEW)) == ["a.py"]


def test_local_profiles_stay_on_the_machine_from_1_27_on(tmp_path: Path) -> None:
    root = plant(
        tmp_path, ".dlt/config.toml", ".dlt/dev.secrets.toml", ".dlt/prod.secrets.toml", ".dlt/sub/config.toml"
    )
    everything = ["config.toml", "dev.secrets.toml", "prod.secrets.toml", "sub/config.toml"]
    assert sorted(configuration_files(root, OLD)) == everything
    assert sorted(configuration_files(root, MIDDLE)) == ["config.toml", "prod.secrets.toml"]
    assert local_settings(root, MIDDLE) == ("dev.secrets.toml",)
    assert local_settings(root, OLD) == ()


@pytest.mark.parametrize("version", ["1.31.0rc1", "2.0.0", "unknown", ""])
def test_a_version_that_is_not_known_counts_as_the_newest(version: str) -> None:
    assert rules_for(version) == NEW


@pytest.mark.parametrize(
    ("pattern", "directory", "expected"),
    [
        ("keep.csv", "data", True),
        ("data/keep.csv", "data", True),
        ("/data/keep.csv", "other", False),
        ("data/*/keep", "data/sub", True),
        ("**/keep", "data", True),
        ("/keep/", "data", False),
    ],
)
def test_an_ignored_directory_is_entered_only_where_an_exception_may_lie(
    pattern: str, directory: str, expected: bool
) -> None:
    assert may_match_inside(pattern, directory) is expected


# --- the SDK as the judge

SEGMENTS = st.sampled_from(["a", "b", "data", "__pycache__", "x.py", "y.csv", ".env", "build"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)
PATTERNS = st.one_of(
    PATHS,
    PATHS.map(lambda path: f"/{path}"),
    PATHS.map(lambda path: f"{path}/"),
    PATHS.map(lambda path: f"!{path}"),
    st.sampled_from(
        ["*", "/*", "*/", "!*/", "*.py", "!*.py", "data/*", "data/**", "**/a", "!**/b", "# note", "", "!/data/a"]
    ),
)


def sdk_selection(root: Path) -> tuple[Any, list[str], list[str]]:
    """What the installed SDK selects; skips where none is installed."""
    pytest.importorskip("dlt", reason="the SDK is not installed here")
    pytest.importorskip("dlt._workspace.deployment.file_selector")
    import dlt
    from dlt._workspace.deployment.file_selector import ConfigurationFileSelector, WorkspaceFileSelector

    context: Any = SimpleNamespace(run_dir=str(root), settings_dir=str(root / ".dlt"))
    code = [relative.as_posix() for _, relative in WorkspaceFileSelector(context)]
    settings = [relative.as_posix() for _, relative in ConfigurationFileSelector(context)]
    return rules_for(dlt.__version__), sorted(code), sorted(settings)


def plant_what_fits(root: Path, paths: Iterable[str]) -> None:
    """Of paths of which one may be a directory in another, make those that can be."""
    for path in sorted(paths):
        file = root / path
        if not any(parent.is_file() for parent in file.parents) and not file.exists():
            plant(root, path)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40)  # each makes a workspace
@given(st.sets(PATHS, max_size=10), st.none() | st.lists(PATTERNS, max_size=5))
@example({"data/a"}, ["/*"])
@example({"data/a", "data/b", "data/data/a"}, ["data/", "!/data/a"])
@example({"a/b/x.py"}, ["a/*"])
def test_the_sdk_selects_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, paths: set[str], patterns: list[str] | None
) -> None:
    root = tmp_path_factory.mktemp("workspace").resolve()
    plant_what_fits(root, paths | {".dlt/config.toml", ".dlt/dev.config.toml", ".dlt/.toolkits", ".dlt/a/secrets.toml"})
    if patterns is not None:
        (root / ".gitignore").write_text("\n".join(patterns))
    rules, code, settings = sdk_selection(root)
    assert sorted(code_files(root, rules)) == code
    assert sorted(configuration_files(root, rules)) == settings


@pytest.mark.filterwarnings("ignore")
def test_the_sdk_makes_the_same_hash_also_of_links(tmp_path: Path) -> None:
    """(semantics J2)"""
    root = plant(tmp_path.resolve(), "a.py", "sub/b.txt", "Ünï/cödé.txt")
    (root / "sub" / "link").symlink_to("../a.py")
    (root / "linked").symlink_to("sub")
    (root / "outside").symlink_to("/etc/hostname")
    rules, _, _ = sdk_selection(root)
    from io import BytesIO

    from dlt._workspace.deployment.file_selector import WorkspaceFileSelector
    from dlt._workspace.deployment.package_builder import PackageBuilder

    context: Any = SimpleNamespace(run_dir=str(root), settings_dir=str(root / ".dlt"))
    theirs = PackageBuilder(context).write_package_to_stream(WorkspaceFileSelector(context), BytesIO())
    assert read_package(root, code_files(root, rules), root).content_hash == theirs
