"""What is typed into the filters of jobs and runs."""

from tests.unit.tui.test_tui_estate import make_script
from tui.filters import is_meant, parts_of
from tui.screens.jobs import described

INGEST = make_script(triggers=["tag:ingest", "schedule:0 * * * *"], job_definition={"expose": {"tags": ["ingest"]}})
MORNING = make_script("morning", triggers=["schedule:0 6 * * *"])
WEEKLY = make_script("weekly", triggers=["schedule:0 5 * * 6"])
JOBS = [INGEST, MORNING, WEEKLY]


def meant(text: str) -> list[str]:
    parts = parts_of(text, JOBS)
    return [job.job_ref.rpartition(".")[2] for job in JOBS if is_meant(parts, job, described(job))]


def test_jobs_are_meant_by_selectors_and_by_parts_of_words() -> None:
    """All words must say so."""
    assert meant("tag:ingest") == ["load"]
    assert meant("schedule:* loa") == ["load"]
    assert meant("never batch") == ["load", "morning", "weekly"]
    assert meant("tag:other") == []
    assert meant("loa interactive") == []


def test_a_cron_expression_is_one_selector_and_not_five_words() -> None:
    """As commands take it, `*` for anything."""
    assert meant("schedule:0 6 * * *") == ["morning"]
    assert meant(" schedule:0 5 * * 6 ") == ["weekly"]
    assert meant("schedule:0 [56] * * *") == ["morning", "weekly"]
    assert meant("schedule:1 6 * * *") == []


def test_a_filter_of_nothing_means_everything() -> None:
    assert meant("  ") == ["load", "morning", "weekly"]
