"""`tui`: the workspace in the terminal, live."""

import sys
from typing import Annotated

import typer

from cli.options import session_of
from runtime.errors import InvalidError


def tui(
    context: typer.Context,
    light: Annotated[bool, typer.Option("--light", help="Light colours; `ctrl+t` changes them.")] = False,
) -> None:
    """Look at the workspace, follow its runs and act on its jobs; `?` shows the keys."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        # It would read keys that nobody presses, and draw where nobody sees it.
        raise InvalidError(
            "`tui` needs a terminal", code="terminal", hint="`info`, `job list` and `logs` print to anything"
        )
    from tui.app import RuntimeTui
    from tui.place import Place

    session = session_of(context)
    RuntimeTui(Place(session.client, session.workspace_id), is_light=light).run()
