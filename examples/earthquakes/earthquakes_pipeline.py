"""Loads earthquakes into the destination `warehouse`, one window of time after the other."""

import dlt
from dlt.hub import run
from dlt.hub.run import TJobRunContext, trigger

from earthquakes_source import observatory

PIPELINE_NAME = "earthquakes"
DATASET_NAME = "earthquakes_data"
# Where the first window begins, and every refresh again. There is one earthquake for every minute since.
SINCE = "2026-11-01T00:00:00Z"


@run.job(expose={"tags": ["backfill"], "display_name": "Load everything again"}, refresh="always")
def backfill() -> None:
    """Load nothing: the success of this job makes everything downstream of it begin anew."""
    print("a refresh is on its way")


@run.pipeline(
    PIPELINE_NAME,
    interval={"start": SINCE},
    trigger=[trigger.schedule("* * * * *"), backfill.success],
    expose={"tags": ["ingest"], "display_name": "Load earthquakes"},
)
def ingest(run_context: TJobRunContext) -> None:
    """Load the window the scheduler names; what has been loaded is the scheduler's to remember, not the source's."""
    start, end = run_context["interval_start"], run_context["interval_end"]
    print(f"window {start.isoformat()} to {end.isoformat()}, refresh {run_context['refresh']}")
    pipeline = dlt.pipeline(PIPELINE_NAME, destination="warehouse", dataset_name=DATASET_NAME)
    if pipeline.has_pending_data:
        # What a run has left that was cut short: it would be loaded in place of this window, which has it too.
        pipeline.drop_pending_packages()
    if run_context["refresh"]:
        pipeline.refresh = "drop_sources"
    pipeline.run(observatory(start, end))
    rows = pipeline.last_trace.last_normalize_info.row_counts.get("earthquakes", 0)
    print(f"{rows} earthquakes")


if __name__ == "__main__":
    # By hand, without a scheduler: `python earthquakes_pipeline.py` loads the last hour.
    from datetime import datetime, timedelta, timezone

    now = datetime.now(timezone.utc)
    by_hand = {"run_id": "by hand", "trigger": "manual:", "refresh": False}
    ingest({**by_hand, "interval_start": now - timedelta(hours=1), "interval_end": now})
