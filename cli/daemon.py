"""`dlt-runtime daemon`: the daemon in the foreground. The only module of the command line that knows the daemon."""

from pathlib import Path
from typing import Annotated

import typer


def daemon(
    config: Annotated[
        Path | None, typer.Option(help="Settings file in place of `/etc/dlt-runtime/config.toml`.")
    ] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket to listen on.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="TCP address to listen on.")] = None,
) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C; running jobs go on without it."""
    from runtime.daemon import run_daemon
    from runtime.settings_reading import load_settings

    settings = load_settings(
        config,
        state_dir=state_dir.absolute() if state_dir else None,
        socket=socket.absolute() if socket else None,
        listen=listen,
    )
    raise typer.Exit(run_daemon(settings))
