"""The errors a person can meet, by family.

A family says what kind of answer the error deserves; only `runtime.api.errors` knows HTTP statuses and only the
command line knows exit codes. A message names the thing and what is wrong with it, a hint says the way out, and
neither may hold a secret. Foreign exceptions (sqlite3, tarfile, OSError) are translated at the door of the room
that met them. A failed run is not an error but an outcome in the store.
"""

import errno


class JobRuntimeError(Exception):
    """Base of every expected error.

    Attributes:
        message: One sentence without a full stop, names in backticks.
        code: Stable machine-readable word, for example `job_not_found`.
        hint: What the person can do about it, or None.
    """

    code = "runtime_error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint


def sentence(message: str) -> str:
    """An error's words, which are written for a terminal, as a page has them."""
    return f"{message[:1].upper()}{message[1:]}."


class NotFoundError(JobRuntimeError):
    """The thing named does not exist, or the caller may not know that it does."""

    code = "not_found"


class ConflictError(JobRuntimeError):
    """The request is well formed but does not fit the present state."""

    code = "conflict"


class InvalidError(JobRuntimeError):
    """The input is wrong; repeating it will not help."""

    code = "invalid"


class UnauthenticatedError(JobRuntimeError):
    """Nobody, or nobody known, is asking."""

    code = "unauthenticated"


class RefusedError(JobRuntimeError):
    """Somebody known asks for what their role does not allow."""

    code = "refused"


class UnavailableError(JobRuntimeError):
    """A part the daemon leans on (uv, bubblewrap, pasta, disk) does not work at present."""

    code = "unavailable"


class StoreError(JobRuntimeError):
    """The database could not be opened, read or written."""

    code = "store"


class PassingError(UnavailableError):
    """Nothing is wrong with what was asked: it did not go through just now, and does when it is tried again later.

    Whoever looks after something that lives on, a run for one, waits a moment and tries again, for as long as it takes.
    """

    code = "passing"


class StoreBusyError(PassingError, StoreError):
    """The database could not be read or written just now: others hold it, or the machine refused its disk or memory."""

    code = "store_busy"


class DiskFullError(PassingError):
    """The disk of the state directory has no room for this; everything else goes on, and this does when there is."""

    code = "disk_full"


def is_full(error: OSError) -> bool:
    """Whether the system says that there is no room, on the disk or in the user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_error(what: str, error: OSError) -> UnavailableError:
    """The error for something that the disk did not take; `what` is the first half of its sentence."""
    message = f"{what}: {error.strerror or error}"
    if is_full(error):
        return DiskFullError(message, hint=ROOM_HINT)
    return UnavailableError(message, code="disk")


BUSY_HINT = "try again in a moment; `dlt-runtime doctor` looks at the database and its disk"
ROOM_HINT = "make room on the disk of the state directory; `dlt-runtime doctor` says how much there is"
