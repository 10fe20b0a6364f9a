"""`backup` and `restore`: everything that matters, out of a running daemon and back into a stopped one."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, session_of
from runtime.errors import ConflictError, disk_error

_STDOUT = Path("-")


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where to; `-` writes to stdout.")],
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="The keys too: whoever has the file can then open all secrets.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a backup of the database while runs go on; for administrators, through the daemon's socket."""
    from runtime.wire.operations_client import OperationsClient

    session = session_of(context)
    client = OperationsClient(session.client.connection)
    if file == _STDOUT:
        try:
            client.backup(sys.stdout.buffer, with_keys=with_keys)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise  # whoever read it has gone, and knows
        except OSError as error:
            raise disk_error("stdout cannot be written", error) from error
        return
    try:
        if file.exists():
            raise ConflictError(f"`{file}` is there already", code="exists", hint="name another file, or remove it")
    except OSError as error:  # its directory is closed to this user
        raise disk_error(f"`{file}` cannot be written", error) from error
    draft = file.with_name(f".{file.name}.part")
    try:
        with open(draft, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as into:
            size = client.backup(into, with_keys=with_keys)
            into.flush()
            os.fsync(into.fileno())
        draft.rename(file)
    except OSError as error:
        raise disk_error(f"`{file}` cannot be written", error) from error
    finally:
        draft.unlink(missing_ok=True)
    if as_json:
        session.output.json({"file": str(file), "bytes": size, "with_keys": with_keys})
        return
    session.output.message(f"wrote {size / 1024**2:,.1f} MiB to `{file}`")
    if not with_keys:
        session.output.message("the keys are not in it: keep `keys/` of the state directory apart, or use --with-keys")
