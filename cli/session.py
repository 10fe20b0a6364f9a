"""One command's surroundings: its options, where it writes, the daemon it talks to and the workspace it is about."""

import os
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from cli.credentials import is_machine, keeper_at
from cli.output.console import Output
from cli.workspace.root import find_root, require_root
from cli.workspace.settings import RuntimeTable, read_runtime_table, write_runtime_table
from runtime.errors import InvalidError, NotFoundError
from runtime.wire.addresses import find_socket
from runtime.wire.endpoint import Endpoint, parse_endpoint, socket_endpoint

if TYPE_CHECKING:
    from runtime.wire.client import RuntimeClient
    from runtime.wire.identities import MeResponse, WorkspaceResponse

URL_VARIABLE = "DLT_RUNTIME_URL"
CA_FILE_VARIABLE = "DLT_RUNTIME_CA_FILE"


@dataclass(frozen=True)
class GlobalOptions:
    """Options that every command takes, wherever on the line they stand."""

    url: str | None = None
    ca_file: Path | None = None
    workspace: str | None = None
    timestamps: bool = False
    debug: bool = False
    interactive: bool = True


@dataclass
class Session:
    """Finds things out when they are first needed, and once."""

    options: GlobalOptions = field(default_factory=GlobalOptions)

    @cached_property
    def output(self) -> Output:
        """Where words go."""
        return Output(timestamps=self.options.timestamps)

    @property
    def can_ask(self) -> bool:
        """Whether a person is there to answer."""
        return self.options.interactive and sys.stdin.isatty() and sys.stderr.isatty()

    def confirm(self, question: str) -> bool:
        """Ask; no is what silence means. Only where `can_ask`."""
        import typer

        return typer.confirm(question, default=False, err=True)

    def present_password(self) -> str:
        """The password somebody has, from themselves; raises as `new_password`."""
        return self._password("Present password", twice=False)

    def new_password(self) -> str:
        """A password from whoever types it, twice and unseen; without a terminal the next line of stdin.

        Raises:
            InvalidError: there is no line.
        """
        return self._password("Password", twice=True)

    def _password(self, prompt: str, *, twice: bool) -> str:
        if self.can_ask:
            import typer

            return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True))
        line = sys.stdin.readline().rstrip("\n")
        if not line:
            raise InvalidError("no password was given", code="password", hint="type it, or write it to stdin")
        return line

    @cached_property
    def root(self) -> Path:
        """The workspace directory. Raises NotFoundError if the command runs in none."""
        return require_root(Path.cwd())

    @cached_property
    def workspace_directory(self) -> Path | None:
        """The workspace directory, None if the command runs in none; most commands need none."""
        return find_root(Path.cwd())

    @cached_property
    def settings(self) -> RuntimeTable:
        """What the workspace directory says about its runtime; nothing when there is no such directory."""
        return read_runtime_table(self.workspace_directory) if self.workspace_directory else RuntimeTable()

    @cached_property
    def endpoint(self) -> Endpoint:
        """The daemon: the option, the environment, the workspace's settings, else this machine's socket."""
        variable = os.environ.get(CA_FILE_VARIABLE)
        ca_file = self.options.ca_file or (Path(variable) if variable else None)
        if given := self.options.url or os.environ.get(URL_VARIABLE):
            return parse_endpoint(given, ca_file=ca_file)
        if configured := self.settings.own_api_base_url:
            return parse_endpoint(configured, auth_base_url=self.settings.auth_base_url, ca_file=ca_file)
        return socket_endpoint(find_socket())

    @cached_property
    def client(self) -> "RuntimeClient":
        """The client of that daemon, with this person's tokens."""
        return connect(self.endpoint)

    def close(self) -> None:
        """Close the client's connections, if there are any."""
        if client := self.__dict__.get("client"):
            client.close()

    @cached_property
    def workspace_id(self) -> UUID:
        """The workspace that is asked about: the option, else the one this directory is connected to.

        The option may name one that the caller may only look at: what changes it is for the daemon to refuse.

        Raises:
            NotFoundError: the option names no workspace of the caller, or the directory is not connected.
            InvalidError: the option names several.
        """
        if self.options.workspace:
            return workspace_of(self.client.me(), self.options.workspace).id
        if self.settings.workspace_id:
            return self.settings.workspace_id
        if self.workspace_directory is None:
            raise NotFoundError(
                f"`{Path.cwd()}` is no dlt workspace, so it is not clear which workspace is meant",
                code="workspace_missing",
                hint="go to the workspace's directory, or name it: `--workspace NAME`",
            )
        raise NotFoundError(
            f"`{self.workspace_directory}` is not connected to a workspace of the daemon",
            code="workspace_unconnected",
            hint="`dlt-runtime login` connects it; `--workspace NAME` asks about another one",
        )

    def connect_directory(self) -> UUID:
        """As `workspace_id`, but a directory that is not connected is connected now, to the workspace of its name.

        That workspace is created if the caller owns none of that name; the id is written to `.dlt/config.toml`.
        """
        if self.options.workspace or self.settings.workspace_id:
            return self.workspace_id
        require_root(Path.cwd())
        return self.remember_workspace(self.choose_workspace(None))

    def choose_workspace(self, name: str | None) -> "WorkspaceResponse":
        """The caller's workspace of a name or id, created if there is none of that name.

        Args:
            name: None means the one that belongs to this directory: a machine token's only workspace, else the one of
                the directory's name.

        Raises:
            NotFoundError: an id that is no workspace of the caller.
        """
        me = self.client.me()
        if name is None:
            if is_machine() and len(me.workspaces) == 1:
                return me.workspaces[0].workspace
            name = self.root.name
        try:
            chosen = workspace_of(me, name, owned_only=True)
        except NotFoundError:
            if as_uuid(name):
                raise
            chosen = self.client.create_workspace(me.primary_organization.id, name)
            self.output.message(f"created workspace `{chosen.name}`")
        return chosen

    def remember_workspace(self, workspace: "WorkspaceResponse") -> UUID:
        """Write down that this directory belongs to a workspace of the daemon."""
        write_runtime_table(self.root, {"workspace_id": str(workspace.id)})
        self.settings = read_runtime_table(self.root)
        self.output.message(f"connected `{self.root}` to workspace `{workspace.name}`")
        return workspace.id


def connect(endpoint: Endpoint) -> "RuntimeClient":
    """A client for a daemon; tests replace this."""
    # httpx brings a command line of its own, whose import costs 100 ms; told that it is missing, httpx does without.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

    from cli.version import user_agent
    from runtime.wire.client import RuntimeClient

    tls = None
    if endpoint.is_tls:
        from cli.trust import context_for

        tls = context_for(endpoint)
    return RuntimeClient(endpoint, keeper=keeper_at(endpoint), user_agent=user_agent(), tls=tls)


def workspace_of(me: "MeResponse", name_or_id: str, *, owned_only: bool = False) -> "WorkspaceResponse":
    """The caller's workspace of a name or id; of a name, one they own goes before those they may only look at.

    Args:
        owned_only: Those they may only look at do not count.

    Raises:
        NotFoundError: none.
        InvalidError: several of that name; the message lists their ids.
    """
    owned = [membership.workspace for membership in me.workspaces if membership.role == "owner"]
    others = [] if owned_only else [one.workspace for one in me.workspaces if one.role != "owner"]
    found = (
        [one for one in (*owned, *others) if str(one.id) == name_or_id.lower()]
        or [one for one in owned if one.name == name_or_id]
        or [one for one in others if one.name == name_or_id]
    )
    if not found:
        raise NotFoundError(
            f"you {'own' if owned_only else 'have'} no workspace `{name_or_id}` on this daemon",
            code="workspace_unknown",
            hint="`dlt-runtime workspace list` shows yours",
        )
    if len(found) > 1:
        ids = ", ".join(str(one.id) for one in found)
        raise InvalidError(f"several workspaces are named `{name_or_id}`: say which by id: {ids}", code="workspace")
    return found[0]


def as_uuid(text: str) -> UUID | None:
    """The UUID that a text is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
