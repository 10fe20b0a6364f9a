"""`trigger`: start jobs that are deployed already."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.lookup import find_jobs
from cli.options import DryRunOption, JsonOption, RefreshOption, session_of
from cli.output.console import Column
from cli.output.jobs import short_ref
from cli.output.triggers import skip_reason
from cli.selectors import is_selector
from runtime.errors import NotFoundError

if TYPE_CHECKING:
    from cli.session import Session

_TITLES = ("Job", "Outcome", "Trigger", "Run", "Reason")


def trigger(
    context: typer.Context,
    selectors: Annotated[
        list[str], typer.Argument(metavar="SELECTOR...", help="`tag:ingest`, `schedule:*`, `batch`, or names.")
    ],
    dry_run: DryRunOption = False,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Run with this profile.")] = None,
    refresh: RefreshOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start the deployed jobs that selectors or names mean; nothing is synced."""
    from runtime.wire.jobs import TriggerJobsRequest

    session = session_of(context)
    names = [word for word in selectors if not is_selector(word)]
    request = TriggerJobsRequest(
        selectors=[word for word in selectors if is_selector(word)] or None,
        job_refs=[job.job_ref for job in find_jobs(session, names)] if names else None,
        profile=profile,
        refresh=refresh,
        dry_run=dry_run,
    )
    if profile is not None:
        _warn_of_profile(session, profile)
    triggered = session.client.trigger(session.workspace_id, request)
    if as_json:
        session.output.json([each.to_wire() for each in triggered])
    if not triggered:
        raise NotFoundError(
            f"no job matches {', '.join(f'`{word}`' for word in selectors)}",
            code="job_unknown",
            hint="`dlt-runtime job list` shows all jobs",
        )
    if as_json:
        return
    columns = (
        Column("Job"),
        Column("Outcome"),
        Column("Trigger", wraps=True),
        Column("Run"),
        Column("Reason", wraps=True),
    )
    session.output.table(
        columns,
        [
            (
                short_ref(each.job_ref),
                each.status,
                each.trigger,
                str(each.run.number) if each.run else "",
                "" if each.status == "triggered" else skip_reason(each),
            )
            for each in triggered
        ],
    )
    started = sum(each.status == "triggered" for each in triggered)
    verb = "would be triggered" if dry_run else "triggered"
    session.output.message(f"{started} {verb}, {len(triggered) - started} skipped")


def _warn_of_profile(session: "Session", profile: str) -> None:
    """Say when runs will find no settings of the profile (semantics J6), which may be a misspelt one."""
    configuration = session.client.configuration(session.workspace_id)
    present = [name.strip() for name in configuration.profiles.split(",")] if configuration else []
    if profile not in present:
        session.output.warning(
            f"the configuration has no profile `{profile}`: "
            "its runs get the settings of `config.toml` and `secrets.toml` only"
        )
