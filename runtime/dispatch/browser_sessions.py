"""How long people stay signed in in a browser: shared by the pages and by the apps, which one sign-in opens."""

from datetime import datetime, timedelta

import structlog

from runtime.errors import StoreError, UnavailableError
from runtime.settings import AuthSettings
from runtime.store import logins
from runtime.store.database import Database
from runtime.store.logins import BrowserSession

SEEN_AGAIN_AFTER = timedelta(minutes=1)
"""How exact `seen_at` is: not every page that is looked at is worth a write."""

log = structlog.get_logger()


def lives(session: BrowserSession, settings: AuthSettings, now: datetime) -> bool:
    """Whether a session is neither too old nor has stood idle for too long."""
    longest = timedelta(seconds=settings.browser_session_seconds)
    idle = timedelta(seconds=settings.browser_idle_seconds)
    return now - session.created_at < longest and now - session.seen_at < idle


async def note_use(database: Database, session: BrowserSession, now: datetime) -> None:
    """Note that a session is in use; what cannot be noted, as on a full disk, shuts nobody out."""
    if now - session.seen_at < SEEN_AGAIN_AFTER:
        return
    try:
        async with database.transaction() as connection:
            await logins.touch_session(connection, session.digest, now)
    except (StoreError, UnavailableError) as error:
        log.warning(error.message, action="sessions.touch", code=error.code)
