"""What an operator may say of a job's schedule, and schedules in plain words (semantics T8).

An override takes the place of the one `schedule:` or `every:` trigger that a job may declare; its other triggers stay.
Code stays the source of truth: a deploy that changes the job's triggers drops the override. A pause stays until
somebody resumes the job.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from cron_descriptor import ExpressionDescriptor, FormatError, Options

from runtime.domain.jobs import JobDefinition
from runtime.domain.triggers import TIMED_TYPES, Trigger, parse_trigger
from runtime.domain.wording import moment, span
from runtime.errors import InvalidError

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_LAST_CLOCK_TIME = re.compile(r"(.*\d\d:\d\d)")
_AT_CLOCK_TIME = re.compile(r"at \d\d:\d\d.*")
_WORDS = Options()
_WORDS.locale_code = "en_US"  # not the machine's
_WORDS.use_24hour_time_format = True
_WORDS.throw_exception_on_parse_error = True


def parse_override(text: str) -> Trigger:
    """Read what an operator puts in a schedule's place: `schedule:<cron>`, `every:<period>` or a bare cron expression.

    Raises:
        InvalidError: anything else.
    """
    stripped = text.strip()
    trigger = parse_trigger(stripped if ":" in stripped else f"schedule:{stripped}")
    if trigger.type not in TIMED_TYPES:
        raise InvalidError(
            f"`{text}` is no schedule", code="schedule", hint="give a cron expression, or a period such as `every:10m`"
        )
    return trigger


def effective_triggers(definition: JobDefinition, override: str | None) -> tuple[str, ...]:
    """The declared triggers, with the override in the place of the timed one, or at the end if there is none."""
    if override is None:
        return definition.declared_triggers
    replaced = tuple(override if _is_timed(text) else text for text in definition.declared_triggers)
    return replaced if override in replaced else (*replaced, override)


def effective_default(definition: JobDefinition, override: str | None) -> str | None:
    """The default trigger, or the override where that is a timed one or there is none."""
    default = definition.default_trigger
    if override is None:
        return default
    return override if default is None or _is_timed(default) else default


def clock_of(triggers: Sequence[str]) -> Trigger | None:
    """The schedule or period among a job's triggers: what divides its time into windows."""
    return next((parse_trigger(text) for text in triggers if _is_timed(text)), None)


def clock_triggers(definition: JobDefinition, override: str | None) -> list[str]:
    """The triggers that a timer watches: the effective schedule or period, and every `once`."""
    return [text for text in effective_triggers(definition, override) if _is_timed(text) or text.startswith("once:")]


def override_survives(before: JobDefinition, after: JobDefinition) -> bool:
    """Whether a deploy from one definition to another keeps an override: it declares the same triggers (T8)."""
    return set(before.declared_triggers) == set(after.declared_triggers)


def describe_schedule(definition: JobDefinition, override: str | None = None, *, is_paused: bool = False) -> str:
    """A job's schedule as people read it: `every 10 minutes (in place of every day at 08:00 UTC), paused`.

    Empty for a job that has none.
    """
    declared = clock_of(definition.declared_triggers)
    words = describe_trigger(declared, definition.timezone) if declared else ""
    if override is not None:
        stead = f" (in place of {words})" if words else " (set by an operator)"
        words = describe_trigger(parse_trigger(override), definition.timezone) + stead
    return ", ".join(part for part in (words, "paused" if is_paused else "") if part)


def describe_trigger(trigger: Trigger, timezone: str) -> str:
    """A trigger in plain words, such as `every day at 08:00 Europe/Berlin`; an odd cron expression as it is."""
    if trigger.type == "schedule":
        return _describe_cron(trigger.expression, timezone)
    if trigger.period_seconds is not None:
        return f"every {span(trigger.period_seconds).removeprefix('1 ')}"
    if trigger.at is not None:
        return f"once at {moment(trigger.at)}"
    with_expression, alone = _EVENTS.get(trigger.type, (trigger.text, trigger.text))
    return with_expression.format(trigger.expression) if trigger.expression else alone


_EVENTS = {
    "job.success": ("after {} succeeds", ""),
    "job.fail": ("after {} fails", ""),
    "deployment": ("after a deploy", "after a deploy"),
    "webhook": ("when its webhook {} is called", "when its webhook is called"),
    "http": ("serves HTTP", "serves HTTP"),
    "manual": ("by hand", "by hand"),
}


@lru_cache(maxsize=4096)  # the library reads its own translations from disk for every expression
def _describe_cron(cron: str, timezone: str) -> str:
    fields = _MACROS.get(cron.strip().lower(), cron).upper().split()
    if len(fields) > 5:  # seconds stand last but for the year here, and first there
        fields = [fields[5], *fields[:5], *fields[6:]]
    days = fields[-3:] if len(fields) < 7 else fields[3:6]
    try:
        words = ExpressionDescriptor(" ".join(fields), _WORDS).get_description()
    except (FormatError, ValueError, IndexError):
        return f"schedule {cron} {timezone}"
    words = words[0].lower() + words[1:]
    if days == ["*", "*", "*"] and _AT_CLOCK_TIME.fullmatch(words):
        words = f"every day {words}"
    return _LAST_CLOCK_TIME.sub(rf"\1 {timezone}", words, count=1)


def _is_timed(trigger: str) -> bool:
    return trigger.partition(":")[0] in TIMED_TYPES
