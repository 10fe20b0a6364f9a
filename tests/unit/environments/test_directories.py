import os
from pathlib import Path
from uuid import UUID

import pytest

from runtime.environments.directories import MARKER, EnvironmentDirectories, read_untrusted, remove_tree
from runtime.errors import UnavailableError

WORKSPACE = UUID(int=1)


@pytest.fixture
def directories(tmp_path: Path) -> EnvironmentDirectories:
    return EnvironmentDirectories(tmp_path)


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_an_environment_is_whole_once_finished(directories: EnvironmentDirectories, tmp_path: Path) -> None:
    built = directories.begin(WORKSPACE, "key")
    (built / "module.py").write_text("x")
    assert not directories.is_whole("key")
    directories.finish(built, "key", {"resolved": ["a==1"]})
    assert directories.is_whole("key")
    assert names(tmp_path / "envs") == ["key"]
    assert names(tmp_path / "envs" / "key") == [MARKER, "module.py"]


def test_a_marker_of_another_key_does_not_count(directories: EnvironmentDirectories, tmp_path: Path) -> None:
    directories.finish(directories.begin(WORKSPACE, "key"), "key", {})
    (tmp_path / "envs" / "key").rename(tmp_path / "envs" / "other")
    assert not directories.is_whole("other")


def test_what_is_not_whole_gives_way(directories: EnvironmentDirectories, tmp_path: Path) -> None:
    (tmp_path / "envs" / "key" / "half").mkdir(parents=True)
    directories.finish(directories.begin(WORKSPACE, "key"), "key", {})
    assert names(tmp_path / "envs" / "key") == [MARKER]


def test_a_link_in_place_of_the_build_is_refused_and_not_followed(
    directories: EnvironmentDirectories, tmp_path: Path
) -> None:
    victim = tmp_path / "keys"
    victim.mkdir()
    built = directories.begin(WORKSPACE, "key")
    built.rmdir()
    built.symlink_to(victim)
    with pytest.raises(UnavailableError, match="could not be put in place"):
        directories.finish(built, "key", {})
    assert names(victim) == []
    assert names(tmp_path / "envs") == []


def test_a_link_in_place_of_the_marker_is_replaced_and_not_followed(
    directories: EnvironmentDirectories, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    built = directories.begin(WORKSPACE, "key")
    (built / MARKER).symlink_to(victim)
    directories.finish(built, "key", {})
    assert victim.read_text() == "untouched"
    assert directories.is_whole("key")


def test_sweeping_takes_what_is_unfinished_and_nothing_else(
    directories: EnvironmentDirectories, tmp_path: Path
) -> None:
    directories.finish(directories.begin(WORKSPACE, "key"), "key", {})
    (directories.workspace(WORKSPACE) / "cache").mkdir()
    directories.scratch()
    directories.begin(WORKSPACE, "other")
    assert directories.sweep() == 2
    assert names(tmp_path / "envs") == ["key"]
    assert names(directories.workspace(WORKSPACE)) == ["cache"]
    assert directories.sweep() == 0


def test_sweeping_an_empty_state_directory_does_nothing(directories: EnvironmentDirectories) -> None:
    assert directories.sweep() == 0


def test_removing_follows_no_link_and_minds_no_mode(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "file").touch()
    tree = tmp_path / "tree"
    (tree / "locked" / "deep").mkdir(parents=True)
    (tree / "link").symlink_to(victim)
    (tree / "locked" / "deep").chmod(0)
    (tree / "locked").chmod(0)
    remove_tree(tree)
    assert names(tmp_path) == ["victim"]
    assert names(victim) == ["file"]
    (tmp_path / "link").symlink_to(victim)
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "link")
    assert names(victim) == ["file"]


def test_only_an_ordinary_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    assert read_untrusted(tmp_path / "file") == "text"
    for name in ("link", "pipe", "directory", "huge", "missing"):
        with pytest.raises(OSError, match=r"."):
            read_untrusted(tmp_path / name)
