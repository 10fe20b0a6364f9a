"""What is open is looked at again and again: who loses access loses streams and WebSockets too, within a second."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from runtime.dispatch.visits import Grant, VisitService
from runtime.errors import JobRuntimeError, RefusedError, UnauthenticatedError

LOOK_AGAIN_SECONDS = 0.9
_LAST_SECONDS = 1.0
_PAUSE_SECONDS = 0.05
"""Between two looks, however many changes are announced."""

log = structlog.get_logger()


class Watch:
    """Ends what is under way with a grant when that stands no more."""

    def __init__(self, visits: VisitService) -> None:
        self._visits = visits
        self._held: dict[object, tuple[Grant, Callable[[], None]]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self, grant: Grant, end: Callable[[], None]) -> Iterator[None]:
        """Call `end` if the grant is lost meanwhile."""
        key = object()
        self._held[key] = (grant, end)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._held.pop(key, None)

    def close(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        while self._held:
            workspaces = {grant.app.workspace_id for grant, _ in self._held.values()}
            await self._visits.changed(workspaces, LOOK_AGAIN_SECONDS)
            if self._visits.is_closing:
                await asyncio.sleep(_LAST_SECONDS)
                self._end_all()
                return
            good: dict[tuple[object, object], bool] = {}
            for held_key, (grant, end) in list(self._held.items()):
                key = (grant.app.job_id, grant.claim)
                if key not in good:
                    good[key] = await self._stands(grant)
                if not good[key] and self._held.pop(held_key, None) is not None:
                    end()
            await asyncio.sleep(_PAUSE_SECONDS)

    def _end_all(self) -> None:
        """The daemon ends: what is still under way is no short request."""
        while self._held:
            _, end = self._held.popitem()[1]
            end()

    async def _stands(self, grant: Grant) -> bool:
        try:
            return (await self._visits.look(grant.app, grant.claim, anew=True)).is_good
        except (UnauthenticatedError, RefusedError) as error:
            log.info("access to an app has ended", action="proxy.watch", slug=grant.app.slug, code=error.code)
            return False
        except JobRuntimeError as error:  # that we cannot look says nothing of the visitor; the next look is soon
            log.warning(error.message, action="proxy.watch", slug=grant.app.slug, code=error.code)
            return True
