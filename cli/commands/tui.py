"""`tui`: the workspace in the terminal, live."""

from typing import Annotated

import typer

from cli.options import session_of


def tui(
    context: typer.Context,
    light: Annotated[bool, typer.Option("--light", help="Light colours; `ctrl+t` changes them.")] = False,
) -> None:
    """Look at the workspace, follow its runs and act on its jobs; `?` shows the keys."""
    from tui.app import RuntimeTui
    from tui.place import Place

    session = session_of(context)
    RuntimeTui(Place(session.client, session.workspace_id), is_light=light).run()
