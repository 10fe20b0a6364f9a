"""Showing a run while it happens: statuses as messages, log lines as data, and the run's end as an exit status."""

from typing import TYPE_CHECKING

from cli.exit_codes import ExitCode
from cli.output.console import status_style
from cli.output.jobs import short_ref, took
from cli.output.log_lines import log_line
from cli.session import Session
from runtime.wire.following import DaemonAway, LineLogged, RunFollower, StatusChanged
from runtime.wire.runs import FINAL_RUN_STATUSES

if TYPE_CHECKING:
    from runtime.wire.run_details import DetailedRunResponse
    from runtime.wire.runs import RunResponse


def follow_run(session: Session, run: "RunResponse", job_ref: str, *, as_json: bool = False) -> ExitCode:
    """Show a run to its end.

    Args:
        as_json: Print log lines as JSON, one a line.

    Returns:
        DONE for completed, FAILED for failed, cancelled and skipped, INTERRUPTED after Ctrl-C, which leaves it running.
    """
    output = session.output
    follower = RunFollower(session.client, session.workspace_id, run.id)
    last = None
    try:
        for event in follower.events():
            if isinstance(event, LineLogged):
                line = event.line
                if as_json:
                    output.json_line(line.to_wire())
                else:
                    output.line(
                        log_line(
                            line.line_num,
                            line.reported_at,
                            line.channel,
                            line.content,
                            timestamps=output.timestamps,
                        )
                    )
            elif isinstance(event, StatusChanged):
                last = event.run
                if last.status not in FINAL_RUN_STATUSES:
                    output.message(f"run {last.number} of {short_ref(job_ref)}: {last.status}")
            elif isinstance(event, DaemonAway):
                output.warning(f"{event.reason}; waiting for it to come back")
    except KeyboardInterrupt:
        output.message(
            f"\nrun {run.number} of {short_ref(job_ref)} goes on without you; follow it again with "
            f"`dlt-runtime logs {short_ref(job_ref)} {run.number} -f`"
        )
        return ExitCode.INTERRUPTED
    return _report_end(session, last, job_ref) if last is not None else ExitCode.FAILED


def _report_end(session: Session, run: "DetailedRunResponse", job_ref: str) -> ExitCode:
    words = f"run {run.number} of {short_ref(job_ref)}: {run.status}"
    if (seconds := took(run)) is not None:
        words += f" after {session.output.duration(seconds)}{'' if session.output.is_terminal else ' s'}"
    if run.reason:
        words += f": {run.reason}"
    session.output.message(words, style=status_style(run.status))
    return ExitCode.DONE if run.status == "completed" else ExitCode.FAILED
