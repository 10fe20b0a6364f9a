"""`restore`: a backup in the place of the database, while no daemon runs."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, session_of


def restore(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="What `backup` wrote.")] = None,
    takes_back: Annotated[
        bool, typer.Option("--take-back", help="Undo a restore that was interrupted, in place of FILE.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option(help="Settings file in place of `/etc/dlt-runtime/config.toml`.")
    ] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where the daemon keeps everything.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the present database, which is kept; stop the daemon first."""
    from runtime.backup_file import SEALING_KEY
    from runtime.restoring import restore as put_back
    from runtime.restoring import take_back
    from runtime.settings_reading import load_settings

    if (file is None) != takes_back:
        raise typer.BadParameter("give either FILE or `--take-back`")
    settings = load_settings(config, state_dir=state_dir.absolute() if state_dir else None)
    output = session_of(context).output
    if file is None:
        take_back(settings.state_dir)
        output.message(f"`{settings.state_dir}` is as it was before the restore that was interrupted")
        return
    description, aside = put_back(file, settings.state_dir)
    if as_json:
        output.json(
            {
                "created_at": description.created_at.isoformat(),
                "version": description.version,
                "with_keys": description.has_keys,
                "aside": str(aside) if aside else None,
            }
        )
        return
    output.message(f"restored the state of {output.time(description.created_at)} in `{settings.state_dir}`")
    if aside:
        output.message(f"what was there is in `{aside}`; remove it when you no longer need it")
    if description.has_keys:
        return
    if (settings.state_dir / SEALING_KEY).exists():
        output.message("the keys were not in the backup: those of the state directory are used")
    else:
        output.warning(
            f"the keys were not in the backup, and there is no `{settings.state_dir / SEALING_KEY}`: without the key "
            "that sealed them configurations cannot be opened. Put it there before the daemon starts, or upload them "
            "again with `dlt-runtime configuration sync`"
        )
