"""`doctor`: what the runtime leans on, and the command that mends what is not as it should be."""

import asyncio
import getpass
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exit_codes import ExitCode
from cli.options import JsonOption, session_of
from cli.output.console import Column
from cli.session import Session
from runtime.wire.failures import DaemonUnreachableError

if TYPE_CHECKING:
    from runtime.settings import Settings
    from runtime.wire.operations import DoctorResponse

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}
_COLUMNS = (
    Column("State", style=lambda state: _STYLES.get(state, "")),
    Column("What"),
    Column("Found", wraps=True),
    Column("Remedy", wraps=True),
)


def doctor(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file, where no daemon answers.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="State directory, where no daemon answers.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine: kernel, sandbox, network, Pythons, disk, clock, permissions, database.

    The daemon looks, if one answers on this machine's socket; else this command does, as the present user. Ends with 1
    if something does not work.
    """
    session = session_of(context)
    answer = _examine(session, config, state_dir)
    if as_json:
        session.output.json(answer.to_wire())
    else:
        rows = [(check.state, check.name, check.message, check.remedy or "") for check in answer.checks]
        session.output.table(_COLUMNS, rows)
    if not answer.healthy:
        raise typer.Exit(ExitCode.FAILED)


def _examine(session: Session, config: Path | None, state_dir: Path | None) -> "DoctorResponse":
    from runtime.wire.operations_client import OperationsClient

    if config is None and state_dir is None:
        try:
            return OperationsClient(session.client.connection).doctor()
        except DaemonUnreachableError as error:
            session.output.warning(f"{error.message}; looking as the user `{getpass.getuser()}` instead")
    settings = _settings(config, state_dir)
    if state_dir is None:
        session.output.message(f"the state directory is taken to be `{settings.state_dir}`; --state-dir names another")
    return _without_daemon(settings)


def _settings(config: Path | None, state_dir: Path | None) -> "Settings":
    from runtime.settings_reading import load_settings

    return load_settings(config, state_dir=state_dir.absolute() if state_dir else None)


def _without_daemon(settings: "Settings") -> "DoctorResponse":
    import structlog

    from runtime.doctor import examine
    from runtime.wire.operations import CheckResponse, DoctorResponse

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # the daemon's words
    checks = [CheckResponse(**check.model_dump()) for check in asyncio.run(examine(settings))]
    return DoctorResponse(healthy=all(check.state != "fail" for check in checks), checks=checks)
