"""Who is told of what happens to jobs, when again, and in which words."""

from datetime import timedelta
from typing import Any

import pytest

from runtime.domain.notices import Filters, Noticed, NoticeKind, Skipping, is_news, is_worth_telling, notice_of
from tests.factories import NOW, make_job, make_run

ALL: tuple[NoticeKind, ...] = ("failed", "recovered", "late", "skipped")
HOUR = timedelta(hours=1)


def noticed(kind: NoticeKind = "failed", tags: tuple[str, ...] = (), **fields: Any) -> Noticed:
    run = make_run(make_job(), **fields)
    return Noticed(kind=kind, run=run, workspace_name="shop", tags=tags, display_name="load")


@pytest.mark.parametrize(
    ("filters", "tags", "expected"),
    [
        (Filters(events=ALL), (), True),
        (Filters(events=("late",)), (), False),
        (Filters(events=ALL, workspaces=("shop",)), (), True),
        (Filters(events=ALL, workspaces=("other",)), (), False),
        (Filters(events=ALL, tags=("gold", "silver")), ("silver",), True),
        (Filters(events=ALL, tags=("gold",)), ("silver",), False),
        (Filters(events=ALL, tags=("gold",)), (), False),
    ],
)
def test_people_hear_of_what_they_asked_for(filters: Filters, tags: tuple[str, ...], *, expected: bool) -> None:
    assert filters.concern(noticed(tags=tags)) is expected


def test_a_workspace_may_be_named_by_its_id() -> None:
    one = noticed()
    assert Filters(events=ALL, workspaces=(str(one.run.workspace_id),)).concern(one)


@pytest.mark.parametrize(("minutes", "expected"), [(10, False), (15, True), (200, True)])
def test_a_run_is_late_if_it_begins_long_after_its_tick(minutes: int, *, expected: bool) -> None:
    late = noticed("late", scheduled_at=NOW - timedelta(minutes=minutes))
    assert is_worth_telling(late, late=timedelta(minutes=15), skipped=HOUR, now=NOW) is expected


@pytest.mark.parametrize(
    ("outcome", "hours", "expected"),
    [
        ("skipped_concurrency_limit", 5, True),
        ("skipped_fresh", 5, True),
        ("skipped_fresh", 1, False),
    ],
)
def test_skipping_is_told_if_it_goes_on_for_hours(outcome: str, hours: int, *, expected: bool) -> None:
    """Notify: by how long the job has skipped, not by the one row, which may be new."""
    one = noticed("skipped", status="skipped", outcome=outcome, created_at=NOW, ended_at=NOW).model_copy(
        update={"skipping": Skipping(since=NOW - timedelta(hours=hours), times=9, first_number=1)}
    )
    assert is_worth_telling(one, late=HOUR, skipped=timedelta(hours=4), now=NOW) is expected


def test_skipping_for_ordinary_reasons_is_not_told() -> None:
    """Notify: there was nothing to do; nobody has counted how often."""
    one = noticed("skipped", status="skipped", outcome="skipped_already_covered", ended_at=NOW)
    assert not is_worth_telling(one, late=HOUR, skipped=timedelta(0), now=NOW)


def test_what_goes_on_is_told_again_after_a_while_and_not_before() -> None:
    assert is_news("failed", None, repeat=6 * HOUR, now=NOW)
    assert not is_news("failed", NOW - 5 * HOUR, repeat=6 * HOUR, now=NOW)
    assert is_news("failed", NOW - 6 * HOUR, repeat=6 * HOUR, now=NOW)
    assert not is_news("failed", NOW - 600 * HOUR, repeat=timedelta(0), now=NOW)
    assert is_news("late", NOW - 1 * HOUR, was_well=True, repeat=timedelta(0), now=NOW)
    assert is_news("recovered", NOW - HOUR, repeat=6 * HOUR, now=NOW)


def test_a_message_is_short_and_says_where_to_look() -> None:
    one = noticed(
        status="failed", reason="exit code 1: \x1b[31mValueError\nBcc: all@example.org" + "x" * 1000, number=7
    )
    notice = notice_of(one, "https://runtime.example.org/w/1", now=NOW)
    assert notice.title == "shop: load failed"
    first, where, link = notice.body.split("\n")
    assert first.startswith("exit code 1: ")
    assert len(first) <= 300
    assert first.isprintable()
    assert where == f"{one.run.job_ref}, run 7, workspace shop"
    assert link == "https://runtime.example.org/w/1"


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("late", {"scheduled_at": NOW - 3 * HOUR}, "has not begun yet, 3 hours after its time"),
        ("late", {"scheduled_at": NOW - HOUR, "started_at": NOW}, "began 60 minutes after its time"),
        ("recovered", {"status": "completed"}, "completed"),
        (
            "skipped",
            {"status": "skipped", "created_at": NOW - 5 * HOUR, "ended_at": NOW, "skip_count": 30, "reason": "busy"},
            "skipped 30 times in 5 hours: busy",
        ),
    ],
)
def test_each_kind_has_its_words(kind: NoticeKind, fields: dict[str, Any], words: str) -> None:
    assert words in notice_of(noticed(kind, **fields), "link", now=NOW).body
