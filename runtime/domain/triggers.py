"""Triggers: `type:expression` strings that say when a job runs (semantics T1-T7), and selectors over them (T5)."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal, get_args

from croniter import croniter

from runtime.domain.model import Frozen, Instant
from runtime.errors import InvalidError

TriggerType = Literal[
    "schedule",
    "every",
    "once",
    "job.success",
    "job.fail",
    "http",
    "deployment",
    "webhook",
    "tag",
    "manual",
    "pipeline_name",
]
TRIGGER_TYPES: tuple[TriggerType, ...] = get_args(TriggerType)
TIMED_TYPES: tuple[TriggerType, ...] = ("schedule", "every")
JOB_TYPE_SELECTORS = ("batch", "interactive", "stream", "job")
MOST_CHARACTERS = 500
"""Of a trigger: what reads cron expressions takes the square of their length."""
MINIMUM_PERIOD_SECONDS = 60.0
MAXIMUM_PERIOD_SECONDS = 100 * 366 * 86400.0
"""A century: beyond that the arithmetic of dates gives up."""

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
# A query or a fragment is no part of the path.
_HTTP = re.compile(r"(?!//|[?#])(?P<port>[0-9]+)?(?P<path>/[^?#]*)?([?#].*)?")
# `fromisoformat` would take any separator between date and time.
_ISO_TIME = re.compile(r"[0-9]{4}-?([0-9]{2}-?[0-9]{2}|W[0-9]{2}(-?[0-9])?)([T ][0-9].*)?")


class Trigger(Frozen):
    """A parsed trigger; only the field that belongs to its type is set.

    `text` is the trigger as declared; it is what runs record and clients show.
    """

    type: TriggerType
    text: str
    expression: str = ""
    period_seconds: float | None = None
    at: Instant | None = None
    port: int | None = None


def parse_period_seconds(text: str) -> float:
    """Seconds in `90`, `90s`, `5m`, `6h` or `1d`.

    Raises:
        ValueError: not a period.
    """
    match = _PERIOD.fullmatch(text.strip())
    return float(match[1]) * _UNIT_SECONDS[match[2]] if match else float(text)


@lru_cache(maxsize=16384)
def parse_trigger(text: str) -> Trigger:
    """Parse a declared trigger; one that was parsed lately is remembered.

    Raises:
        InvalidError: unknown type, an expression its type does not accept, or one that is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise _refuse(f"{text[:40]}...", f"it has more than {MOST_CHARACTERS} characters")
    kind, colon, expression = text.partition(":")
    if not colon:
        raise _refuse(text, "write it as `type:expression`")
    parser = _PARSERS.get(kind)
    if parser is None:
        raise _refuse(text, f"`{kind}` is no trigger type; there are {', '.join(TRIGGER_TYPES)}")
    return parser(text, expression)


def is_selector(text: str) -> bool:
    """Whether `text` selects by trigger or job type, rather than naming a job (semantics T5)."""
    return ":" in text or text in JOB_TYPE_SELECTORS or text in TRIGGER_TYPES


def match_selectors(job_type: str, triggers: Sequence[str], selectors: Sequence[str]) -> list[str]:
    """The triggers of one job that any selector matches, in selector order (semantics T5).

    A job-type word (`batch`, `interactive`, `stream`, or `job` for batch) matches all triggers of such a job; a
    trigger type, with or without its colon, stands for all its expressions; anything else is an fnmatch pattern.
    """
    matched: list[str] = []
    for selector in selectors:
        if selector in JOB_TYPE_SELECTORS:
            if job_type == ("batch" if selector == "job" else selector):
                return list(triggers)
            continue
        pattern = f"{selector}:*" if selector in TRIGGER_TYPES else selector
        if pattern.endswith(":"):
            pattern += "*"
        matched += [trigger for trigger in triggers if trigger not in matched and fnmatchcase(trigger, pattern)]
    return matched


def pick_trigger(matched: Sequence[str], default: str | None) -> str | None:
    """The trigger a run started by a selector records: the default one if it matched, else the first."""
    if default in matched:
        return default
    return matched[0] if matched else None


def default_trigger(triggers: Sequence[str], *, events_may_be_default: bool = True) -> str | None:
    """The first schedule or period, else the first that is neither manual nor deployment.

    Args:
        events_may_be_default: False for manifests of engine 2, whose SDK never picks `job.success` or `job.fail`
            (semantics J5).
    """
    skipped = {"manual", "deployment"} | (set() if events_may_be_default else {"job.success", "job.fail"})
    fallback: str | None = None
    for text in triggers:
        kind = text.partition(":")[0]
        if kind in TIMED_TYPES:
            return text
        if fallback is None and kind not in skipped:
            fallback = text
    return fallback


def _refuse(text: str, why: str) -> InvalidError:
    return InvalidError(f"trigger `{text}`: {why}", code="trigger")


def _schedule(text: str, expression: str) -> Trigger:
    if not expression or not croniter.is_valid(expression):
        raise _refuse(text, "not a cron expression")
    return Trigger(type="schedule", text=text, expression=expression)


def _every(text: str, expression: str) -> Trigger:
    try:
        seconds = parse_period_seconds(expression)
    except ValueError:
        raise _refuse(text, "the period must be like `5m`, `1h` or `1d`") from None
    if not seconds >= MINIMUM_PERIOD_SECONDS:
        raise _refuse(text, "the shortest period is one minute")
    if seconds > MAXIMUM_PERIOD_SECONDS:
        raise _refuse(text, "the longest period is a century")
    return Trigger(type="every", text=text, expression=expression, period_seconds=seconds)


def _once(text: str, expression: str) -> Trigger:
    if not _ISO_TIME.fullmatch(expression):
        raise _refuse(text, "not an ISO 8601 time")
    try:
        at = datetime.fromisoformat(expression)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _refuse(text, "not an ISO 8601 time") from None
    return Trigger(type="once", text=text, expression=expression, at=at)


def _http(text: str, expression: str) -> Trigger:
    match = _HTTP.fullmatch(expression)
    if match is None:
        raise _refuse(text, "write it as `http:[port][/path]`")
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise _refuse(text, "a port lies between 1 and 65535")
    return Trigger(type="http", text=text, expression=match["path"] or "", port=port)


def _optional(kind: TriggerType) -> Callable[[str, str], Trigger]:
    return lambda text, expression: Trigger(type=kind, text=text, expression=expression)


def _needed(kind: TriggerType, what: str) -> Callable[[str, str], Trigger]:
    def parse(text: str, expression: str) -> Trigger:
        if not expression:
            raise _refuse(text, f"it needs {what}")
        return Trigger(type=kind, text=text, expression=expression)

    return parse


def _job_event(kind: TriggerType) -> Callable[[str, str], Trigger]:
    def parse(text: str, expression: str) -> Trigger:
        if not expression.startswith("jobs."):
            raise _refuse(text, "it needs a job reference that starts with `jobs.`")
        return Trigger(type=kind, text=text, expression=expression)

    return parse


_PARSERS: dict[str, Callable[[str, str], Trigger]] = {
    "schedule": _schedule,
    "every": _every,
    "once": _once,
    "http": _http,
    "job.success": _job_event("job.success"),
    "job.fail": _job_event("job.fail"),
    "deployment": _optional("deployment"),
    "webhook": _optional("webhook"),
    "manual": _optional("manual"),
    "tag": _needed("tag", "a name"),
    "pipeline_name": _needed("pipeline_name", "a pipeline name"),
}
