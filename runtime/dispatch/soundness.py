"""Whether the database is sound, where the look at it before the start came to an end before it had seen everything."""

import asyncio

import structlog

from runtime.errors import StoreError
from runtime.store.database import Database
from runtime.store.integrity import DamagedError, check_all_pages

log = structlog.get_logger()

_AGAIN_SECONDS = 600.0


class Soundness:
    """Looks at the rest while the daemon serves, once.

    `is_known` once every page has been looked at. `fault` is what was found: the daemon goes on, since what can still
    be read is worth having, but is not ready any more.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.is_known = database.is_checked
        self.fault: DamagedError | None = None

    async def run(self) -> None:
        """Look, if there is anything left to look at."""
        if not self.is_known:
            log.warning(
                "the database was checked in part; the rest is looked at now", action="database.checked_in_part"
            )
        while not self.is_known:
            try:
                await check_all_pages(self._database.path)
            except DamagedError as error:
                self.fault = error
                log.error(error.message, action="database.damaged", hint=error.hint)  # noqa: TRY400 - found, not raised
            except StoreError as error:
                log.warning(error.message, action="database.unchecked")
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            else:
                log.info("the database is sound, every page of it", action="database.sound")
            self.is_known = True
