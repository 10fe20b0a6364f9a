"""`graph`: what starts what, and what waits for what."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.options import session_of
from cli.output.text import clean


class Format(StrEnum):
    """What the drawing is made for."""

    text = "text"
    dot = "dot"
    mermaid = "mermaid"


def graph(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format", help="For reading, for Graphviz, for Markdown.")] = Format.text,
) -> None:
    """Draw the jobs of the workspace with their triggers, freshness gates and refreshes."""
    from runtime.wire.schedule_client import ScheduleClient

    session = session_of(context)
    drawing = ScheduleClient(session.client.connection, session.workspace_id).graph(form.value)
    for line in drawing.splitlines():
        session.output.line(clean(line))
    if not drawing:
        session.output.message("no jobs")
