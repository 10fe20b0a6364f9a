"""Trying what bubblewrap can do here, with a stand-in for it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.errors import UnavailableError
from runtime.sandbox.tools import SandboxTools, find_program, find_tools


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Puts a shell script in bubblewrap's place."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def put(script: str) -> Path:
        bwrap = tmp_path / "bwrap"
        bwrap.write_text(f"#!/bin/sh\n{script}\n")
        bwrap.chmod(0o755)
        return bwrap

    find_tools.cache_clear()
    yield put
    find_tools.cache_clear()


def test_where_everything_works_user_namespaces_are_forbidden_inside(stand_in: Callable[[str], Path]) -> None:
    bwrap = stand_in("exit 0")
    assert find_tools() == SandboxTools(bwrap=str(bwrap), can_disable_userns=True)


def test_where_the_limit_cannot_be_written_sandboxes_do_without(stand_in: Callable[[str], Path]) -> None:
    bwrap = stand_in('case "$*" in *--disable-userns*) exit 1;; esac')
    assert find_tools() == SandboxTools(bwrap=str(bwrap), can_disable_userns=False)


@pytest.mark.parametrize(
    ("complaint", "hint"),
    [
        ("bwrap: No permissions to create new namespace", "user_namespaces"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "ProtectKernelLogs"),
    ],
)
def test_where_nothing_works_the_error_says_why_and_what_to_do(
    stand_in: Callable[[str], Path], complaint: str, hint: str
) -> None:
    stand_in(f'echo "{complaint}" >&2; exit 1')
    with pytest.raises(UnavailableError) as refused:
        find_tools()
    assert complaint in refused.value.message
    assert hint in (refused.value.hint or "")
    stand_in("exit 0")
    assert find_tools().can_disable_userns, "a failure is not remembered"


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(UnavailableError, match="absent-program") as refused:
        find_program("absent-program", "absent-package")
    assert refused.value.hint == "apt install absent-package"
