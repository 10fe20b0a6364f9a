"""Triggers are read as the SDK reads them (semantics T1-T7)."""

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.domain.triggers import MAXIMUM_PERIOD_SECONDS, TRIGGER_TYPES, Trigger, parse_period_seconds, parse_trigger
from runtime.errors import InvalidError
from tests import oracle

ACCEPTED = [
    "schedule:0 8 * * *",
    "schedule:*/5 * * * *",
    "schedule:@daily",
    "schedule:0 0 * * mon#1",
    "schedule:0 0 L * *",
    "schedule:30 8 * * * 0",
    "schedule: 0 8 * * *",
    "schedule:0 0 30 2 *",
    "every:60",
    "every:60s",
    "every:1m",
    "every:0.5h",
    "every:5 m",
    "every: 5m ",
    "every:1e3",
    "every:30d",
    "once:2026-01-01",
    "once:20260101",
    "once:2026-W02-3",
    "once:2026-01-01T10:00",
    "once:2026-01-01 10:00:00",
    "once:2026-01-01T10:00:00Z",
    "once:2026-01-01T10:00:00+02:00",
    "once:20260101T100000Z",
    "once:2026-01-01T10:00:00.123456",
    "http:",
    "http:8080",
    "http:8080/",
    "http:8080/notebook",
    "http:8080?theme=dark",
    "http:/",
    "http:/notebook?x#y",
    "http:65535",
    "job.success:jobs.shop.load",
    "job.fail:jobs.load",
    "deployment:",
    "webhook:",
    "webhook:/orders",
    "tag:nightly",
    "tag:a:b",
    "manual:",
    "manual:jobs.shop.load",
    "pipeline_name:fruits",
]

REFUSED = [
    "",
    ":",
    "schedule",
    "sometimes:never",
    "SCHEDULE:0 8 * * *",
    " every:5m",
    "schedule:",
    "schedule:at noon",
    "schedule:61 * * * *",
    "schedule:* * * *",
    "every:",
    "every:59s",
    "every:0",
    "every:-5m",
    "every:5w",
    "every:soon",
    "once:",
    "once:tomorrow",
    "once:2026-01-01T10:00:00z",
    "once:2026-01-01t10:00:00Z",
    "once:2026-13-01",
    "once:2026-01-01x10:00",
    "once:10:00",
    "once:2026-01-01/2026-01-02",
    "once:P1D",
    "http:0",
    "http:65536",
    "http:port",
    "http:80 80",
    "http:-1",
    "http:?theme=dark",
    "http://example.org",
    "http:https://example.org",
    "http:٨٠",
    "job.success:",
    "job.success:shop.load",
    "job.fail:",
    "job.fail:load",
    "tag:",
    "pipeline_name:",
]

periods = st.one_of(
    st.floats(-100, 1e9).map(str),
    st.integers(-100, 10**9).map(str),
    st.builds("{}{}{}".format, st.integers(0, 36000), st.sampled_from(["", " ", "  "]), st.sampled_from("smhdwMD")),
    st.builds("{:.2f}{}".format, st.floats(0, 36000), st.sampled_from("smhd")),
    st.text("0123456789.smh -+e_", max_size=6),
)
times = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(datetime.isoformat),
    st.datetimes(datetime(1900, 1, 1), timezones=st.timezones()).map(datetime.isoformat),
    st.dates().map(str),
    st.builds("{}-{}-{}T{}:{}".format, *(st.integers(0, top) for top in (3000, 13, 32, 25, 61))),
    st.builds("{}{}".format, st.dates(), st.text("0123456789:TZ+-.", min_size=1, max_size=12)),
)
http_parts = st.one_of(
    st.integers(-1, 70000).map(str),
    st.builds("{}/{}".format, st.integers(0, 70000), st.text("ab/._-~%?#=", max_size=8)),
    st.builds("/{}".format, st.text("ab/._-~%?#=", max_size=8)),
    st.text("0123456789/ab?#", max_size=8),
)
cron_fields = st.one_of(
    st.just("*"),
    st.integers(0, 70).map(str),
    st.builds("*/{}".format, st.integers(0, 70)),
    st.builds("{}-{}".format, st.integers(0, 31), st.integers(0, 31)),
    st.sampled_from(["mon", "jan", "L", "?", "mon#1", "1,5", "x"]),
)
crons = st.one_of(st.lists(cron_fields, min_size=4, max_size=7).map(" ".join), st.sampled_from(["@hourly", "@reboot"]))
names = st.text(max_size=12)
triggers = st.one_of(
    st.builds("every:{}".format, periods),
    st.builds("once:{}".format, times),
    st.builds("http:{}".format, http_parts),
    st.builds("schedule:{}".format, crons),
    st.builds(
        "{}:{}".format, st.sampled_from(["job.success", "job.fail"]), st.one_of(names, names.map("jobs.".__add__))
    ),
    st.builds("{}:{}".format, st.sampled_from(["tag", "pipeline_name", "manual", "deployment", "webhook"]), names),
    st.builds("{}:{}".format, names, names),
)


def sdk_reading(text: str) -> Any:
    """What the SDK makes of a trigger; None if it refuses, `crash` where it raises something else."""
    try:
        return oracle.trigger_helpers.parse_trigger(text)
    except oracle.exceptions.InvalidTrigger:
        return None


def our_reading(text: str) -> Trigger | None:
    """What we make of it; None if we refuse."""
    try:
        return parse_trigger(text)
    except InvalidError as error:
        assert text in error.message  # noqa: PT017 - a refusal names what it refuses
        return None


def assert_same(ours: Trigger, theirs: Any) -> None:
    assert (ours.type, ours.text) == (theirs.type, theirs.raw)
    match ours.type:
        case "every":
            assert ours.period_seconds == theirs.expr
        case "once":
            assert ours.at == theirs.expr
        case "http":
            assert (ours.port, ours.expression) == tuple(theirs.expr)
        case _:
            assert ours.expression == (theirs.expr or "")


@pytest.mark.parametrize("text", ACCEPTED)
def test_an_accepted_trigger_means_what_the_sdk_says(text: str) -> None:
    """Semantics T1-T7."""
    ours = our_reading(text)
    assert ours is not None
    assert_same(ours, sdk_reading(text))


@pytest.mark.parametrize("text", REFUSED)
def test_both_refuse_what_is_no_trigger(text: str) -> None:
    """Semantics T1-T7."""
    assert our_reading(text) is None
    assert sdk_reading(text) is None


@given(triggers)
def test_we_accept_exactly_what_the_sdk_accepts(text: str) -> None:
    """Semantics T1-T7: a manifest that the SDK wrote is never refused for its triggers, and means the same."""
    assume(not _crashes_the_sdk(text))
    theirs, ours = sdk_reading(text), our_reading(text)
    assume(not (theirs and theirs.type == "every" and not theirs.expr <= MAXIMUM_PERIOD_SECONDS))  # see below
    assert (ours is None) == (theirs is None), f"SDK: {theirs}, ours: {ours}"
    if ours is not None:
        assert_same(ours, theirs)


def _crashes_the_sdk(text: str) -> bool:
    try:
        sdk_reading(text)
    except Exception:  # whatever it is, the SDK gives no answer to compare with
        return True
    return False


@given(st.one_of(st.text(), st.builds("{}:{}".format, st.sampled_from(TRIGGER_TYPES), st.text())))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    """Semantics J5: what a stranger uploads ends in a 400 that names it, never in a crash."""
    our_reading(text)


@pytest.mark.parametrize("text", ["every:nan", "every:inf", "every:1e300", "every:99999d"])
def test_a_period_that_dates_cannot_hold_is_refused(text: str) -> None:
    """Semantics T2, stricter than the SDK: it takes these and fails when it computes with them."""
    assert sdk_reading(text) is not None
    assert our_reading(text) is None


@pytest.mark.parametrize("text", ["once:2026", "once:2026-01", "once:2026-001", "once:1767225600", "once:2026/01/15"])
def test_a_time_that_is_no_full_iso_date_is_refused(text: str) -> None:
    """Semantics T3, stricter than the SDK, whose own `once()` never writes these forms."""
    assert sdk_reading(text) is not None
    assert our_reading(text) is None


@pytest.mark.parametrize("text", ["once:0001-01-01T00:00:00+14:00", "once:9999-12-31T23:59:59-10:00", "http:[/"])
def test_where_the_sdk_crashes_we_answer(text: str) -> None:
    """Semantics J5: a refusal, or a reading, but no exception of somebody else's."""
    assert _crashes_the_sdk(text)
    our_reading(text)


def test_a_time_without_offset_is_utc() -> None:
    """Semantics T3."""
    parsed = parse_trigger("once:2026-01-01T10:00")
    assert parsed.at == datetime(2026, 1, 1, 10, tzinfo=UTC)


@given(st.floats(min_value=0, max_value=1e9))
def test_a_bare_number_is_a_period_in_seconds(seconds: float) -> None:
    """Semantics T2."""
    assert parse_period_seconds(repr(seconds)) == seconds


@given(periods)
def test_periods_are_read_as_the_sdk_does(text: str) -> None:
    """Semantics T2; the same reader serves timeouts."""
    try:
        theirs = oracle.trigger_helpers.parse_period_seconds(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            parse_period_seconds(text)
    else:
        ours = parse_period_seconds(text)
        assert ours == theirs or (math.isnan(ours) and math.isnan(theirs))
