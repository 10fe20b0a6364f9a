"""Finding jobs and runs on the daemon by what a person typed."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from cli.selectors import PREFIX, candidates, is_qualified, is_selector, matching_triggers, the_one
from cli.session import Session, as_uuid
from runtime.errors import NotFoundError
from runtime.wire.failures import MissingError

if TYPE_CHECKING:
    from runtime.wire.jobs import DetailedScriptResponse
    from runtime.wire.run_details import DetailedRunResponse

T = TypeVar("T")


def find_job(session: Session, text: str) -> "DetailedScriptResponse":
    """The job that a name, reference, id or script path means, archived ones included.

    Raises:
        NotFoundError: none.
        InvalidError: several.
    """
    client, workspace_id = session.client, session.workspace_id
    if as_uuid(text) is not None:
        return client.job(workspace_id, text)
    if is_qualified(text):
        try:
            return client.job(workspace_id, text if text.startswith(PREFIX) else PREFIX + text)
        except MissingError:
            pass  # the list below knows what the name may have been meant to be
    jobs = list(client.jobs(workspace_id, archived="all"))
    live = [job.job_ref for job in jobs if not job.archived]
    everything = [job.job_ref for job in jobs]
    found = the_one(text, live if candidates(text, live) else everything)
    return next(job for job in jobs if job.job_ref == found)


def find_jobs(session: Session, words: Sequence[str]) -> "list[DetailedScriptResponse]":
    """The jobs that any of the selectors and names means, in the daemon's order; all jobs for no words.

    Raises:
        NotFoundError: a name is unknown. A selector that matches nothing is no error.
        InvalidError: a name is ambiguous.
    """
    jobs = list(session.client.jobs(session.workspace_id))
    if not words:
        return jobs
    refs = [job.job_ref for job in jobs]
    named = {the_one(word, refs) for word in words if not is_selector(word)}
    selectors = [word for word in words if is_selector(word)]
    return [job for job in jobs if job.job_ref in named or any(_is_selected(job, one) for one in selectors)]


def find_run(session: Session, job: "DetailedScriptResponse", number: int | None) -> "DetailedRunResponse":
    """The newest run of a job, or the one of a number.

    Raises:
        NotFoundError: the job never ran, or not so often.
    """
    for run in session.client.runs(session.workspace_id, job_id=job.id):
        if number is None or run.number == number:
            return run
        if run.number < number:
            break  # newest first: it cannot come any more
    if number is None:
        raise NotFoundError(
            f"`{job.job_ref}` has not run yet", code="run_unknown", hint=f"start it: `dlt-runtime launch {job.job_ref}`"
        )
    raise NotFoundError(
        f"`{job.job_ref}` has no run {number}",
        code="run_unknown",
        hint=f"`dlt-runtime job-run {job.job_ref} list` shows its runs",
    )


def find_runs(session: Session, word: str | None, limit: int) -> "list[DetailedRunResponse]":
    """The newest runs, at most `limit`: of the workspace, of the jobs a selector matches, or of one job."""
    job_id: UUID | None = None
    refs: set[str] | None = None
    if word is not None and is_selector(word):
        refs = {job.job_ref for job in find_jobs(session, [word])}
    elif word is not None:
        job_id = find_job(session, word).id
    runs = session.client.runs(session.workspace_id, job_id=job_id)
    return list(islice((run for run in runs if refs is None or run.script.job_ref in refs), limit))


def _is_selected(job: "DetailedScriptResponse", selector: str) -> bool:
    return bool(matching_triggers(selector, job.script_type, job.triggers or ()))


def known_version(found: T | None, kind: str, version: int | None) -> T:
    """What was found of a `deployment` or a `configuration`, a version or the newest.

    Raises:
        NotFoundError: it is None.
    """
    if found is not None:
        return found
    if version is None:
        message, hint = f"no {kind} has been uploaded yet", "`dlt-runtime deploy` uploads it"
    else:
        message, hint = f"there is no {kind} version {version}", f"`dlt-runtime {kind} list` shows all"
    raise NotFoundError(message, code="version_unknown", hint=hint)
