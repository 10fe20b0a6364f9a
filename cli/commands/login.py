"""`login` and `logout`: become known to a daemon and connect this directory to a workspace on it."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.credentials import TOKEN_VARIABLE, MachineToken, StoredTokens, keeper_for
from cli.options import session_of, workspace_name
from cli.session import Session, workspace_of
from cli.workspace.root import require_root
from cli.workspace.settings import write_runtime_table
from runtime.errors import InvalidError, NotFoundError, UnauthenticatedError
from runtime.wire.failures import ApiError
from runtime.wire.tokens import TokenKeeper, TokenPair

if TYPE_CHECKING:
    from runtime.wire.auth import LoginResponse
    from runtime.wire.identities import MeResponse

RESUME_SECONDS = 5.0
"""Between polls of a login that another command began, whose pace is not known here."""


def login(
    context: typer.Context,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace",
            "-w",
            callback=workspace_name,
            help="The workspace, by name or id; an unknown name is created.",
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="DEVICE_CODE", help="Wait for a login begun without a terminal.")
    ] = None,
) -> None:
    """Log in to the daemon where that is needed, and connect this directory to a workspace.

    Through the daemon's Unix socket nobody has to log in. Over the network you approve the login yourself, on the page
    that is printed, or an administrator does with `dlt-runtime auth approve CODE` on the daemon's machine.
    """
    session = session_of(context)
    if session.endpoint.is_tls:
        from cli.trust import meet

        meet(session)
    if session.endpoint.needs_login and not _is_logged_in(session, resume) and not _log_in(session, resume):
        return
    me = session.client.me()
    session.output.message(f"logged in to {session.endpoint.url} as {me.email}")
    if session.options.url and session.endpoint.socket is None:
        _remember_address(session)
    _connect(session, me, workspace or session.options.workspace)


def logout(context: typer.Context) -> None:
    """Forget the tokens for this daemon, here and there, and the certificate it vouched for itself with."""
    session = session_of(context)
    if not session.endpoint.needs_login:
        session.output.message("nobody is logged in through a Unix socket")
        return
    keeper = keeper_for(session.endpoint.url)
    pair = keeper.load()
    if isinstance(keeper, MachineToken):
        raise InvalidError(f"the token comes from {TOKEN_VARIABLE}", code="token", hint="unset it to be logged out")
    if pair is None:
        session.output.message("not logged in")
    else:
        _end(session, keeper, pair)
    if session.endpoint.is_tls:
        from cli.trust import forget

        forget(session.endpoint)


def _end(session: Session, keeper: TokenKeeper, pair: TokenPair) -> None:
    keeper.clear()
    if pair.refresh:
        try:
            session.client.end_session(pair.refresh)
        except ApiError as error:  # the tokens are gone from here, which is what was asked for
            session.output.warning(f"the daemon could not be told: {error.message}")
    session.output.message(f"logged out of {session.endpoint.url}")


def _is_logged_in(session: Session, resume: str | None) -> bool:
    keeper = keeper_for(session.endpoint.url)
    if resume is not None or keeper.load() is None:
        return False
    try:
        session.client.me()
    except UnauthenticatedError:
        if isinstance(keeper, MachineToken):
            raise
        return False
    return True


def _log_in(session: Session, resume: str | None) -> bool:
    """Store tokens; False if nobody is there to wait, when the way to go on is printed instead."""
    keeper = keeper_for(session.endpoint.url)
    # An approval counts once: what it brings must not have nowhere to go.
    if isinstance(keeper, MachineToken):
        raise InvalidError(f"the token comes from {TOKEN_VARIABLE}", code="token", hint="unset it to log in")
    if isinstance(keeper, StoredTokens):
        keeper.rehearse()
    device_code, interval = resume, RESUME_SECONDS
    if device_code is None:
        flow = session.client.start_device_login()
        session.output.message(f"code: {flow.user_code}")
        session.output.message(
            f"approve it at {flow.verification_uri_complete}\n"
            f"or have it approved on the daemon's machine: `dlt-runtime auth approve {flow.user_code} --email YOURS`"
        )
        device_code, interval = flow.device_code, float(flow.interval)
        if not session.can_ask:
            session.output.message(f"then go on with `dlt-runtime login --resume {device_code}`")
            return False
    with session.output.waiting("waiting for the approval"):
        answer = _wait_for_approval(session, device_code, interval)
    keeper.save(TokenPair(answer.jwt, answer.refresh_token))
    return True


def _wait_for_approval(session: Session, device_code: str, interval: float) -> "LoginResponse":
    while True:
        answer = session.client.poll_device_login(device_code)
        if answer is not None:
            return answer
        time.sleep(interval)


def _remember_address(session: Session) -> None:
    """An address given on the command line becomes the workspace's, for both clients."""
    root = session.workspace_directory
    endpoint = session.endpoint
    if root is not None and session.settings.api_base_url != endpoint.api_base:
        write_runtime_table(root, {"api_base_url": endpoint.api_base, "auth_base_url": endpoint.auth_base})
        session.output.message(f"`.dlt/config.toml` names {endpoint.url} as this workspace's runtime from now on")


def _connect(session: Session, me: "MeResponse", wanted: str | None) -> None:
    if session.workspace_directory is None:
        if wanted:
            require_root(Path.cwd())
        session.output.message("this directory is no dlt workspace, so there is nothing to connect")
        return
    present = session.settings.workspace_id
    if wanted is None and present is not None:
        try:
            workspace = workspace_of(me, str(present), owned_only=True)
        except NotFoundError:
            session.output.warning(f"`.dlt/config.toml` names workspace {present}, which is not yours on this daemon")
        else:
            session.output.message(f"connected to workspace `{workspace.name}`")
            return
    session.remember_workspace(session.choose_workspace(wanted))
