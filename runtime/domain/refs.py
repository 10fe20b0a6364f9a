"""Job references: `jobs.<section>.<name>` or `jobs.<name>`, and what people type instead (semantics J1)."""

import re
from collections.abc import Sequence

from runtime.errors import ConflictError, InvalidError, NotFoundError

PREFIX = "jobs."
DASHBOARD_JOB_REF = "jobs.workspace.dashboard"
"""The workspace dashboard, which the SDK adds to every `__deployment__` manifest."""

_RESERVED = "py"  # would clash with `.py` paths
_PART = re.compile(r"[\w-]+")  # names are identifiers, but a script `load-shop.py` is the job `jobs.load-shop`


def split_job_ref(job_ref: str) -> tuple[str | None, str]:
    """Split a full reference into (section, name); the section is None for `jobs.<name>`.

    Raises:
        InvalidError: not a reference, a part holds more than letters, digits, `_` and `-`, or is the reserved `py`.
    """
    if not job_ref.startswith(PREFIX):
        raise InvalidError(f"`{job_ref}` is not a job reference: it does not start with `{PREFIX}`", code="job_ref")
    parts = job_ref[len(PREFIX) :].split(".")
    if len(parts) not in (1, 2) or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidError(
            f"`{job_ref}` is not a job reference: write `jobs.<section>.<name>` or `jobs.<name>`", code="job_ref"
        )
    if _RESERVED in parts:
        raise InvalidError(f"`{job_ref}` uses the reserved word `{_RESERVED}`", code="job_ref")
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


def short_name(job_ref: str) -> str:
    """The last part of a full reference: `jobs.shop.load` -> `load`."""
    return job_ref.rsplit(".", 1)[-1]


def resolve_job_ref(text: str, known: Sequence[str]) -> str:
    """Find the one job that `text` means: a name, `section.name`, a full reference or a script path.

    Raises:
        NotFoundError: no known job answers to it.
        ConflictError: several do; the message lists them.
        InvalidError: it cannot be a job at all.
    """
    wanted = text.strip()
    if not wanted:
        raise InvalidError("an empty text names no job", code="job_ref")
    if wanted.endswith(".py"):
        wanted = wanted[:-3].rsplit("/", 1)[-1]
    if wanted.startswith(PREFIX):
        candidates = [wanted] if wanted in known else []
    elif "." in wanted:
        candidates = [ref for ref in known if ref == PREFIX + wanted]
    else:
        candidates = [ref for ref in known if short_name(ref) == wanted]
    if not candidates:
        raise NotFoundError(
            f"there is no job `{text}` in this workspace", code="job_not_found", hint="`dlt-runtime job list` shows all"
        )
    if len(candidates) > 1:
        raise ConflictError(f"`{text}` may be any of {', '.join(sorted(candidates))}", code="job_ambiguous")
    return candidates[0]


def job_label(job_ref: str, display_name: str | None, pipeline_name: str | None) -> str:
    """The name a person reads: display name or short name, with the pipeline or section in brackets.

    >>> job_label("jobs.shop.load", None, "fruits")
    'load (fruits)'
    """
    section, name = split_job_ref(job_ref)
    label = display_name or name
    if pipeline_name:
        return f"{label} ({pipeline_name})"
    return label if not section or section == name else f"{label} ({section})"
