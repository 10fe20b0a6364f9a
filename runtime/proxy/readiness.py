"""Whether an app that has come up gives answers that its visitors could get: it is asked as they will ask it."""

import socket

from runtime.proxy.upstream import AnswerError, Upstream

_HEADERS = ((b"Host", b"localhost"), (b"User-Agent", b"dlt-runtime"), (b"Connection", b"close"))


async def ask(connected: socket.socket, path: str) -> str | None:
    """Ask for a page over a connection, which is ours to close, and wait for the head of the answer, of any status.

    Returns:
        In words, why the answer is none that could be passed on; None if it could.
    """
    upstream = await Upstream.connect(connected)
    try:
        upstream.send_head(b"GET", path.encode(), _HEADERS)
        (await upstream.head()).require_answer()
    except AnswerError as error:
        return str(error)
    finally:
        upstream.abort()
    return None
