"""One job by windows, one whose every success is a refresh, and the job that the refresh is for.

Written for both lines of dlt: what engine 2 of the manifest calls `incremental_mode` and `refresh_propagation`, engine 1
calls `allow_external_schedulers` and `refresh`.
"""

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator

import dlt
import dlt.hub.run as run
from dlt.version import __version__

ENGINE_2 = tuple(int(part) for part in __version__.split(".")[:2]) >= (1, 29)
BY_WINDOW: Dict[str, Any] = {"incremental_mode": "interval"} if ENGINE_2 else {"allow_external_schedulers": True}
REFRESHES: Dict[str, Any] = {"refresh_propagation": "always"} if ENGINE_2 else {"refresh": "always"}

SINCE = "2026-01-01T00:00:00+00:00"


@dlt.resource(name="tides", write_disposition="append")
def high_tides(at: dlt.sources.incremental[datetime] = dlt.sources.incremental("at")) -> Iterator[Dict[str, Any]]:
    """One a day at noon, for ten days around the first window."""
    first = datetime.fromisoformat(SINCE) + timedelta(hours=12)
    for day in range(-3, 7):
        yield {"day": day, "at": first + timedelta(days=day)}


@run.pipeline("tides", trigger="schedule:0 0 * * *", interval={"start": SINCE}, **BY_WINDOW)
def load_tides(run_context: Any = None) -> None:
    pipeline = dlt.pipeline("tides", destination="duckdb", dataset_name="tides_data")
    pipeline.run(high_tides())
    with pipeline.sql_client() as client:
        days = [row[0] for row in client.execute_sql("SELECT day FROM tides ORDER BY day")]
    print(f"window {run_context['interval_start'].isoformat()} to {run_context['interval_end'].isoformat()}")
    print(f"days loaded {days}")


@run.job(**REFRESHES)
def gauge() -> None:
    print(f"measured with dlt {__version__} at {datetime.now(timezone.utc).isoformat()}")


@run.job(freshness=gauge.is_fresh)
def chart(run_context: Any = None) -> None:
    print(f"drawn, refresh {run_context['refresh']}")
