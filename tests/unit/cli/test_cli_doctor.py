"""`doctor` where no daemon answers."""

from pathlib import Path

import httpx
import pytest

import runtime.doctor
from runtime.domain.checks import Check, ok
from runtime.settings import Settings
from tests.scripted_daemon import ScriptedDaemon
from tests.unit.cli.conftest import Run


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The state directories that were looked at, in place of looking."""
    places: list[Path] = []

    async def examine(settings: Settings) -> list[Check]:
        places.append(settings.state_dir)
        return [ok("kernel", "Linux")]

    monkeypatch.setattr(runtime.doctor, "examine", examine)
    return places


def test_which_state_directory_is_looked_at_is_said_where_nobody_named_one(
    run: Run, daemon: ScriptedDaemon, home: Path, examined: list[Path]
) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    daemon.does("GET /api/api/v1/admin/doctor", nobody)
    done = run("doctor")
    assert (done.code, examined) == (0, [home / ".local/state/dlt-runtime"])
    assert done.err.splitlines()[-1] == (
        f"the state directory is taken to be `{examined[0]}`; --state-dir names another"
    )


def test_a_state_directory_that_was_named_is_looked_at(run: Run, tmp_path: Path, examined: list[Path]) -> None:
    done = run("doctor", "--state-dir", str(tmp_path / "state"))
    assert (done.code, done.err, examined) == (0, "", [tmp_path / "state"])
