"""Exit statuses, which scripts rely on."""

from enum import IntEnum

from runtime.errors import JobRuntimeError, NotFoundError


class ExitCode(IntEnum):
    """What the status of a command says."""

    DONE = 0
    """The command did what was asked; a followed run completed."""

    FAILED = 1
    """The command was refused or went wrong; a followed run failed or was cancelled."""

    USAGE = 2
    """The command line is wrong."""

    NOT_FOUND = 3
    """Something named does not exist."""

    NO_DAEMON = 4
    """No daemon answers."""

    INTERRUPTED = 130
    """Ctrl-C; a run that was followed goes on."""


def exit_code_for(error: JobRuntimeError) -> ExitCode:
    """The status a command ends with after an error."""
    if error.code == "daemon_unreachable":
        return ExitCode.NO_DAEMON
    if error.code in ("url", "terminal"):
        return ExitCode.USAGE
    return ExitCode.NOT_FOUND if isinstance(error, NotFoundError) else ExitCode.FAILED
