"""The terminal interface and a daemon that goes away: it says so, and is current again by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import socket_endpoint
from tests.deployed_workspace import DeployedWorkspace
from tests.factories import make_raw_definition
from tests.processes import DaemonProcess
from tests.tui_pilot import sitting_at
from tui.app import RuntimeTui
from tui.place import Place


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A real one; no job runs in it."""
    daemon = DaemonProcess(Path(tmp_path_factory.mktemp("tui"))).start()
    yield daemon
    daemon.close()


# httpcore leaves a Unix socket to the garbage collector when nobody listens at it.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
async def test_what_happened_while_the_daemon_was_away_is_shown_when_it_is_back(daemon: DaemonProcess) -> None:
    """The screen says offline, then live, and shows a job that was deployed after the restart."""
    workspace = DeployedWorkspace.create(daemon, "orchard")
    workspace.deploy({"shop.py": b""}, make_raw_definition("jobs.shop.apples"))
    app = RuntimeTui(Place(RuntimeClient(socket_endpoint(daemon.socket)), workspace.id))
    async with sitting_at(app) as person:
        await person.goes_to("2", "shop.apples")
        daemon.kill()
        await person.reads("offline")
        await person.press("p")
        await person.is_told("no daemon answers")
        person.app.clear_notifications()
        await person.press("5")
        await person.reads("not known yet")
        await person.until(
            lambda: not any(one.group == "pipelines" and one.is_running for one in person.app.workers),
            "the pipelines were asked for in vain",
        )
        assert not person.toasts  # that it is away has been said
        daemon.start()
        await person.reads("live")
        await person.reads("no pipeline has run yet")
        await person.press("2")
        await person.is_told("the daemon answers again")
        workspace.deploy({"shop.py": b"#"}, make_raw_definition("jobs.shop.pears"))
        await person.reads("shop.pears")
        await person.until(lambda: "shop.apples" not in person.shown, "what was archived is gone")
