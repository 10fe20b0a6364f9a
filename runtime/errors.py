"""The errors a person can meet, by family.

A family says what kind of answer the error deserves; only `runtime.api.errors` knows HTTP statuses and only the
command line knows exit codes. A message names the thing and what is wrong with it, a hint says the way out, and
neither may hold a secret. Foreign exceptions (sqlite3, tarfile, OSError) are translated at the door of the room
that met them. A failed run is not an error but an outcome in the store.
"""


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
