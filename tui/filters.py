"""What is typed into a filter: the selectors that commands take, and parts of words."""

from collections.abc import Iterable, Sequence

from cli.selectors import is_selector, matching_triggers
from runtime.wire.jobs import ScriptResponse


def parts_of(text: str, jobs: Iterable[ScriptResponse]) -> list[str]:
    """What all has to be so: each word, or the whole text where that is a selector which some job answers to.

    `schedule:0 6 * * *` is one selector and not five words, as for commands.
    """
    whole = text.strip()
    words = whole.split()
    return [whole] if len(words) > 1 and any(selects(whole, job) for job in jobs) else words


def selects(text: str, job: ScriptResponse) -> bool:
    """Whether a text is a selector that a job answers to."""
    return is_selector(text) and bool(matching_triggers(text, job.script_type, job.triggers or ()))


def is_meant(parts: Sequence[str], job: ScriptResponse, described: str) -> bool:
    """Whether each part selects the job, or is a part of the words that describe what is listed."""
    return all(selects(part, job) or part.lower() in described.lower() for part in parts)
