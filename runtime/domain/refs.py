"""Job references: `jobs.<section>.<name>` or `jobs.<name>` (semantics J1)."""

import re

from runtime.errors import InvalidError

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
