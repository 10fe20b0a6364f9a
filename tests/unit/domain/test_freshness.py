"""Freshness gates (semantics F1, F2, D3), with the SDK as the oracle."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.freshness import (
    UpstreamFacts,
    awaited_upstreams,
    judge_freshness,
    parse_gate,
    upstreams_needed,
)
from runtime.domain.intervals import Window, declared_interval
from runtime.domain.jobs import JobDefinition
from runtime.domain.ranges import coalesce, covers
from runtime.errors import InvalidError
from tests import scheduling_oracle as sdk
from tests.clocks import CRONS, ZONES, anywhen, is_quiet
from tests.factories import make_definition

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UPSTREAM, DOWNSTREAM = "jobs.usgs.daily", "jobs.usgs.report"
EVER = [cron for cron in CRONS if "2011" not in cron]  # the SDK fails where a schedule has not come yet
IS_FRESH = f"job.is_fresh:{UPSTREAM}"
IS_MATCHING = f"job.is_matching_interval_fresh:{UPSTREAM}"


def gated(gate: str = IS_FRESH, **fields: Any) -> JobDefinition:
    return make_definition(DOWNSTREAM, freshness=[gate], **fields)


def facts(
    *triggers: str, completed_until: datetime | None = None, completed: Any = (), **fields: Any
) -> dict[str, UpstreamFacts]:
    said = {key: fields.pop(key) for key in ("override", "is_paused") if key in fields}
    definition = make_definition(UPSTREAM, triggers=list(triggers), **fields)
    return {
        UPSTREAM: UpstreamFacts(
            definition=definition, completed_until=completed_until, completed=tuple(completed), **said
        )
    }


def as_sdk(definition: JobDefinition, **changes: Any) -> dict[str, Any]:
    return {**definition.raw, "default_trigger": definition.default_trigger, **changes}


def reason(unmet: dict[str, str]) -> str:
    assert list(unmet) == [UPSTREAM]
    return unmet[UPSTREAM]


@given(
    st.sampled_from([*map("schedule:{}".format, EVER), "every:1h", "every:90m", "job.success:jobs.a", "tag:x"]),
    st.sampled_from(ZONES),
    anywhen,
    st.none() | st.integers(-3 * 86_400, 7200) | st.integers(-48, 2).map(lambda hours: hours * 3600),
    st.sampled_from(["batch", "batch", "batch", "stream", "interactive"]),
    st.sampled_from([IS_FRESH, IS_FRESH, IS_MATCHING]),
)
def test_a_run_is_fresh_when_the_sdk_says(
    trigger: str, zone: str, now: datetime, completed: int | None, job_type: Any, gate: str
) -> None:
    """Semantics F1: any upstream without an interval, wherever no clock is changed.

    Where one is, the SDK may ask for a tick that is still to come, or for one that is an hour old; we ask for the
    newest that has passed (see `test_ticks`).
    """
    mark = now + timedelta(seconds=completed) if completed is not None else None
    known = facts(trigger, completed_until=mark, job_type=job_type, require={"timezone": zone})
    downstream = gated(gate)
    all_jobs = {UPSTREAM: as_sdk(known[UPSTREAM].definition), DOWNSTREAM: as_sdk(downstream)}
    is_fresh, reasons = sdk.interval.check_all_upstream_run_fresh([gate], all_jobs, {UPSTREAM: mark}, now)
    unmet = judge_freshness(downstream, None, known, now)
    cron_floor_is_the_sdks = not trigger.startswith("schedule:") or is_quiet(zone, now - 2 * DAY, now)
    if cron_floor_is_the_sdks:
        assert len(unmet) == len(reasons)
        assert (unmet == {}) == is_fresh


@given(
    st.sampled_from(["0 * * * *", "0 8 * * *", "*/40 */5 * * *"]),
    st.sampled_from(["0 * * * *", "0 0 * * *"]),
    st.sampled_from(ZONES),
    anywhen,
    st.integers(-72, 72),
    st.integers(-30, 80),
    st.lists(st.tuples(st.integers(-5, 80), st.integers(1, 50)), max_size=3),
    st.tuples(st.integers(-80, 80), st.integers(1, 30)),
    st.booleans(),
)
def test_intervals_are_fresh_when_the_sdk_says(
    cron: str,
    own_cron: str,
    zone: str,
    start: datetime,
    own_start: int,
    later: int,
    done: list[tuple[int, int]],
    covered: tuple[int, int],
    is_matching: bool,
) -> None:
    """Semantics F1, W3: an upstream that keeps intervals, for all that a job shares with it or for one window."""
    now = start + later * HOUR
    gate = IS_MATCHING if is_matching else IS_FRESH
    completed = coalesce((start + first * HOUR, start + (first + width) * HOUR) for first, width in done)
    known = facts(
        f"schedule:{cron}",
        completed=completed,
        interval={"start": start.isoformat()},
        require={"timezone": zone},
        allow_external_schedulers=True,
    )
    downstream = gated(
        gate, triggers=[f"schedule:{own_cron}"], interval={"start": (start + own_start * HOUR).isoformat()}
    )
    own, upstream = declared_interval(downstream), declared_interval(known[UPSTREAM].definition)
    assert own is not None
    assert upstream is not None
    if not is_quiet(zone, min(start, now) - 2 * DAY, now) or now < upstream.start:
        return
    window = (start + covered[0] * HOUR, start + (covered[0] + covered[1]) * HOUR)
    raw = as_sdk(known[UPSTREAM].definition, interval={"start": start.isoformat(), "end": now.isoformat()})
    checks, reasons = sdk.interval_store.resolve_interval_freshness_checks(
        window, own.elapsed(now), [gate], {UPSTREAM: raw}
    )
    answers = {
        (check.upstream_ref, check.effective_interval): covers(completed, check.effective_interval) for check in checks
    }
    is_fresh, _ = sdk.interval_store.check_all_upstream_interval_fresh(checks, answers, reasons)
    assert (judge_freshness(downstream, window, known, now) == {}) == is_fresh


@given(
    st.sampled_from([*map("schedule:{}".format, CRONS[:10]), "every:1h", "deployment:"]),
    anywhen,
    st.integers(0, 200_000),
    st.integers(0, 200_000),
)
def test_more_done_is_never_less_fresh(trigger: str, now: datetime, ago: int, further: int) -> None:
    """Semantics F1: a mark that moves forward does not close a gate."""
    early, late = now - timedelta(seconds=ago + further), now - timedelta(seconds=ago)
    if not judge_freshness(gated(), None, facts(trigger, completed_until=early), now):
        assert not judge_freshness(gated(), None, facts(trigger, completed_until=late), now)


@given(
    st.sampled_from(["job.is_fresh", "job.is_matching_interval_fresh", "job.success", "fresh", ""]), st.text(max_size=8)
)
def test_gates_parse_as_the_sdks(kind: str, rest: str) -> None:
    """Semantics F1."""
    for text in (f"{kind}:{rest}", f"{kind}:jobs.{rest}", f"{kind}{rest}"):
        try:
            expected = tuple(sdk.freshness.parse_freshness_constraint(text))
        except sdk.exceptions.InvalidFreshnessConstraint:
            with pytest.raises(InvalidError):
                parse_gate(text)
        else:
            gate = parse_gate(text)
            assert (gate.type, gate.job_ref) == expected


def test_the_facts_needed_are_each_upstreams_once() -> None:
    """Semantics F1: plan, fetch, decide."""
    definition = make_definition(freshness=[IS_FRESH, "job.is_fresh:jobs.b", IS_MATCHING])
    assert upstreams_needed(definition) == (UPSTREAM, "jobs.b")
    assert upstreams_needed(make_definition()) == ()


def test_a_missing_run_is_told_by_its_tick() -> None:
    """Semantics F1: in words a person can act on."""
    noon = facts("schedule:0 * * * *", completed_until=NOW - HOUR)
    assert reason(judge_freshness(gated(), None, noon, NOW)) == (
        "waiting for jobs.usgs.daily: no completed run for 2026-11-24 12:00 UTC"
    )


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (facts("schedule:0 8 * * *"), "no completed run yet"),
        (facts("schedule:0 8 * * *", is_paused=True), "no completed run yet (it is paused)"),
        (
            facts("every:1h", completed_until=NOW - HOUR),
            "done up to 2026-11-24 11:30 UTC only, a period of 1 hour ago or more",
        ),
        (facts("http:", job_type="interactive"), "it is interactive, so it never completes"),
        ({}, "it is archived or does not exist"),
        (
            facts(
                "schedule:0 0 * * *",
                interval={"start": "2026-11-01"},
                allow_external_schedulers=True,
                completed=[(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))],
            ),
            "not complete from 2026-11-01 00:00 UTC to 2026-11-24 00:00 UTC",
        ),
    ],
)
def test_why_a_gate_is_closed(known: dict[str, UpstreamFacts], words: str) -> None:
    """Semantics F1, T8."""
    assert reason(judge_freshness(gated(), None, known, NOW)) == f"waiting for jobs.usgs.daily: {words}"


def test_a_gate_on_an_interactive_job_never_passes() -> None:
    """Semantics F2: however fresh its upstream."""
    known = facts("schedule:0 * * * *", completed_until=NOW)
    definition = gated(job_type="interactive", triggers=["http:"])
    assert "never passes" in reason(judge_freshness(definition, None, known, NOW))
    assert judge_freshness(gated(), None, known, NOW) == {}


def test_the_schedule_that_counts_is_the_one_in_force() -> None:
    """Semantics T8: what an operator made weekly is fresh for a week."""
    last = {"completed_until": datetime(2026, 11, 22, tzinfo=UTC)}
    assert judge_freshness(gated(), None, facts("schedule:0 * * * *", **last), NOW)
    assert not judge_freshness(gated(), None, facts("schedule:0 * * * *", override="schedule:0 0 * * sun", **last), NOW)


def test_an_upstream_whose_interval_is_over_stays_fresh() -> None:
    """Semantics F1, W2, D2: on purpose unlike the SDK, which waits for ticks after the end that never run."""
    over = {"interval": {"start": "2026-01-01", "end": "2026-06-01"}}
    done = datetime(2026, 6, 1, tzinfo=UTC)
    assert judge_freshness(gated(), None, facts("schedule:0 0 * * *", completed_until=done, **over), NOW) == {}
    assert judge_freshness(gated(), None, facts("every:1h", completed_until=done, **over), NOW) == {}
    behind = facts("schedule:0 0 * * *", completed_until=done - DAY, **over)
    assert reason(judge_freshness(gated(), None, behind, NOW)).endswith("no completed run for 2026-06-01 00:00 UTC")


@pytest.mark.parametrize(
    ("completed_until", "window", "is_open"),
    [
        (NOW - DAY, (NOW - 3 * DAY, NOW - 2 * DAY), True),
        (NOW - 3 * DAY, (NOW - 3 * DAY, NOW - 2 * DAY), False),
        (None, (NOW - 3 * DAY, NOW - 2 * DAY), False),
        (
            None,
            (datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
            True,
        ),  # before the upstream begins
        (NOW, (NOW + DAY, NOW + 2 * DAY), False),  # it cannot have that yet
    ],
)
def test_a_pointer_is_complete_up_to_where_it_points(
    completed_until: datetime | None, window: Window, is_open: bool
) -> None:
    """Semantics F1, W2: for gates on matching intervals, also of periods, which the SDK refuses."""
    downstream = gated(IS_MATCHING, triggers=["schedule:0 0 * * *"], interval={"start": "2025-01-01"})
    for trigger in ("schedule:0 * * * *", "every:1h"):
        known = facts(trigger, completed_until=completed_until, interval={"start": "2026-01-01"})
        assert (judge_freshness(downstream, window, known, NOW) == {}) == is_open


def test_an_interval_without_ticks_so_far_asks_nothing() -> None:
    """Semantics F1: as the SDK passes where nothing is shared."""
    known = facts("schedule:0 0 * * *", interval={"start": "2027-01-01"}, allow_external_schedulers=True)
    assert judge_freshness(gated(), None, known, NOW) == {}


@given(st.sets(st.sampled_from("abcd")), st.sets(st.sampled_from("abcd")))
def test_a_job_waits_for_upstreams_that_are_underway_only_if_that_is_all_it_waits_for(
    unmet: set[str], underway: set[str]
) -> None:
    """Semantics D3: for one that nobody has started, waiting would be in vain."""
    assert set(awaited_upstreams(sorted(unmet), underway)) == (unmet if unmet <= underway else set())
