"""Options that several commands share, and the way to the session."""

from typing import Annotated

import typer

from cli.session import Session

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with the API's own field names.")]
FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Show status changes and log lines until the run has ended.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]
RefreshOption = Annotated[bool, typer.Option("--refresh", help="Full reload; also of the jobs downstream.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Name every file that differs.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Show at most so many, the newest.")]


def workspace_name(text: str | None) -> str | None:
    """Refuse an empty name, as of a variable that is not set: it would count as this directory's."""
    if text is not None and not text.strip():
        raise typer.BadParameter("a workspace has a name")
    return text


def whole_number(text: str) -> int:
    """Read the number of a run or version."""
    if not text.isascii() or not text.isdigit():
        raise typer.BadParameter(f"`{text}` is neither a number nor an operation of this command")
    return int(text)


VersionArgument = Annotated[
    int | None, typer.Argument(metavar="VERSION", parser=whole_number, help="A version; the newest by default.")
]
UnusedVersion = Annotated[int | None, typer.Argument(hidden=True, parser=whole_number)]
"""A version before an operation that is about all of them: the grammar allows one."""


def session_of(context: typer.Context) -> Session:
    """The session of the running command."""
    session = context.find_object(Session)
    if session is None:
        raise RuntimeError("a command ran outside the root command")
    return session
