"""`dlt-runtime`: the command line.

The root knows its commands by name only; a command's module is imported when it is called, so that a listing does not
pay for what only a deploy needs.
"""

from pathlib import Path
from typing import Annotated

import typer
from typer.main import get_command

from cli.groups import Entry, RootGroup, load_command
from cli.options import workspace_name
from cli.session import GlobalOptions, Session

COMMANDS = (
    Entry("login", "cli.commands.login", "login", has_own_workspace_option=True),
    Entry("logout", "cli.commands.login", "logout"),
    Entry("info", "cli.commands.info", "info"),
    Entry("deploy", "cli.commands.deploy", "deploy"),
    Entry("sync", "cli.commands.deploy", "sync"),
    Entry("launch", "cli.commands.launch", "launch"),
    Entry("serve", "cli.commands.launch", "serve"),
    Entry("run-pipeline", "cli.commands.launch", "run_pipeline"),
    Entry("trigger", "cli.commands.trigger", "trigger"),
    Entry("logs", "cli.commands.logs", "logs"),
    Entry("cancel", "cli.commands.cancel", "cancel"),
    Entry("backfill", "cli.commands.backfill", "backfill"),
    Entry("graph", "cli.commands.graph", "graph"),
    Entry("tui", "cli.commands.tui", "tui"),
    Entry("dashboard", "cli.commands.dashboard", "dashboard"),
    Entry("hook", "cli.commands.hook"),
    Entry("publish", "cli.commands.publish", "publish"),
    Entry("unpublish", "cli.commands.publish", "unpublish"),
    Entry("job", "cli.commands.job"),
    Entry("jobs", "cli.commands.job", is_hidden=True),
    Entry("job-run", "cli.commands.job_run"),
    Entry("job-runs", "cli.commands.job_run", is_hidden=True),
    Entry("deployment", "cli.commands.deployment"),
    Entry("configuration", "cli.commands.configuration"),
    Entry("workspace", "cli.commands.workspace"),
    Entry("member", "cli.commands.member"),
    Entry("daemon", "cli.daemon", "daemon"),
    Entry("auth", "cli.commands.auth"),
    Entry("user", "cli.commands.user"),
    Entry("token", "cli.commands.token", has_own_workspace_option=True),
    Entry("keys", "cli.commands.keys"),
    Entry("doctor", "cli.commands.doctor", "doctor"),
    Entry("backup", "cli.commands.backup", "backup"),
    Entry("restore", "cli.commands.restore", "restore"),
    Entry("notify", "cli.commands.notify"),
)


class Root(RootGroup):
    """The root with the commands of this program."""

    entries = COMMANDS


app = typer.Typer(cls=Root, rich_markup_mode="markdown", context_settings={"help_option_names": ["-h", "--help"]})


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(help="The daemon: `unix:///path/api.sock` or `http(s)://HOST:PORT`; also `DLT_RUNTIME_URL`."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Trust the certificates of this PEM file alone; also `DLT_RUNTIME_CA_FILE`.")
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", "-w", callback=workspace_name, help="Another workspace than this directory's: name or id."
        ),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Exact times and durations.")] = False,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Never ask.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    help_all: Annotated[bool, typer.Option("--help-all", help="List all commands with their operations.")] = False,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Deploy dlt workspaces to a runtime of your own and run their jobs.

    Options of this list may also stand behind the command.
    """
    session = Session(
        GlobalOptions(
            url=url,
            ca_file=ca_file,
            workspace=workspace,
            timestamps=timestamps,
            debug=debug,
            interactive=not non_interactive,
        )
    )
    context.obj = session
    context.call_on_close(session.close)
    if show_version:
        from cli.version import version

        session.output.line(f"dlt-runtime {version()}")
        raise typer.Exit
    if help_all:
        for name, summary in all_commands():
            session.output.line(f"{name:<24}{summary}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        session.output.line(context.get_help())


def all_commands() -> list[tuple[str, str]]:
    """Every command and operation with the first line of its help."""
    listed: list[tuple[str, str]] = []
    for entry in COMMANDS:
        if entry.is_hidden:
            continue
        command = load_command(entry)
        operations = getattr(command, "commands", None)
        for name, each in operations.items() if operations else [("", command)]:
            listed.append((f"{entry.name} {name}".strip(), (each.help or "").strip().split("\n")[0]))
    return listed


def main() -> None:
    """The entry point: runs the command of `sys.argv` and exits with its status."""
    get_command(app).main(prog_name="dlt-runtime")


if __name__ == "__main__":
    main()
