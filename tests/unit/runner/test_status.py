"""What bubblewrap reports."""

from pathlib import Path

import pytest

from runtime.runner.status import parse_child_pid, parse_exit_code, read_exit_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{ "child-pid": 12, "cgroup-namespace": 4026532 }\n{ "exit-code": 0 }\n', 0),
        ('{ "child-pid": 12 }\n{ "exit-code": 143 }\n', 143),
        ('{ "child-pid": 12 }\n', None),
        ('{ "child-pid": 12 }\n{ "exit-co', None),
        ("", None),
        ("[]\n7\n", None),
    ],
)
def test_the_exit_code_is_known_once_it_was_written_whole(text: str, code: int | None) -> None:
    assert parse_exit_code(text) == code


def test_without_a_status_file_nothing_is_known(tmp_path: Path) -> None:
    assert read_exit_code(tmp_path / "absent.status") is None


@pytest.mark.parametrize(
    ("text", "pid"),
    [('{\n    "child-pid": 12\n}\n', 12), ('{\n    "child-pid": 1', None), ("", None), ("{}", None), ("[]", None)],
)
def test_the_init_is_known_once_it_was_announced_whole(text: str, pid: int | None) -> None:
    assert parse_child_pid(text) == pid
