"""A job as declared in a deployment manifest: both manifest engines, normalised into one model (semantics J5)."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadDateError, croniter
from pydantic import TypeAdapter, ValidationError

from runtime.domain.model import Frozen, Instant, ProfileName
from runtime.domain.refs import job_label, split_job_ref
from runtime.domain.triggers import TIMED_TYPES, default_trigger, parse_trigger
from runtime.errors import InvalidError
from runtime.sizes import bytes_text

JobType = Literal["batch", "interactive", "stream"]
RefreshPolicy = Literal["always", "auto", "block"]

MANIFEST_ENGINES = (1, 2)
DEFAULT_TIMEOUT_SECONDS = 120 * 60.0
"""For batch jobs that declare none (semantics S2)."""
DEFAULT_GRACE_SECONDS = 30.0
MOST_DEFINITION_BYTES = 128 * 1024
"""As JSON; a list of jobs holds them all."""
_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)


class EntryPoint(Frozen):
    """How the job's code is called: `function` is None for a job that is a whole module."""

    module: str
    function: str | None
    job_type: JobType
    launcher: str


class JobDefinition(Frozen):
    """What the runtime needs to know of a job.

    `raw` is the definition as uploaded: clients are shown that, and fields we do not know survive in it.
    `concurrency` None means unlimited; `timeout_seconds` None means no limit.
    """

    job_ref: str
    entry_point: EntryPoint
    declared_triggers: tuple[str, ...]
    default_trigger: str | None
    concurrency: int | None
    timeout_seconds: float | None
    grace_seconds: float
    intercept_signals: bool
    dependency_groups: tuple[str, ...]
    required_profile: ProfileName | None
    machine: str | None
    timezone: str
    display_name: str | None
    pipeline_name: str | None
    tags: tuple[str, ...]
    is_manual: bool
    description: str | None
    freshness: tuple[str, ...]
    interval_start: str | None
    interval_end: str | None
    refresh: RefreshPolicy
    allow_external_schedulers: bool
    raw: dict[str, Any]

    @property
    def label(self) -> str:
        """What a person reads in tables and logs."""
        return job_label(self.job_ref, self.display_name, self.pipeline_name)

    @property
    def triggers(self) -> list[str]:
        """Declared triggers and the synthetic ones that selectors match: tags, `manual:` and the pipeline's name."""
        synthetic = [f"tag:{tag}" for tag in self.tags]
        if self.is_manual:
            synthetic.append(f"manual:{self.job_ref}")
        if self.pipeline_name:
            synthetic.append(f"pipeline_name:{self.pipeline_name}")
        return list(dict.fromkeys([*self.declared_triggers, *synthetic]))


class Job(Frozen):
    """A job of a workspace: its identity, and the version of its definition that is current."""

    id: UUID
    workspace_id: UUID
    job_ref: str
    archived_at: Instant | None
    created_by: UUID
    created_at: Instant
    updated_at: Instant
    version: "JobVersion"


class JobVersion(Frozen):
    """One definition of a job; a run pins the version it was created from (semantics J4)."""

    id: UUID
    job_id: UUID
    version: int
    engine_version: int
    definition: JobDefinition
    definition_hash: str
    deployment_module: str | None
    created_by: UUID
    created_at: Instant


def hash_definition(raw: Mapping[str, Any]) -> str:
    """Base64 SHA3-256 of the key-sorted compact JSON: the SDK's hash of one definition."""
    content = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return base64.b64encode(hashlib.sha3_256(content).digest()).decode()


def check_engine(engine_version: int) -> None:
    """Raise InvalidError unless this runtime reads manifests of this engine (semantics J5)."""
    if engine_version not in MANIFEST_ENGINES:
        raise InvalidError(
            f"manifest engine {engine_version} is not known to this runtime, which reads engines 1 and 2",
            code="manifest_engine",
            hint="upgrade the runtime, or deploy with an older dlt",
        )


def normalise_definition(raw: Mapping[str, Any], engine_version: int) -> JobDefinition:
    """Read a job definition of manifest engine 1 or 2 (semantics J5) and check that it makes sense.

    Raises:
        InvalidError: the engine is unknown, or the definition is not usable; the message names job and field.
    """
    definition = read_definition(raw, engine_version)
    if len(json.dumps(raw)) > MOST_DEFINITION_BYTES:
        raise InvalidError(
            f"job `{_ref_of(raw)}`: its definition takes more than {bytes_text(MOST_DEFINITION_BYTES)}",
            code="job_definition",
            hint="shorten its description",
        )
    _check(definition)
    return definition


def read_definition(raw: Mapping[str, Any], engine_version: int) -> JobDefinition:
    """As `normalise_definition`, for one that was checked before.

    Raises:
        InvalidError: the engine is unknown, or a field is missing or of the wrong type.
    """
    check_engine(engine_version)
    try:
        entry_point = EntryPoint.model_validate(
            {key: raw["entry_point"].get(key) for key in ("module", "function", "job_type", "launcher")}
        )
        return JobDefinition(entry_point=entry_point, raw=dict(raw), **_fields(raw, engine_version))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidError(f"job `{_ref_of(raw)}`: {_explain(error)}", code="job_definition") from error


def _ref_of(raw: Mapping[str, Any]) -> str:
    return str(raw.get("job_ref", "?"))


def _explain(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"`{'.'.join(str(part) for part in first['loc'])}`: {first['msg']}"
    if isinstance(error, KeyError):
        return f"`{error.args[0]}` is missing"
    return str(error)


_STRINGS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


def _fields(raw: Mapping[str, Any], engine_version: int) -> dict[str, Any]:
    """Every field of JobDefinition but `entry_point` and `raw`."""
    expose = raw.get("expose") or {}
    deliver = raw.get("deliver") or {}
    require = raw.get("require") or {}
    execute = raw.get("execute") or {}
    interval = raw.get("interval") or {}
    timeout = execute.get("timeout") or {}
    tags = expose.get("tags") or ()
    job_type = raw["entry_point"]["job_type"]
    triggers = _STRINGS.validate_python(raw.get("triggers") or ())
    if engine_version == 1:
        default = raw.get("default_trigger") or default_trigger(triggers)
        refresh, external = raw.get("refresh"), bool(raw.get("allow_external_schedulers"))
    else:
        default = default_trigger(triggers, events_may_be_default=False)
        refresh, external = raw.get("refresh_propagation"), raw.get("incremental_mode") == "interval"
    return {
        "job_ref": raw["job_ref"],
        "declared_triggers": triggers,
        "default_trigger": default,
        "concurrency": execute.get("concurrency", 1),
        "timeout_seconds": timeout.get("timeout", DEFAULT_TIMEOUT_SECONDS if job_type == "batch" else None),
        "grace_seconds": timeout.get("grace_period", DEFAULT_GRACE_SECONDS),
        # A pipeline wants to end its step when it is told to end; a server that only takes note of it would be killed.
        "intercept_signals": execute.get("intercept_signals", job_type != "interactive"),
        "dependency_groups": require.get("dependency_groups") or (),
        "required_profile": require.get("profile") or None,
        "machine": (require.get("instance") or {}).get("size") or require.get("machine") or None,
        "timezone": require.get("timezone") or "UTC",
        "display_name": expose.get("display_name"),
        "pipeline_name": deliver.get("pipeline_name"),
        "tags": (tags,) if isinstance(tags, str) else tags,
        "is_manual": expose.get("manual", True),
        "description": raw.get("description"),
        "freshness": raw.get("freshness") or (),
        "interval_start": interval.get("start"),
        "interval_end": interval.get("end"),
        "refresh": refresh or "auto",
        "allow_external_schedulers": external,
    }


def _check(definition: JobDefinition) -> None:
    """What a definition must satisfy by itself; relations between jobs are `reconcile`'s."""
    split_job_ref(definition.job_ref)
    parsed = [parse_trigger(text) for text in definition.declared_triggers]

    def refuse(why: str) -> InvalidError:
        return InvalidError(f"job `{definition.job_ref}`: {why}", code="job_definition")

    if sum(trigger.type in TIMED_TYPES for trigger in parsed) > 1:
        raise refuse("only one `schedule:` or `every:` trigger is allowed")
    if definition.entry_point.job_type == "batch" and any(trigger.type == "http" for trigger in parsed):
        raise refuse("a batch job cannot have an `http:` trigger; declare it interactive")
    if definition.concurrency is not None and definition.concurrency < 1:
        raise refuse("`execute.concurrency` must be at least 1, or null for no limit")
    try:
        ZoneInfo(definition.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory of zones
        raise refuse(f"`{definition.timezone}` is not an IANA time zone") from None
    for trigger in parsed:
        if trigger.type == "schedule" and not _comes(trigger.expression):
            raise refuse(f"the schedule `{trigger.expression}` never comes")


@lru_cache(maxsize=16384)
def _comes(cron: str) -> bool:
    """A schedule may be well formed and never come, such as 30 February."""
    try:
        croniter(cron, _LEAP_YEAR).get_next()
    except CroniterBadDateError:
        return False
    return True


def live_trigger_refs(definitions: Sequence[JobDefinition], event: str, upstream_ref: str) -> list[str]:
    """The jobs with a `job.success:` or `job.fail:` trigger on `upstream_ref` (semantics T4).

    Args:
        event: `job.success` or `job.fail`.
    """
    wanted = f"{event}:{upstream_ref}"
    return [definition.job_ref for definition in definitions if wanted in definition.declared_triggers]
