"""The process behind one page in the browser: `python -m tui.browser_page SOCKET WORKSPACE [runs|jobs|pipelines NAME]`.

The key that stands for whoever looks is in the environment, and goes from there: nothing that this starts needs it.
"""

import os
import sys
from pathlib import Path
from uuid import UUID

from textual.app import App

from cli.credentials import MachineToken
from cli.output.text import clean
from runtime.errors import InvalidError, JobRuntimeError
from runtime.wire.client import RuntimeClient
from runtime.wire.endpoint import socket_endpoint
from tui.app import RuntimeTui
from tui.place import Place
from tui.screens.page import Page


class BrowserPage(RuntimeTui):
    """The interface, opened at one run, job or pipeline if the address names one."""

    def __init__(self, place: Place, kind: str = "", name: str = "") -> None:
        super().__init__(place)
        self._kind, self._named = kind, name

    def on_mount(self) -> None:
        """Go on to what was asked for, over the overview."""
        self.call_after_refresh(self._open)

    async def _open(self) -> None:
        if self._kind == "pipelines":
            await self.switch_mode("data")
            from tui.screens.data import DataScreen

            if isinstance(self.screen, DataScreen):
                self.screen.choose(self._named)
        elif self._kind:
            self.run_worker(self._find, thread=True)

    def _find(self) -> None:
        """Look first whether it is there, so that what is not is a word and no empty screen."""
        client, workspace_id = self.place.client, self.place.workspace_id
        try:
            screen: Page
            if self._kind == "runs":
                from tui.screens.run import RunScreen

                screen = RunScreen(client.run(workspace_id, _identifier(self._named)).id)
            else:
                from tui.screens.job import JobScreen

                screen = JobScreen(client.job(workspace_id, self._named).id)
        except JobRuntimeError as error:
            self.call_from_thread(self.report, error)
        else:
            self.call_from_thread(self.push_screen, screen)


def _identifier(text: str) -> UUID:
    """What a link to a run ends with.

    Raises:
        InvalidError: it is none.
    """
    try:
        return UUID(text)
    except ValueError:
        raise InvalidError(
            f"the link is to a run `{clean(text)}`, which is no identifier of one",
            hint="an identifier has 36 characters: the link may have been cut off",
        ) from None


def page(argv: list[str]) -> App[None]:
    """What the words of the command ask for."""
    _, api_socket, workspace, *asked = argv
    client = RuntimeClient(socket_endpoint(Path(api_socket)), keeper=MachineToken(os.environ.pop("DLT_RUNTIME_TOKEN")))
    return BrowserPage(Place(client, UUID(workspace)), *asked)


if __name__ == "__main__":
    page(sys.argv).run()
