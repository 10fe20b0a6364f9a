"""Device logins as the person sees them who lets one in: what asks, since when, from where; then yes or no.

A person approves for themselves only. Codes are short enough to be typed, so trying them out is slowed down: a wrong
one counts against the user who typed it.
"""

from dataclasses import dataclass
from datetime import datetime

from runtime.auth.codes import digest, normalise_user_code
from runtime.auth.throttling import FREE_FOR_CODES, own_wait
from runtime.dispatch.clock import Clock, system_clock
from runtime.dispatch.signing_in import TooSoonError
from runtime.domain.identities import User
from runtime.errors import ConflictError, NotFoundError
from runtime.store import attempts, audit, credentials
from runtime.store.credentials import DeviceLogin
from runtime.store.database import Connection, Database


@dataclass(frozen=True)
class WaitingLogin:
    """A login that waits for a person's word. `client` is what the program says of itself, which proves nothing."""

    user_code: str
    age_seconds: float
    address: str | None
    client: str | None


class ApprovalService:
    """Shows waiting logins to people, and takes their word."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def look(self, user: User, user_code: str) -> WaitingLogin:
        """The login that waits with a code.

        Raises:
            NotFoundError: none does.
            ConflictError: it was approved or denied before.
            TooSoonError: this user has tried too many wrong codes.
        """
        now = self._clock()
        login = await self._find(user, user_code, now)
        return WaitingLogin(login.user_code, (now - login.created_at).total_seconds(), login.address, login.client)

    async def approve(self, user: User, user_code: str) -> None:
        """Let the login in as this user; raises as `look`."""
        now = self._clock()
        code = (await self._find(user, user_code, now)).user_code
        async with self._database.transaction() as connection:
            await find_waiting(connection, code, now)
            await credentials.approve_device_login(connection, code, user.id)
            await audit.record(connection, at=now, user_id=user.id, action="login.approve", subject=user.email)

    async def deny(self, user: User, user_code: str) -> None:
        """Send the login away: its program is told at its next poll. Raises as `look`."""
        now = self._clock()
        code = (await self._find(user, user_code, now)).user_code
        async with self._database.transaction() as connection:
            await find_waiting(connection, code, now)
            await credentials.deny_device_login(connection, code, now)
            await audit.record(connection, at=now, user_id=user.id, action="login.deny", subject=code)

    async def _find(self, user: User, user_code: str, now: datetime) -> DeviceLogin:
        """A waiting login; a code that none has is counted against the user."""
        subject = digest(f"codes:{user.id}")
        async with self._database.read() as connection:
            if wait := own_wait(await attempts.find_attempts(connection, subject), FREE_FOR_CODES, now):
                raise TooSoonError(wait)
            try:
                return await find_waiting(connection, user_code, now)
            except NotFoundError as error:
                missing = error
        async with self._database.transaction() as connection:
            await attempts.count_attempt(connection, subject, now)
        raise missing


async def find_waiting(connection: Connection, user_code: str, now: datetime) -> DeviceLogin:
    """The login that waits with a code as typed.

    Raises:
        NotFoundError: none does, or it waited too long.
        ConflictError: it was approved or denied before.
    """
    code = normalise_user_code(user_code)
    login = await credentials.find_device_login_by_user_code(connection, code)
    if login is None or login.expires_at <= now:
        raise NotFoundError(
            f"no login is waiting with the code `{code}`",
            code="login_not_found",
            hint="codes live some minutes only; begin the login again",
        )
    if login.user_id is not None:
        raise ConflictError(f"the login `{code}` has been approved already", code="login_approved")
    if login.denied_at is not None:
        raise ConflictError(f"the login `{code}` has been denied", code="login_denied")
    return login
