"""The columns in which runs are listed."""

from cli.output.text import clean
from runtime.wire.run_details import DetailedRunResponse
from tui.screens.page import Page
from tui.widgets.listing import Column
from tui.wording import (
    duration_text,
    reason_text,
    run_seconds,
    run_state,
    run_title,
    state_style,
    trigger_text,
    window_text,
)

Run = DetailedRunResponse


def run_columns(page: Page, *, with_job: bool = True) -> list[Column[Run]]:
    """For a page's clock; without the job where there is only one."""
    first: Column[Run] = (
        Column("Run", lambda run: run_title(run, run.script.job_ref), order=lambda run: run.script.job_ref)
        if with_job
        else Column("Run", lambda run: f"#{run.number}", 8, order=lambda run: run.number)
    )
    return [
        first,
        Column("Status", run_state, 14, lambda run: state_style(run.status), order=lambda run: run.status),
        Column("Started", lambda run: page.brief(run.time_started or run.date_added), 14,
               order=lambda run: run.time_started or run.date_added),
        Column("Took", lambda run: duration_text(run, page.now), 11,
               order=lambda run: run_seconds(run, page.now), spare=1),
        Column("Trigger", lambda run: trigger_text(run.trigger, run.script.job_ref), 20, spare=3,
               order=lambda run: run.trigger),
        Column("Window", window_text, 36, spare=5, order=lambda run: run.interval_start),
        Column("Profile", lambda run: clean(run.profile or ""), 8, spare=4, order=lambda run: run.profile),
        Column("Reason", reason_text, 0 if not with_job else 26, spare=2),
    ]  # fmt: skip
