"""Who visits the app of the storm after each death of its daemon: the same address leads to the same process."""

import socket
from contextlib import ExitStack
from uuid import UUID

import httpx

from tests.deployed_workspace import DeployedWorkspace
from tests.processes import wait_for

_APP = "jobs.chaos.board"


def fixed_addresses() -> dict[str, str]:
    """Settings of a daemon whose addresses stay from one start to the next."""
    names = ("LISTEN", "APPS__LISTEN")
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in names]
        return {name: f"127.0.0.1:{one.getsockname()[1]}" for name, one in zip(names, sockets, strict=True)}


class Visitor:
    """Starts the app, visits it, and says in `wrong` where it was not what it had been."""

    def __init__(self, workspace: DeployedWorkspace) -> None:
        """Return once the app runs."""
        self.wrong: list[str] = []
        self.visits = 0
        self._workspace = workspace
        self._headers = {"Authorization": f"Bearer {workspace.viewer_token()}"}
        self.run_id: UUID = workspace.start(_APP)
        wait_for(lambda: workspace.run(self.run_id).status == "running", "the app answers", 120)
        self._url = self._script_url()

    def visit(self) -> None:
        """Ask the app once; there must be a daemon."""
        self.visits += 1
        if (url := self._script_url()) != self._url:
            self.wrong.append(f"the app's address was {self._url} and is {url}")
        answer = httpx.get(f"{self._url}visit", headers=self._headers, timeout=60)
        if (answer.status_code, answer.text) != (200, f"{self.run_id} {self.visits}"):
            self.wrong.append(f"visit {self.visits} was answered with {answer.status_code} {answer.text[:200]}")

    def leave(self) -> None:
        """End the app; its log must hold each visit."""
        self._workspace.daemon.client.cancel_run(self._workspace.id, self.run_id)
        self._workspace.wait_for_end(self.run_id)
        if (lines := len(self._workspace.lines(self.run_id))) != self.visits:
            self.wrong.append(f"the app was visited {self.visits} times, its log has {lines} lines")

    def _script_url(self) -> str | None:
        return self._workspace.daemon.client.job(self._workspace.id, _APP).script_url
