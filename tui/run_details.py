"""What is known of a run besides its log: facts about it, what it ran on, and the runs around it."""

from collections.abc import Callable
from datetime import datetime

from cli.output.jobs import environment_text
from runtime.wire.environments import RunEnvironmentResponse
from runtime.wire.run_details import DetailedRunResponse
from tui.place import Place
from tui.wording import duration_text, run_state, trigger_text, window_text

RUNS_STARTED = 200
"""So many of the newest runs that a run has started are shown."""


def run_facts(
    run: DetailedRunResponse,
    versions: str,
    environment: RunEnvironmentResponse | None,
    when: Callable[[datetime | None], str],
    now: datetime,
) -> list[tuple[str, str]]:
    """Names and values, the long ones last.

    Args:
        versions: As `pinned_versions` gives them; empty until they are known.
        environment: None until it is known, and for a run that has not begun.
    """
    definition = run.script.job_definition
    return [
        ("Job", run.script.job_ref),
        ("Run", str(run.number)),
        ("Status", run_state(run)),
        ("Reason", run.reason or ""),
        ("Outcome", run.outcome or ""),
        ("Exit code", "" if run.exit_code is None else str(run.exit_code)),
        ("Trigger", trigger_text(run.trigger, run.script.job_ref)),
        ("Window", window_text(run)),
        ("Scheduled for", when(run.scheduled_at)),
        ("Created", when(run.date_added)),
        ("Started", when(run.time_started)),
        ("Ended", when(run.time_ended)),
        ("Took", duration_text(run, now)),
        ("Versions", versions),
        ("Profile", run.profile or ""),
        ("Groups", ", ".join((definition.get("require") or {}).get("dependency_groups") or ())),
        ("Pipelines", "\n".join(_summary(one) for one in run.pipeline_run_summaries or ())),
        ("Id", str(run.id)),
        ("Environment", environment_text(environment)),
        ("Packages", "\n".join(environment.packages) if environment is not None else ""),
    ]


def pinned_versions(place: Place, run: DetailedRunResponse) -> str:
    """The versions that a run has pinned."""
    code = next((one.version for one in place.client.deployments(place.workspace_id) if one.id == run.deployment_id), 0)
    settings = next(
        (one.version for one in place.client.configurations(place.workspace_id) if one.id == run.configuration_id), 0
    )
    return f"code version {code}, configuration version {settings}"


def runs_near(place: Place, run: DetailedRunResponse) -> list[DetailedRunResponse]:
    """The run that started this one, and those that it has started, the oldest first."""
    up = [place.client.run(place.workspace_id, run.prev_run_id)] if run.prev_run_id else []
    started = place.console.runs(RUNS_STARTED, prev_run_id=str(run.id)).items
    # An older daemon takes no notice of the filter.
    return [*up, *reversed([one for one in started if one.prev_run_id == run.id])]


def _summary(summary: object) -> str:
    fields = (
        ("", "pipeline_name"), ("into ", "dataset_name"), ("on ", "destination_name"), ("", "status"),
    )  # fmt: skip
    words = [f"{word}{value}" for word, name in fields if (value := getattr(summary, name, None))]
    rows = getattr(summary, "total_rows", None)
    return ", ".join(words) + (f", {rows:,} rows" if rows is not None else "")
