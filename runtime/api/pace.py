"""Bodies must come at a pace: who sends one byte a minute would otherwise hold a request for as long as they like."""

import asyncio
import time

from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send, WebSocketReceiveMessage

GRACE_SECONDS = 20.0
LEAST_BYTES_PER_SECOND = 4096
"""After the grace a body must have come this fast on the average, which a bad telephone line manages."""


class BodyPace(ASGIMiddleware):
    """Answers 408 to a body that comes too slowly."""

    scopes = (ScopeType.HTTP,)

    def __init__(
        self, grace_seconds: float = GRACE_SECONDS, least_bytes_per_second: float = LEAST_BYTES_PER_SECOND
    ) -> None:
        self._grace = grace_seconds
        self._pace = least_bytes_per_second

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Watch what is received until the body is complete; a handler waiting for the client to leave may wait on."""
        received, waited, is_complete = 0, 0.0, False

        async def receive_paced() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal received, waited, is_complete
            if is_complete:
                return await receive()
            allowed = self._grace + received / self._pace
            began_to_wait = time.monotonic()
            try:
                async with asyncio.timeout(max(allowed - waited, 0)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(status_code=408, detail="the body of the request comes too slowly") from None
            waited += time.monotonic() - began_to_wait
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                is_complete = not message.get("more_body", False)
            return message

        await next_app(scope, receive_paced, send)
