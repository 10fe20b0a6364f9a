"""People in a browser: signing in with a password or with GitHub, staying signed in, signing out.

A session is a random secret in a cookie and a row with its digest; it ends by being signed out, by standing idle, or
by its age, and with the user it belongs to. It opens the pages only: the API takes no cookie. How attempts are slowed
down is argued in `runtime.auth.throttling`.
"""

import math
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import structlog

from runtime.auth.codes import digest, new_secret
from runtime.auth.github import GitHubPerson
from runtime.auth.passwords import Passwords, check_password
from runtime.auth.throttling import (
    FORGET_AFTER,
    FREE_FOR_BROWSER,
    MOST_FOR_BROWSER,
    MOST_SUBJECTS,
    network_of,
    own_wait,
    stranger_wait,
)
from runtime.dispatch.browser_sessions import lives, note_use
from runtime.dispatch.clock import Clock, system_clock
from runtime.dispatch.people import check_email, named_user
from runtime.domain.identities import Principal, User
from runtime.errors import ConflictError, InvalidError, JobRuntimeError, RefusedError, UnauthenticatedError
from runtime.settings import AuthSettings
from runtime.store import attempts, audit, identities, logins
from runtime.store.database import Connection, Database
from runtime.store.logins import BrowserSession, GitHubAccount, SignInMethod

MOST_BROWSERS = 20

log = structlog.get_logger()


class TooSoonError(RefusedError):
    """An attempt came before it was its time.

    Attributes:
        wait_seconds: How long until the next one is let through, rounded up.
    """

    code = "too_soon"

    def __init__(self, wait: float) -> None:
        self.wait_seconds = max(1, math.ceil(wait))
        seconds = "1 second" if self.wait_seconds == 1 else f"{self.wait_seconds} seconds"
        super().__init__(
            "too many attempts went wrong", hint=f"try again in {seconds}, or ask an administrator to let you in"
        )


@dataclass(frozen=True)
class Visitor:
    """Where an attempt comes from: the peer's address, and the secret with which a browser says that it is known."""

    address: str | None
    browser_secret: str | None = None


@dataclass(frozen=True)
class SignedIn:
    """Two secrets for the browser: of its session, and to be known by next time."""

    user: User
    session_secret: str
    browser_secret: str


class SignInService:
    """Signs people in and out of the pages."""

    def __init__(
        self, database: Database, settings: AuthSettings, passwords: Passwords, clock: Clock = system_clock
    ) -> None:
        self._database = database
        self._settings = settings
        self._passwords = passwords
        self._clock = clock

    async def change_password(self, principal: Principal, old: str, new: str, visitor: Visitor) -> None:
        """Another password for whoever asks and knows the present one; their browser sessions end.

        A wrong one counts as a sign-in that failed, so that a stolen access token does not help to guess it.

        Raises:
            RefusedError: a machine's token asks, or (`TooSoonError`) too many attempts have failed.
            InvalidError: the present password is another one, or there is none; or the new one is not good enough.
            UnavailableError: too many passwords are looked at at this moment.
        """
        if principal.workspace_id is not None:
            raise RefusedError("a machine's token does not change the password of the person it belongs to")
        try:
            await self._check_password(principal.user.email, old, visitor)
        except UnauthenticatedError as error:
            raise InvalidError(
                "this is not your present password",
                code="password",
                hint="an administrator can set one: `dlt-runtime user password EMAIL`",
            ) from error
        await self.set_password(principal, principal.user.email, new)

    async def set_password(self, principal: Principal, email: str, password: str) -> User:
        """Give a person a password, or another one, which ends their browser sessions.

        Raises:
            NotFoundError: there is no such user.
            InvalidError: the password is not good enough.
        """
        hashed = await self._passwords.hash(self.check_new_password(email, password))
        now = self._clock()
        async with self._database.transaction() as connection:
            user = await named_user(connection, email)
            await logins.save_password_hash(connection, user.id, hashed, now)
            await logins.delete_sessions_of(connection, user.id)
            await audit.record(
                connection, at=now, user_id=principal.user.id, action="user.password", subject=user.email
            )
        return user

    def check_new_password(self, email: str, password: str) -> str:
        """The password as it is hashed, if it is good enough for this person; InvalidError if it is not."""
        return check_password(password, email.strip(), self._settings.password_length)

    async def with_password(self, email: str, password: str, visitor: Visitor) -> SignedIn:
        """Sign in.

        Raises:
            TooSoonError: too many attempts have failed; this one was not looked at.
            UnauthenticatedError: unknown, disabled, without a password, or the password is wrong: one answer for all.
            UnavailableError: too many sign in at this moment.
        """
        return await self._sign_in(await self._check_password(email, password, visitor), "password", visitor)

    async def _check_password(self, email: str, password: str, visitor: Visitor) -> User:
        """The user whose email and password these are; raises what `with_password` does."""
        attempt = await self._look_up(email, visitor)
        await self._admit(attempt)
        try:
            is_right = await self._passwords.is_right(password, attempt.hashed, is_known=attempt.is_known)
        except JobRuntimeError:
            await self._take_back(attempt)  # it was not looked at
            raise
        user = attempt.user
        if not is_right or user is None or user.disabled_at is not None:
            log.warning("A sign-in failed", action="sign_in", user_id=str(user.id) if user else None)
            raise UnauthenticatedError("email and password do not fit", code="sign_in")
        await self._take_back(attempt)
        if attempt.hashed and self._passwords.is_outdated(attempt.hashed):
            renewed = await self._passwords.hash(password)
            async with self._database.transaction() as connection:
                await logins.replace_password_hash(connection, user.id, attempt.hashed, renewed)
        return user

    async def with_github(self, person: GitHubPerson, visitor: Visitor) -> SignedIn:
        """Sign in somebody whom GitHub knows and the allow-list names; the first time makes them a user.

        A GitHub account is known by its number, not by its name, which can change hands. The first time it is
        connected to the user of its verified primary email, if there is one already.

        Raises:
            RefusedError: the user is disabled.
            ConflictError: the user of this email is connected to another GitHub account.
            InvalidError: the email is none for a user.
        """
        async with self._database.transaction() as connection:
            user = await self._user_of(connection, person)
            if user.disabled_at is not None:
                raise RefusedError(f"the user `{user.email}` is disabled")
        return await self._sign_in(user, "github", visitor)

    async def current(self, session_secret: str | None) -> User | None:
        """Who is signed in with a session, None if nobody is (any more)."""
        if session_secret is None:
            return None
        now, session_digest = self._clock(), digest(session_secret)
        async with self._database.read() as connection:
            session = await logins.find_session(connection, session_digest)
            user = await identities.find_user(connection, session.user_id) if session else None
        if session is None or user is None or user.disabled_at is not None or not lives(session, self._settings, now):
            return None
        await note_use(self._database, session, now)
        return user

    async def knows_browser(self, browser_secret: str) -> bool:
        """Whether somebody has signed in with this browser before; who that was does not matter."""
        async with self._database.read() as connection:
            return await logins.is_anybodys_browser(connection, digest(browser_secret))

    async def sign_out(self, session_secret: str) -> None:
        """End a session; one that is not there is no error."""
        async with self._database.transaction() as connection:
            await logins.delete_session(connection, digest(session_secret))

    async def _look_up(self, email: str, visitor: Visitor) -> "_Attempt":
        async with self._database.read() as connection:
            user = await identities.find_user_by_email(connection, email.strip())
            hashed = await logins.find_password_hash(connection, user.id) if user else None
            secret = visitor.browser_secret
            if user and secret and await logins.is_known_browser(connection, digest(secret), user.id):
                return _Attempt(user, hashed, (_subject("browser", secret),), digest(secret))
        return _Attempt(
            user, hashed, (_subject("network", network_of(visitor.address)), _subject("account", email.strip().lower()))
        )

    async def _admit(self, attempt: "_Attempt") -> None:
        """Count the attempt, or refuse to look at it because it comes too early."""
        now = self._clock()
        async with self._database.transaction() as connection:
            await attempts.forget_old_attempts(connection, now, FORGET_AFTER, MOST_SUBJECTS)
            counted = [await attempts.find_attempts(connection, subject) for subject in attempt.subjects]
            own, *account = counted
            wait = stranger_wait(own, account[0], now) if account else own_wait(own, FREE_FOR_BROWSER, now)
            if wait:
                raise TooSoonError(wait)
            for subject in attempt.subjects:
                await attempts.count_attempt(connection, subject, now)
            if attempt.browser and own.count + 1 >= MOST_FOR_BROWSER:
                await logins.forget_browser(connection, attempt.browser)

    async def _take_back(self, attempt: "_Attempt") -> None:
        async with self._database.transaction() as connection:
            for subject in attempt.subjects:
                await attempts.take_attempt_back(connection, subject)

    async def _user_of(self, connection: Connection, person: GitHubPerson) -> User:
        now = self._clock()
        if account := await logins.find_github_account(connection, person.id):
            found = await identities.find_user(connection, account.user_id)
            if found is not None:
                return found
        user = await identities.find_user_by_email(connection, check_email(person.email))
        if user is None:
            user = User(id=uuid4(), email=person.email, local_uid=None, created_at=now, disabled_at=None)
            await identities.add_user(connection, user)
        elif await logins.has_github_account(connection, user.id):
            raise ConflictError(
                f"the user `{user.email}` is connected to another GitHub account", code="github_account"
            )
        await logins.add_github_account(
            connection, GitHubAccount(github_id=person.id, user_id=user.id, login=person.login), now
        )
        await audit.record(
            connection,
            at=now,
            user_id=user.id,
            action="user.github",
            subject=user.email,
            detail={"login": person.login},
        )
        return user

    async def _sign_in(self, user: User, method: SignInMethod, visitor: Visitor) -> SignedIn:
        now, session_secret = self._clock(), new_secret()
        async with self._database.transaction() as connection:
            browser_secret = visitor.browser_secret
            if not browser_secret or not await logins.is_known_browser(connection, digest(browser_secret), user.id):
                browser_secret = new_secret()
            await logins.remember_browser(connection, digest(browser_secret), user.id, now, MOST_BROWSERS)
            await attempts.forget_attempts(connection, _subject("browser", browser_secret))
            await logins.delete_old_sessions(
                connection,
                created_before=now - timedelta(seconds=self._settings.browser_session_seconds),
                seen_before=now - timedelta(seconds=self._settings.browser_idle_seconds),
            )
            await logins.add_session(
                connection,
                BrowserSession(
                    digest=digest(session_secret), user_id=user.id, method=method, created_at=now, seen_at=now
                ),
            )
            await audit.record(connection, at=now, user_id=user.id, action="browser.sign_in", detail={"method": method})
        return SignedIn(user, session_secret, browser_secret)


@dataclass(frozen=True)
class _Attempt:
    """What is known of an attempt before it is let try, and what it is counted for.

    `subjects` is the browser where it is known, else the network and the account; `browser` is the known one's digest.
    """

    user: User | None
    hashed: str | None
    subjects: tuple[bytes, ...]
    browser: bytes | None = None

    @property
    def is_known(self) -> bool:
        return self.browser is not None


def _subject(kind: str, what: str) -> bytes:
    return digest(f"{kind}:{what}")
