"""Reads what bubblewrap leaves in a run's status file: one JSON object a line."""

import json
from pathlib import Path


def read_exit_code(status_file: Path) -> int | None:
    """The exit code bubblewrap reported; None if it reported none, or not yet."""
    try:
        text = status_file.read_text()
    except OSError:
        return None
    return parse_exit_code(text)


def parse_exit_code(text: str) -> int | None:
    """The `exit-code` of `{"child-pid": N}` ... `{"exit-code": C}`; a line cut short counts as not there."""
    for line in text.splitlines():
        try:
            code = json.loads(line).get("exit-code")
        except (ValueError, AttributeError):
            continue
        if isinstance(code, int):
            return code
    return None


def parse_child_pid(text: str) -> int | None:
    """The `child-pid` of bubblewrap's `--info-fd`, once the object is complete."""
    try:
        pid = json.loads(text)["child-pid"]
    except (ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None
