"""Access tokens of a client: added to every request, renewed before they run out and once after a 401."""

import base64
import json
import time
from collections.abc import Callable, Generator

import httpx

from runtime.wire.tokens import TokenKeeper, TokenPair

RENEW_SECONDS = 60.0
"""A token with less life than this is renewed before it is used."""


class BearerAuth(httpx.Auth):
    """Puts the kept access token on requests and renews it.

    Args:
        renew: Asks the daemon for new tokens; None when the refresh token is dead.
        now: The clock, seconds since the epoch.
    """

    requires_response_body = False

    def __init__(
        self, keeper: TokenKeeper, renew: Callable[[str], TokenPair | None], now: Callable[[], float] = time.time
    ) -> None:
        self._keeper = keeper
        self._renew = renew
        self._now = now

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request, and a second one if the first is refused and the token can be renewed."""
        pair = self._keeper.load()
        if pair is not None and pair.refresh and seconds_left(pair.access, self._now()) < RENEW_SECONDS:
            pair = self._renewed(pair)
        if pair is None:
            yield request
            return
        request.headers["Authorization"] = f"Bearer {pair.access}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and pair.refresh:
            fresh = self._renewed(pair)
            if fresh is not None:
                request.headers["Authorization"] = f"Bearer {fresh.access}"
                yield request

    def _renewed(self, known: TokenPair) -> TokenPair | None:
        with self._keeper.lock():
            kept = self._keeper.load()
            if kept is None or kept != known:
                return kept  # another command has renewed them, or logged out, while we waited
            fresh = self._renew(known.refresh or "")
            if fresh is None:
                self._keeper.clear()
            else:
                self._keeper.save(fresh)
            return fresh


def seconds_left(token: str, now: float) -> float:
    """Life left in a JWT, read without verifying it; infinite if it names no end, 0 if it cannot be read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expires = claims.get("exp")
    except (IndexError, ValueError, AttributeError):
        return 0.0
    return float("inf") if expires is None else float(expires) - now
