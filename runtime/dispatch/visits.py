"""Who may use an app: members of its workspace, and whoever holds the secret of its public link.

A browser shows what lets it in once, at the address of the API (its session there) or of the link. That yields a
ticket, good once and for a minute, for which it gets a cookie at the app's own address: a *visit*. A member's ticket is
bound to the browser that asked for it; a link's is not, since whoever could pass it on may pass the link on. A visit is
never worth more than what it came from, which is looked at again and again: session and membership, or the link.
Programs bring an access token, or the link's secret in the address, and have no visit.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import structlog

from runtime.auth.codes import digest, is_secret, new_secret
from runtime.dispatch.accounts import AccountService
from runtime.dispatch.apps import App
from runtime.dispatch.browser_sessions import lives, note_use
from runtime.dispatch.changes import Changes
from runtime.dispatch.clock import Clock
from runtime.domain.identities import Principal, User, effective_role
from runtime.errors import NotFoundError, PassingError, RefusedError, UnauthenticatedError
from runtime.settings import AuthSettings
from runtime.store import audit, identities, logins, public_links, workspaces
from runtime.store import visits as store
from runtime.store.database import Connection, Database
from runtime.store.visits import Visit

TICKET_SECONDS = 60
MOST_TICKETS = 20
"""That one session has at a time: tabs that a browser opens at once. The oldest make room."""
TRUSTED_SECONDS = 2.0
"""So long what was found to be good counts as good, unless a change is announced before."""
NOTED_FOR = timedelta(hours=1)
"""So long one line of the audit trail stands for all that comes with the same token or link."""
_MOST_REMEMBERED = 10_000

log = structlog.get_logger()

Standing = Literal["good", "unknown", "revoked", "no_member"]


@dataclass(frozen=True)
class Claim:
    """What a request shows: the cookie of a visit, an access token, or the secret of a link. One of them is set."""

    cookie: str | None = None
    token: str | None = None
    link: UUID | None = None


@dataclass(frozen=True)
class Grant:
    """How a claim stands with an app.

    Attributes:
        standing: `good`; or `unknown`, as a cookie that has expired; or `revoked`, of a link; or `no_member`, for
            somebody who is known but may not see the workspace.
        user_id: Who it is; None with a public link.
        is_public: Whether a public link is behind it.
    """

    app: App
    claim: Claim
    standing: Standing
    user_id: UUID | None = None
    is_public: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the app may be used."""
        return self.standing == "good"


class VisitService:
    """Lets visitors in, and knows who still may stay."""

    def __init__(
        self, database: Database, changes: Changes, accounts: AccountService, settings: AuthSettings, clock: Clock
    ) -> None:
        self._database = database
        self._changes = changes
        self._accounts = accounts
        self._settings = settings
        self._clock = clock
        self._remembered: OrderedDict[tuple[UUID, Claim], tuple[Grant, float, asyncio.Event]] = OrderedDict()
        self._noted: OrderedDict[tuple[UUID, Claim], datetime] = OrderedDict()

    async def ticket_of_member(self, user: User, session_secret: str, app: App, mark_digest: str) -> str:
        """Let the browser of somebody who is signed in go on to the app.

        Args:
            mark_digest: In hexadecimal, of the mark that this browser has at the app's address.

        Raises:
            NotFoundError: they are no member of its workspace.
        """
        async with self._database.read() as connection:
            if await _role(connection, Principal(user=user), app) is None:
                raise NotFoundError("there is no such app, or none of yours", code="app_not_found")
        return await self._ticket(app, mark_digest, session=digest(session_secret))

    async def ticket_of_link(self, app: App, secret: UUID) -> str:
        """Let a browser that came by a public link go on to the app."""
        return await self._ticket(app, "", link=digest(str(secret)))

    async def enter(self, app: App, ticket: str, marks: Sequence[str] = ()) -> str:
        """Take a ticket, begin a visit; returns the secret for its cookie.

        Args:
            marks: What the browser may have been marked with when it was sent for the ticket.

        Raises:
            RefusedError: the ticket has been used, is too old, another browser's or for another app.
        """
        if not is_secret(ticket):
            raise _no_ticket()
        digests = [digest(ticket), *(digest(ticket + digest(mark).hex()) for mark in marks)]
        async with self._database.read() as connection:  # what is no ticket must not keep the only writer busy
            known = [each for each in digests if await store.has_ticket(connection, each)]
        if not known:
            raise _no_ticket()
        now, cookie = self._clock(), new_secret()
        async with self._database.transaction() as connection:
            await store.delete_old_visits(connection, now)
            found = await store.take_ticket(connection, known[0])
            if found is not None and found.job_id == app.job_id:
                lasts = timedelta(seconds=self._settings.browser_session_seconds)
                visit = found.model_copy(update={"digest": digest(cookie), "expires_at": now + lasts})
                await store.add_visit(connection, visit, now)
                session = await logins.find_session(connection, visit.session) if visit.session else None
                by = "session" if visit.session else "link"
                await _record(connection, app, session.user_id if session else None, by, now)
                return cookie
        raise _no_ticket()

    async def look(self, app: App, claim: Claim, *, anew: bool = False) -> Grant:
        """How a claim stands; from memory for a moment, unless `anew`.

        Raises:
            UnauthenticatedError: the token is none of ours, or none any more.
        """
        key, now = (app.job_id, claim), time.monotonic()
        found = self._remembered.get(key)
        if found is not None and not anew and not found[2].is_set() and now - found[1] < TRUSTED_SECONDS:
            return found[0]
        unchanged = self._changes.event(app.workspace_id)
        grant = await self._judge(app, claim)
        self._remembered[key] = (grant, now, unchanged)
        self._remembered.move_to_end(key)
        while len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return grant

    async def note(self, grant: Grant) -> None:
        """Put into the audit trail that somebody uses an app without a visit of their own, once in an hour.

        A visit with a cookie has been put there when it began. That the trail cannot be written shuts nobody out.
        """
        if grant.claim.cookie is not None:
            return
        key, now = (grant.app.job_id, grant.claim), self._clock()
        noted = self._noted.get(key)
        if noted is not None and now - noted < NOTED_FOR:
            return
        self._noted[key] = now
        self._noted.move_to_end(key)
        while len(self._noted) > _MOST_REMEMBERED:
            self._noted.popitem(last=False)
        try:
            async with self._database.transaction() as connection:
                await _record(connection, grant.app, grant.user_id, "link" if grant.is_public else "token", now)
        except PassingError as error:
            self._noted.pop(key, None)
            log.warning("a visit was not noted", action="app.visit", slug=grant.app.slug, error=error.message)

    @property
    def is_closing(self) -> bool:
        """Whether the daemon is about to end."""
        return self._changes.is_closed

    async def changed(self, workspace_ids: set[UUID], seconds: float) -> None:
        """Wait until something in these workspaces may have changed, or for some seconds."""
        if self.is_closing:
            await asyncio.sleep(seconds)  # nothing is announced any more
            return
        waiting = [asyncio.ensure_future(self._changes.event(each).wait()) for each in workspace_ids]
        try:
            await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def _judge(self, app: App, claim: Claim) -> Grant:
        if claim.token is not None:
            principal = await self._accounts.authenticate(claim.token)
            async with self._database.read() as connection:
                role = await _role(connection, principal, app)
            return Grant(app, claim, "good" if role else "no_member", principal.user.id)
        if claim.link is not None:
            async with self._database.read() as connection:
                link = await public_links.find_link(connection, app.job_id)
            return Grant(app, claim, "good" if link == claim.link else "revoked", is_public=True)
        return await self._judge_visit(app, claim)

    async def _judge_visit(self, app: App, claim: Claim) -> Grant:
        now = self._clock()
        async with self._database.read() as connection:
            visit = await store.find_visit(connection, digest(claim.cookie or ""))
            if visit is None or visit.job_id != app.job_id or now >= visit.expires_at:
                return Grant(app, claim, "unknown")
            if visit.link is not None:
                link = await public_links.find_link(connection, app.job_id)
                stands = link is not None and digest(str(link)) == visit.link
                return Grant(app, claim, "good" if stands else "revoked", is_public=True)
            session = await logins.find_session(connection, visit.session or b"")
            user = await identities.find_user(connection, session.user_id) if session else None
            if (
                session is None
                or user is None
                or user.disabled_at is not None
                or not lives(session, self._settings, now)
            ):
                return Grant(app, claim, "unknown")
            role = await _role(connection, Principal(user=user), app)
        await note_use(self._database, session, now)
        return Grant(app, claim, "good" if role else "no_member", user.id)

    async def _ticket(
        self, app: App, mark_digest: str, *, session: bytes | None = None, link: bytes | None = None
    ) -> str:
        ticket, now = new_secret(), self._clock()
        async with self._database.transaction() as connection:
            await store.delete_old_visits(connection, now)
            if session is not None:
                await store.delete_tickets_of_session(connection, session, MOST_TICKETS - 1)
            await store.add_ticket(
                connection,
                Visit(
                    digest=digest(ticket + mark_digest),
                    job_id=app.job_id,
                    session=session,
                    link=link,
                    expires_at=now + timedelta(seconds=TICKET_SECONDS),
                ),
            )
        return ticket

    async def is_ours(self, token: str) -> bool:
        """Whether a bearer token is one of ours, good or not: then it is nobody else's business."""
        try:
            await self._accounts.authenticate(token)
        except UnauthenticatedError as error:
            return error.code != "token_invalid"
        return True


def _no_ticket() -> RefusedError:
    return RefusedError("this way in has been used before, is too old, or was another browser's", code="app_ticket")


async def _record(connection: Connection, app: App, user_id: UUID | None, by: str, now: datetime) -> None:
    await audit.record(
        connection,
        at=now,
        user_id=user_id,
        workspace_id=app.workspace_id,
        action="app.visit",
        subject=app.job_ref,
        detail={"by": by},
    )


async def _role(connection: Connection, principal: Principal, app: App) -> object:
    membership = await workspaces.find_role(connection, app.workspace_id, principal.user.id)
    return effective_role(principal, app.workspace_id, membership)
