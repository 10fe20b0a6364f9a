"""Jobs that watch: a clock, and an alarm with a drill to see it work."""

from datetime import datetime, timezone

from dlt.hub import run
from dlt.hub.run import TJobRunContext, trigger

from earthquakes_pipeline import ingest


class DrillError(Exception):
    """This is an exercise."""


@run.job(trigger=trigger.schedule("* * * * *"), expose={"tags": ["clock"], "display_name": "Clock"})
def clock(run_context: TJobRunContext) -> None:
    """Say what time it is, and which minute has just passed."""
    print(f"{datetime.now(timezone.utc):%H:%M:%S}, the minute from {run_context['interval_start']:%H:%M} has passed")


@run.job(expose={"tags": ["drill"], "display_name": "Alarm drill"})
def alarm_drill() -> None:
    """Fail, so that the alarm can be seen to work."""
    raise DrillError("this is an exercise")


@run.job(trigger=[ingest.fail, alarm_drill.fail], expose={"tags": ["alert"], "display_name": "Alert"})
def alert(run_context: TJobRunContext) -> None:
    """Tell somebody; here a line in the log has to do."""
    print(f"ALERT: {run_context['trigger']}")
