"""Where a client looks for the daemon."""

from pathlib import Path

import pytest

from runtime.wire import addresses


def test_a_socket_in_a_directory_that_is_closed_to_one_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whoever is no member of its group is told that, and not that no daemon runs."""

    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    assert addresses.find_socket() == addresses.SYSTEM_SOCKET
