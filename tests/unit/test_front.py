"""Which part of the daemon answers on which listener."""

from typing import Any, cast

import pytest

from runtime.front import Front

API, APPS, METRICS = ("10.0.0.5", 443), ("10.0.0.6", 443), ("10.0.0.7", 443)


async def who_answers(reached: tuple[str, int | None] | None, path: str = "/") -> str:
    """Who is asked, on this end of a connection."""
    asked: list[str] = []

    async def api(scope: Any, receive: Any, send: Any) -> None:
        asked.append("metrics" if scope.get("state") else "api")

    class Proxy:
        def is_for_app(self, scope: Any) -> bool:
            return False

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            asked.append("apps")

    front = Front(api, cast("Any", Proxy()), APPS, METRICS)
    scope: Any = {"type": "http", "server": reached, "path": path, "headers": []}
    await front(scope, cast("Any", None), cast("Any", None))
    return ", ".join(asked)


@pytest.mark.parametrize(
    ("reached", "path", "answers"),
    [(API, "/", "api"), (APPS, "/", "apps"), (METRICS, "/metrics", "metrics"), (None, "/", "api")],
)
async def test_listeners_with_one_port_on_different_hosts_are_told_apart(
    reached: tuple[str, int] | None, path: str, answers: str
) -> None:
    assert await who_answers(reached, path) == answers
