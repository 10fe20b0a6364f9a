"""What people call jobs by: selectors over triggers, and names. Pure functions over references and trigger strings."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from runtime.errors import InvalidError, NotFoundError

JOB_TYPES = frozenset({"batch", "interactive", "stream"})
TRIGGER_TYPES = frozenset(
    {
        "schedule",
        "every",
        "once",
        "http",
        "deployment",
        "webhook",
        "tag",
        "manual",
        "job.success",
        "job.fail",
        "pipeline_name",
    }
)
PREFIX = "jobs."


def is_selector(text: str) -> bool:
    """Whether a word selects jobs by trigger or type, rather than naming one.

    >>> is_selector("tag:ingest"), is_selector("batch"), is_selector("load_shop")
    (True, True, False)
    """
    return ":" in text or text == "job" or text in JOB_TYPES or text in TRIGGER_TYPES


def matching_triggers(selector: str, job_type: str, triggers: Sequence[str]) -> list[str]:
    """The triggers of a job that a selector matches; a job type matches all of them, `job` means batch."""
    if selector == "job" or selector in JOB_TYPES:
        return list(triggers) if job_type == ("batch" if selector == "job" else selector) else []
    pattern = f"{selector}:*" if selector in TRIGGER_TYPES else selector
    pattern += "*" if pattern.endswith(":") else ""
    return [trigger for trigger in triggers if fnmatchcase(trigger, pattern)]


def is_qualified(text: str) -> bool:
    """Whether a name says its section, so that it means one reference without looking at the others."""
    return "." in text and not text.lower().endswith(".py")


def candidates(text: str, known: Iterable[str]) -> list[str]:
    """The references a text may mean: a name, `section.name`, a full reference, or the path of a script."""
    wanted = text.strip()
    if wanted.lower().endswith(".py"):
        wanted = wanted[:-3].rstrip("/").rsplit("/", 1)[-1]
    if wanted.startswith(PREFIX) or "." in wanted:
        full = wanted if wanted.startswith(PREFIX) else PREFIX + wanted
        return [ref for ref in known if ref == full]
    return [ref for ref in known if ref.rsplit(".", 1)[-1] == wanted]


def the_one(text: str, known: Sequence[str]) -> str:
    """The one reference that a text means.

    Raises:
        NotFoundError: none; the hint names those that look like it.
        InvalidError: several; the message lists them.
    """
    found = candidates(text, known)
    if len(found) > 1:
        raise InvalidError(f"`{text}` may be any of {', '.join(sorted(found))}", code="job_ambiguous")
    if not found:
        raise NotFoundError(f"there is no job `{text}` in this workspace", code="job_unknown", hint=_near(text, known))
    return found[0]


def _near(text: str, known: Sequence[str]) -> str:
    short = {ref.rsplit(".", 1)[-1]: ref for ref in known}
    close = get_close_matches(text.rsplit(".", 1)[-1], short, n=3)
    if close:
        return f"did you mean {' or '.join(f'`{name}`' for name in close)}?"
    return "`dlt-runtime job list` shows all jobs" if known else "nothing is deployed yet: `dlt-runtime deploy`"
