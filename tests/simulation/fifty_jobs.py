"""A workspace of fifty jobs with every kind of trigger, window, gate and refresh; a year of it is some 33,000 runs."""

from typing import Any

from tests.factories import make_raw_definition

START = "2026-01-01T00:00:00Z"
Raw = dict[str, Any]


def _job(name: str, *triggers: str, zone: str | None = None, gates: tuple[str, ...] = (), **fields: Any) -> Raw:
    if zone:
        fields["require"] = {"timezone": zone}
    if gates:
        fields["freshness"] = [gate if ":" in gate else f"job.is_fresh:jobs.{gate}" for gate in gates]
    return make_raw_definition(f"jobs.{name}", triggers=list(triggers), **fields)


def _at_once(limit: int | None) -> Raw:
    return {"execute": {"concurrency": limit}}


def _from(start: str = START, **interval: str) -> Raw:
    return {"interval": {"start": start, **interval}}


_DISCRETE: Raw = {"allow_external_schedulers": True}

CLOCKS = [
    _job("clock.berlin", "schedule:30 2 * * *", zone="Europe/Berlin"),  # a time that is skipped and repeated
    _job("clock.newyork", "schedule:15 */6 * * *", zone="America/New_York"),
    _job("clock.lordhowe", "schedule:10 2 * * *", zone="Australia/Lord_Howe"),  # its clocks change by half an hour
    _job("clock.kolkata", "schedule:0 6 * * 1-5", zone="Asia/Kolkata"),
    _job("clock.casablanca", "schedule:0 3 * * *", zone="Africa/Casablanca"),
    _job("clock.chatham", "schedule:45 2 * * *", zone="Pacific/Chatham"),
    _job("clock.utc", "schedule:0 6 * * *"),
    _job("clock.twice", "schedule:0 6,18 * * *", "once:2026-06-01T06:00:00Z"),  # two triggers on the same second
    _job("clock.month", "schedule:0 0 L * *", zone="America/Sao_Paulo"),
    _job("clock.leap", "schedule:0 0 29 2 *"),
    _job("clock.nightly", "schedule:0 1-3 * * *", zone="Europe/Berlin"),
]
PERIODS = [
    _job("period.three", "every:5h"),
    _job("period.odd", "every:35100s"),
    _job("period.daily", "every:1d"),
    _job("period.wide", "every:12h", **_at_once(None)),
    _job("once.past", "once:2025-05-05T05:05:05Z"),
    _job("once.ahead", "once:2026-08-08T08:08:08+02:00"),
]
POINTERS = [
    _job("pointer.daily", "schedule:0 5 * * *", zone="Europe/Berlin", **_from()),
    _job("pointer.hours", "schedule:0 */8 * * *", zone="America/New_York", **_from("2026-01-05T00:00:00")),
    _job("pointer.period", "every:8h", **_from("2025-12-30T07:00:00Z")),
    _job("pointer.bounded", "schedule:0 6 * * *", **_from(end="2026-07-01T00:00:00Z")),
    _job("pointer.event", "schedule:0 7 * * *", "job.success:jobs.clock.utc", **_from()),
    _job("pointer.wide", "schedule:0 */8 * * *", **_from(), **_at_once(2)),
]
DISCRETE = [
    _job("discrete.daily", "schedule:0 4 * * *", zone="Europe/Berlin", **_from("2025-12-20T00:00:00Z"), **_DISCRETE),
    _job("discrete.hours", "schedule:0 */8 * * *", **_from("2025-12-30T00:00:00Z"), **_DISCRETE),
    _job("discrete.period", "every:12h", **_from(), **_DISCRETE),
    _job("parallel.daily", "schedule:0 1 * * *", **_from("2025-12-01T00:00:00Z", mode="parallel"), **_at_once(3)),
    _job("parallel.wide", "schedule:0 */12 * * *", **_from("2025-12-25T00:00:00Z", mode="parallel"), **_at_once(None)),
]
GATED = [
    _job("gated.same", "schedule:0 6 * * *", gates=("clock.utc",)),
    _job("gated.both", "schedule:0 6 * * *", gates=("clock.utc", "pointer.bounded")),
    _job("gated.chain", "schedule:0 6 * * *", gates=("gated.same",)),
    _job("gated.later", "schedule:0 9 * * *", gates=("clock.utc", "clock.berlin")),
    _job("gated.period", "every:10h", gates=("period.three",)),
    _job("gated.discrete", "schedule:0 4 * * *", zone="Europe/Berlin", gates=("discrete.daily",)),
    _job(
        "gated.matching",
        "schedule:0 8 * * *",
        gates=("job.is_matching_interval_fresh:jobs.discrete.hours",),
        **_from(),
    ),
    _job(
        "gated.pieces",
        "schedule:0 5 * * *",
        zone="Europe/Berlin",
        gates=("job.is_matching_interval_fresh:jobs.pointer.daily",),
        **_from("2026-01-02T00:00:00Z"),
        **_DISCRETE,
    ),
    _job("gated.origin", "schedule:50 11,23 * * *", gates=("refresh.origin",), **_from()),
]
FOLLOWERS = [
    _job("chain.first", "job.success:jobs.period.three"),
    _job("chain.second", "job.success:jobs.chain.first", "job.success:jobs.clock.newyork"),
    _job("chain.third", "job.success:jobs.chain.second", **_at_once(2)),
    _job("chain.alert", "job.fail:jobs.clock.newyork", "job.fail:jobs.chain.first", **_at_once(None)),
    _job("chain.gated", "job.success:jobs.clock.utc", gates=("pointer.event",)),  # the two start together
]
REFRESHES = [
    _job("refresh.origin", "schedule:0 12 */7 * *", refresh="always", expose={"tags": ["backfill"]}),
    _job("refresh.near", "schedule:30 12 * * *", gates=("refresh.origin",), **_from()),
    _job("refresh.wall", "job.success:jobs.refresh.near", refresh="block"),
    _job("refresh.behind", "job.success:jobs.refresh.wall"),
]
OTHERS = [
    _job("deploy.smoke", "deployment:", expose={"tags": ["smoke"]}),
    _job("deploy.daily", "deployment:", "schedule:0 10 * * *", zone="Asia/Tokyo"),
    _job("hand.report", expose={"tags": ["report"]}),
    _job("hand.gated", gates=("clock.utc", "discrete.hours"), expose={"tags": ["report"]}),
]
FIFTY = [*CLOCKS, *PERIODS, *POINTERS, *DISCRETE, *GATED, *FOLLOWERS, *REFRESHES, *OTHERS]

OTHER_CLOCKS = {
    "jobs.clock.utc": ["schedule:0 6 * * *", "schedule:0 7 * * *"],
    "jobs.clock.kolkata": ["schedule:0 6 * * 1-5", "schedule:0 18 * * *"],
    "jobs.period.odd": ["every:35100s", "every:9h"],
    "jobs.pointer.hours": ["schedule:0 */8 * * *", "schedule:30 */6 * * *"],
}
"""What redeploys change the clocks of jobs to, and back."""
REMOVABLE = ["jobs.clock.chatham", "jobs.clock.casablanca", "jobs.period.daily", "jobs.chain.third", "jobs.gated.later"]
"""Jobs that nobody depends on, which a redeploy may leave out."""
OVERRIDES = ["every:2h", "schedule:20 */5 * * *"]
OVERRIDABLE = ["jobs.clock.newyork", "jobs.period.daily", "jobs.pointer.daily", "jobs.clock.utc"]
