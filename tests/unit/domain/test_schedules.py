"""What operators say of schedules, and schedules in plain words (semantics T8)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.domain.schedules import (
    clock_of,
    clock_triggers,
    describe_schedule,
    describe_trigger,
    effective_default,
    effective_triggers,
    override_survives,
    parse_override,
)
from runtime.domain.triggers import TIMED_TYPES, parse_trigger
from runtime.errors import InvalidError
from tests.clocks import CRONS
from tests.factories import make_definition

DAILY = "schedule:0 8 * * *"

events = st.lists(
    st.sampled_from(["job.success:jobs.a", "job.fail:jobs.a", "once:2026-01-01", "deployment:", "tag:x"]),
    max_size=4,
    unique=True,
)
clocks = st.sampled_from([DAILY, "every:5m", "schedule:@hourly"])
fields = st.sampled_from(["*", "0", "1", "7", "30", "*/2", "1-5", "1,3", "5/15", "L", "L5", "mon", "5#2", "1-5/2"])
overrides = st.none() | st.sampled_from(["every:10m", "schedule:0 9 * * *", DAILY])


@given(events, st.none() | clocks, st.integers(0, 4), overrides)
def test_an_override_takes_the_place_of_the_schedule_and_leaves_the_rest(
    others: list[str], clock: str | None, place: int, override: str | None
) -> None:
    """Semantics T8: then it is the clock, the default where that was one, and the only timed trigger."""
    declared = [*others[:place], *([clock] if clock else []), *others[place:]]
    definition = make_definition(triggers=declared)
    found = effective_triggers(definition, override)
    timed = [text for text in found if parse_trigger(text).type in TIMED_TYPES]
    in_force = override or clock
    assert timed == ([in_force] if in_force else [])
    assert [text for text in found if text not in timed] == others
    assert clock_of(found) == (parse_trigger(in_force) if in_force else None)
    assert set(clock_triggers(definition, override)) == {*timed, *(text for text in others if text.startswith("once:"))}
    default = effective_default(definition, override)
    if override is None:
        assert found == definition.declared_triggers
        assert default == definition.default_trigger
    else:
        assert default == (override if clock or not definition.default_trigger else definition.default_trigger)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 9 * * *", "schedule:0 9 * * *"),
        (" */5 * * * * ", "schedule:*/5 * * * *"),
        ("schedule:@daily", "schedule:@daily"),
        ("every:10m", "every:10m"),
    ],
)
def test_an_override_may_be_a_bare_cron_expression(text: str, expected: str) -> None:
    """Semantics T8: as in code."""
    assert parse_override(text).text == expected


@pytest.mark.parametrize("text", ["", "often", "every:10s", "once:2026-01-01", "manual:", "job.success:jobs.a", "* *"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    """Semantics T8."""
    with pytest.raises(InvalidError):
        parse_override(text)


@pytest.mark.parametrize(
    ("after", "survives"),
    [
        ({"triggers": [DAILY, "tag:x"]}, True),
        ({"triggers": ["tag:x", DAILY]}, True),
        ({"triggers": [DAILY, "tag:x"], "description": "new"}, True),
        ({"triggers": [DAILY]}, False),
        ({"triggers": ["schedule:0 9 * * *", "tag:x"]}, False),
        ({"triggers": [DAILY, "tag:x", "deployment:"]}, False),
    ],
)
def test_a_deploy_that_changes_the_triggers_drops_the_override(after: dict[str, Any], survives: bool) -> None:
    """Semantics T8: code is the source of truth; another order of the same triggers is no change."""
    before = make_definition(triggers=[DAILY, "tag:x"])
    assert override_survives(before, make_definition(**after)) == survives


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (DAILY, "every day at 08:00 Europe/Berlin"),
        ("schedule:0 8,20 * * *", "every day at 08:00 and 20:00 Europe/Berlin"),
        ("schedule:*/3 * * * *", "every 3 minutes"),
        ("schedule:0 8 * * mon-fri", "at 08:00 Europe/Berlin, Monday through Friday"),
        ("schedule:5,35 8-18 * * *", "at 5 and 35 minutes past the hour, between 08:00 and 18:59 Europe/Berlin"),
        ("schedule:0 0 l * *", "at 00:00 Europe/Berlin, on the last day of the month"),
        ("schedule:0 0 * * 7", "at 00:00 Europe/Berlin, only on Sunday"),
        ("schedule:15 10 * * * 30", "every day at 10:15:30 Europe/Berlin"),
        ("schedule:15 10 * * * 30 2027", "every day at 10:15:30 Europe/Berlin, only in 2027"),
        ("schedule:@weekly", "at 00:00 Europe/Berlin, only on Sunday"),
        ("schedule:@Daily", "every day at 00:00 Europe/Berlin"),
        ("every:5m", "every 5 minutes"),
        ("every:3600", "every hour"),
        ("every:1.5h", "every 90 minutes"),
        ("every:61.5", "every 61.5 seconds"),
        ("once:2026-12-31T23:59:59Z", "once at 2026-12-31 23:59:59 UTC"),
        ("job.success:jobs.a", "after jobs.a succeeds"),
        ("job.fail:jobs.a", "after jobs.a fails"),
        ("deployment:", "after a deploy"),
        ("webhook:", "when its webhook is called"),
        ("webhook:orders", "when its webhook orders is called"),
        ("http:8080", "serves HTTP"),
        ("manual:jobs.a", "by hand"),
        ("tag:nightly", "tag:nightly"),
    ],
)
def test_triggers_in_plain_words(trigger: str, words: str) -> None:
    """Semantics T8: the fields of croniter, whose seconds stand last."""
    assert describe_trigger(parse_trigger(trigger), "Europe/Berlin") == words


@given(st.sampled_from(CRONS) | st.lists(fields, min_size=5, max_size=7).map(" ".join))
def test_any_cron_expression_has_words(cron: str) -> None:
    """Semantics T8: if only its own; never an error where somebody wants to read a schedule."""
    try:
        trigger = parse_trigger(f"schedule:{cron}")
    except InvalidError:
        return
    assert describe_trigger(trigger, "UTC")


@pytest.mark.parametrize(
    ("override", "is_paused", "words"),
    [
        (None, False, "every day at 08:00 UTC"),
        (None, True, "every day at 08:00 UTC, paused"),
        ("every:10m", False, "every 10 minutes (in place of every day at 08:00 UTC)"),
        ("every:10m", True, "every 10 minutes (in place of every day at 08:00 UTC), paused"),
    ],
)
def test_a_schedule_says_what_it_replaces(override: str | None, is_paused: bool, words: str) -> None:
    """Semantics T8: the override is visible wherever the schedule is."""
    definition = make_definition(triggers=[DAILY, "tag:x"])
    assert describe_schedule(definition, override, is_paused=is_paused) == words


def test_a_job_without_schedule_has_no_words_for_it() -> None:
    """Semantics T8: unless an operator gave it one."""
    definition = make_definition(triggers=["tag:x"])
    assert describe_schedule(definition) == ""
    assert describe_schedule(definition, "every:1d") == "every day (set by an operator)"
