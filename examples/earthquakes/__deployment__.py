"""Earthquakes by the minute: windows, gates, refreshes and alarms, all made up on the spot and without a network.

What to look at:

- `ingest` runs every minute and gets its window of time from the scheduler; windows follow one another without a gap.
- `strongest` and `by_region` may run only while `ingest` is up to date: one after each load, one by a clock of its own.
- `backfill` loads nothing. It sends a refresh to all of them: `dlt-runtime trigger tag:backfill`.
- `clock` says every minute what time it is.
- `alarm_drill` always fails, and `alert` runs whenever it or `ingest` does: `dlt-runtime launch alarm_drill`.
"""

from earthquakes_pipeline import backfill, ingest
from earthquakes_transforms import by_region, strongest
from earthquakes_watch import alarm_drill, alert, clock

__all__ = ["backfill", "ingest", "strongest", "by_region", "clock", "alarm_drill", "alert"]
