"""`keys`: what configurations are sealed with."""

import typer

from cli.groups import new_group
from cli.options import JsonOption, session_of

_SUMMARY = "The key that seals configurations; for administrators, through the daemon's socket."
app = new_group(_SUMMARY)
app.callback(help=_SUMMARY)(lambda: None)  # or a group of one command would become that command


@app.command("rotate")
def rotate(context: typer.Context, as_json: JsonOption = False) -> None:
    """Seal all configurations with a new key; runs and deploys go on meanwhile."""
    from runtime.wire.admin_client import AdminClient

    session = session_of(context)
    done = AdminClient(session.client.connection).rotate_keys()
    output = session.output
    if as_json:
        output.json(done.to_wire())
    output.message(f"sealed {done.resealed_files} files of configurations with the new key {done.key_id}")
    output.message("copy the keys of the state directory again: an older copy does not open what is sealed from now on")
    if done.unreadable_files:
        output.warning(f"{done.unreadable_files} files could not be opened and stay as they were; see the daemon's log")
