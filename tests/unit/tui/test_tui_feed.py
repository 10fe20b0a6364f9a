"""The feed before a daemon whose stream breaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from runtime.wire.failures import ApiError, DaemonUnreachableError, ForbiddenError, MissingError
from tui import feed
from tui.feed import Back, Feed
from tui.place import Place


class Broken:
    """A connection whose streams fail as told, one after the other, and of which the last stands and is silent."""

    def __init__(self, feed_of: list[Feed], *failures: ApiError) -> None:
        self.failures = list(failures)
        self.asked = 0
        self._feed_of = feed_of

    @contextmanager
    def stream(self, _path: str, **_options: Any) -> Iterator[Iterator[str]]:
        """One stream."""
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        yield self._lines()

    def _lines(self) -> Iterator[str]:
        yield from ("id: 1", "event: position", "data: {}", "")
        self._feed_of[0].close()


@pytest.mark.parametrize(
    "refusal", [MissingError("404 page not found", status=404), ForbiddenError("not now", status=403)]
)
def test_a_stream_that_is_refused_once_is_told_once_and_asked_for_again(
    refusal: ApiError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy says so while the daemon behind it starts."""
    monkeypatch.setattr(feed, "RETRY_SECONDS", 0)
    monkeypatch.setattr(feed, "REFUSED_SECONDS", 0)
    away = DaemonUnreachableError("no daemon answers")
    feeds: list[Feed] = []
    connection = Broken(feeds, away, away, refusal, refusal)
    place = SimpleNamespace(client=SimpleNamespace(connection=connection), workspace_id=uuid4())
    one = Feed(cast(Place, place))
    feeds.append(one)
    one._after = "0"  # it has had its first look
    one._run()
    news = one.take()
    assert news == [away, refusal, Back()]
    assert connection.asked == 5


@pytest.mark.parametrize(
    "found", [RuntimeError("Cannot send a request, as the client has been closed."), AttributeError("no such socket")]
)
def test_a_feed_that_is_closed_amid_its_look_ends_quietly_though_the_client_is_closed_too(found: Exception) -> None:
    def look(_workspace_id: object) -> None:
        one.close()
        raise found

    connection = Broken([])
    place = SimpleNamespace(
        client=SimpleNamespace(connection=connection, workspace=look), workspace_id=uuid4(), console=None
    )
    one = Feed(cast(Place, place))
    one._run()
    assert one.take() == []
