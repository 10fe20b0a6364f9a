"""What screens have the daemon do: each returns one sentence on what came of it, and may raise `ApiError`."""

from cli.output.jobs import short_ref
from cli.output.triggers import skip_reason
from runtime.wire.jobs import DetailedScriptResponse, TriggerJobsRequest
from runtime.wire.run_details import DetailedRunResponse
from tui.place import Place
from tui.wording import run_title


def launch(place: Place, job: DetailedScriptResponse, *, refresh: bool = False) -> str:
    """Start a job."""
    request = TriggerJobsRequest(job_refs=[job.job_ref], refresh=refresh)
    (triggered,) = place.client.trigger(place.workspace_id, request)
    if triggered.run is None:
        return f"{short_ref(job.job_ref)} was not started: {skip_reason(triggered)}"
    return f"started run {triggered.run.number} of {short_ref(job.job_ref)}" + (" with refresh" if refresh else "")


def cancel_job(place: Place, job: DetailedScriptResponse) -> str:
    """Stop the newest active run of a job."""
    done = place.client.cancel_jobs(place.workspace_id, [job.job_ref])
    if not done.cancelled:
        return f"{short_ref(job.job_ref)} has no active run"
    return f"run {done.cancelled[0].run_number} of {short_ref(job.job_ref)} is being cancelled"


def cancel_run(place: Place, run: DetailedRunResponse) -> str:
    """Stop a run."""
    stopping = place.client.cancel_run(place.workspace_id, run.id)
    return f"{run_title(run, run.script.job_ref)}: {stopping.status}"


def pause_or_resume(place: Place, job: DetailedScriptResponse) -> str:
    """Keep the clock from starting a job, or let it start it again."""
    if job.paused:
        place.schedules.resume(job.job_ref)
        return f"{short_ref(job.job_ref)} is started by the clock again"
    place.schedules.pause(job.job_ref)
    return f"{short_ref(job.job_ref)} is paused: the clock does not start it"


def override(place: Place, job: DetailedScriptResponse, trigger: str) -> str:
    """Put another schedule in the place of the declared one."""
    return f"{short_ref(job.job_ref)}: {place.schedules.override(job.job_ref, trigger).in_words}"


def revert(place: Place, job: DetailedScriptResponse) -> str:
    """Return to the schedule in the code."""
    return f"{short_ref(job.job_ref)}: {place.schedules.revert(job.job_ref).in_words or 'no schedule'}"


def switch_link(place: Place, job: DetailedScriptResponse) -> str:
    """Switch the public link of a job on or off."""
    if job.public_url:
        place.client.unpublish(place.workspace_id, job.job_ref)
        return f"{short_ref(job.job_ref)}: the public link is off"
    published = place.client.publish(place.workspace_id, job.job_ref)
    return f"{short_ref(job.job_ref)}: {published.public_url or 'the daemon gives no public link'}"


def redeploy_plan(place: Place, version: int) -> str:
    """What deploying a version again would do."""
    done = place.code.redeploy(version, dry_run=True)
    plans = [plan for plan in done.modules if plan.added or plan.updated or plan.archived]
    jobs = [
        f"{verb} {', '.join(short_ref(ref) for ref in refs)}"
        for plan in plans
        for verb, refs in (
            ("adds", [job.job_ref for job in plan.added]),
            ("changes", [change.script.job_ref for change in plan.updated]),
            ("archives", [job.job_ref for job in plan.archived]),
        )
        if refs
    ]
    code = "The code stays" if done.deployment else f"The code of version {version} becomes the newest"
    warnings = [*done.warnings, *(warning for plan in done.modules for warning in plan.warnings)]
    return "\n".join([f"{code}; it {'; '.join(jobs) or 'changes no job'}.", *warnings])


def redeploy(place: Place, version: int) -> str:
    """Make an older version of the code the newest again."""
    done = place.code.redeploy(version)
    newest = done.deployment.version if done.deployment else "?"
    return f"version {version} of the code is deployed as version {newest}"


def archive_or_not(place: Place, job: DetailedScriptResponse) -> str:
    """Archive a job, or bring it back."""
    if job.archived:
        place.console.unarchive(job.job_ref)
        return f"{short_ref(job.job_ref)} is back"
    place.console.archive(job.job_ref)
    return f"{short_ref(job.job_ref)} is archived: it keeps its runs and starts no more"
