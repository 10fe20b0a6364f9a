"""Wake-ups for those who wait."""

import asyncio
import gc
from weakref import ref

from runtime.dispatch.changes import Changes


async def test_an_announcement_wakes_all_who_wait_for_the_key_and_nobody_else() -> None:
    changes = Changes()
    waiting = [asyncio.create_task(changes.event("run").wait()) for _ in range(2)]
    other = changes.event("another")
    await asyncio.sleep(0)
    changes.announce("run")
    await asyncio.gather(*waiting)
    assert not other.is_set()


async def test_an_event_taken_before_an_announcement_is_set_by_it() -> None:
    """What happens between the look at the store and the waiting is not missed."""
    changes = Changes()
    event = changes.event("run")
    changes.announce("run")
    assert event.is_set()
    assert not changes.event("run").is_set()


def test_nothing_is_kept_of_a_key_that_nobody_waits_for_any_more() -> None:
    """A run that is over is never announced again."""
    changes = Changes()
    left = ref(changes.event("run"))
    gc.collect()
    assert left() is None


async def test_the_end_of_the_daemon_wakes_everybody_for_good() -> None:
    changes = Changes()
    event = changes.event("run")
    changes.close()
    assert event.is_set()
    assert changes.event("run").is_set()
