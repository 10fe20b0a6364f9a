"""Delivery of one message by apprise, in a thread that harms nobody when it hangs.

A plugin may wait for its server for as long as that keeps a connection open, and no thread can be ended from outside.
So each attempt has a thread of its own, which keeps no process from ending; whoever makes attempts sees to it that a
target has no second one while its last goes on.
"""

import asyncio
import logging
import threading
from contextlib import suppress
from typing import Protocol

from runtime.domain.notices import Notice
from runtime.errors import UnavailableError
from runtime.settings import NotifySettings

logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it writes addresses with their secrets into the log

_REFUSED = "it was not accepted; see that the address is right and reachable"


class Sender(Protocol):
    """Delivers a message; blocks."""

    def __call__(self, url: str, notice: Notice) -> bool:
        """Whether it was accepted."""


def send(url: str, notice: Notice) -> bool:
    """Deliver a message by apprise. Raises UnavailableError if the address is none."""
    import apprise  # a fifth of a second, for those who use it

    courier = apprise.Apprise()
    if not courier.add(url):
        raise UnavailableError("its address is none that apprise knows", code="notify_url")
    return bool(courier.notify(title=notice.title, body=notice.body, body_format=apprise.NotifyFormat.TEXT))


def is_known(url: str) -> bool:
    """Whether apprise takes this for an address, so that messages may arrive there; blocks for a moment."""
    try:
        import apprise

        return bool(apprise.Apprise().add(url))
    except Exception:  # whatever a plugin of apprise's raises may hold the address
        return False


def unknown_targets(settings: NotifySettings) -> list[str]:
    """Names of the targets whose address is none that apprise knows; blocks for a moment."""
    targets = sorted(settings.targets.items())
    return [name for name, target in targets if not is_known(target.url.get_secret_value())]


class Attempt:
    """One attempt to deliver a message, from when it is made; goes on whether or not anybody waits for it."""

    def __init__(self, sender: Sender, url: str, notice: Notice) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_over = asyncio.Event()
        self._fault: str | None = None
        threading.Thread(target=self._work, args=(sender, url, notice), name="notify", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether there is an outcome."""
        return self._is_over.is_set()

    @property
    def fault(self) -> str | None:
        """Why the message was not accepted, without the address; None if it was. Of one that is over."""
        return self._fault

    async def ends_within(self, seconds: float) -> bool:
        """Wait for the outcome for so long; whether there is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        return self.is_over

    def _work(self, sender: Sender, url: str, notice: Notice) -> None:
        try:
            self._fault = None if sender(url, notice) else _REFUSED
        except UnavailableError as error:
            self._fault = error.message
        except Exception as error:  # whatever a plugin of apprise's raises may hold the address
            self._fault = type(error).__name__
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._is_over.set)
