"""The server's side of a connection: uvicorn's, who the peer of a Unix socket is, and what strangers may cost.

uvicorn bounds neither the head of a request nor the time it takes, nor what frames its body, nor how many requests
come before the first is answered, nor what follows an answer that came early. It also lets one client have all the
connections there may be; here a network has some of them, and who keeps connections open without using them makes room
for who comes.
"""

import asyncio
import ipaddress
import json
import socket
from collections import Counter
from functools import cache
from typing import Any, NoReturn, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from runtime.api.access import CONSOLE_KEY, PEER_KEY
from runtime.api.parting import Parting
from runtime.auth.peers import peer_of
from runtime.auth.throttling import LOOPBACK, network_of

MOST_HEAD_BYTES = 64 * 1024
"""Of request line and headers, and of what comes after them without being body: the sizes of chunks with what may
follow these, and trailers. A little more passes where it arrives at once."""
MOST_PIPELINED = 8
"""Requests on one connection that wait for the answers to others before them; a single read may bring thousands."""
HEAD_SECONDS = 10.0
"""In which the head must be complete, from the connection's or the head's first byte on."""
LINGER_SECONDS = 30.0
"""How long a client may go on sending a body that has been answered already, before its connection is closed."""
MOST_CONNECTIONS = 500
"""Over TCP, at a time; those through the Unix socket neither count nor wait."""
MOST_CONNECTIONS_OF_NETWORK = 100
"""Of these, from one network; loopback and the proxies that the settings name speak for many and have no such limit."""


class PeerProtocol(HttpToolsProtocol):
    """Asks the kernel who connected (SO_PEERCRED), once for each connection, and closes those that cost too much.

    Use it as `uvicorn.Config(http=PeerProtocol)`. The kernel's answer travels in `scope["state"]`, which no client can
    write to.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_head_complete = False
        self._bytes_of_framing = 0
        self._has_got_on = False
        self._objection = ""
        self._timer: asyncio.TimerHandle | None = None
        self._network: str | None = None
        self._idle_since: float | None = self.loop.time()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Note the peer before the first request is read; for TLS this comes again, once it is encrypted."""
        is_known = self.transport is not None
        super().connection_made(cast("asyncio.Transport", Parting(transport)))  # uvicorn closes it in many places
        if is_known:
            return  # it has been counted, and the time for its head goes on
        endpoint = transport.get_extra_info("socket")
        if CONSOLE_KEY in self.app_state:
            pass  # who connects there is a process of ours, whoever sits before it: the kernel's word says nothing
        elif endpoint is not None and endpoint.family == socket.AF_UNIX:
            # The state is shared by all connections; this one gets a copy of its own.
            self.app_state = {**self.app_state, PEER_KEY: peer_of(endpoint.fileno())}
        else:
            self._network = network_of(self.client and self.client[0])
            if not self._finds_room():
                self.transport.close()
                return
        self._set_timer(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer too."""
        self._set_timer(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request; a head that grows too large is answered with 431, what follows one cut off."""
        self._idle_since = None
        if not self._is_head_complete and self._timer is None:
            self._set_timer(HEAD_SECONDS)
        self._has_got_on = False
        super().data_received(data)
        # A piece that ends a head or a message, or has some body, is not counted: what else it has is little.
        if not self._has_got_on and not self.transport.is_closing():
            self._bytes_of_framing += len(data)
            if self._bytes_of_framing > MOST_HEAD_BYTES:
                self._refuse_framing()

    def on_message_begin(self) -> None:
        """Another request, perhaps before the last has its answer."""
        if len(self.pipeline) >= MOST_PIPELINED:
            self._object("too many requests come before the first is answered")
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Headers count as long as the head lasts: trailers would pass for what only a proxy of ours may say."""
        if not self._is_head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head has come; how long the body takes is the application's matter."""
        if sum(name == b"host" for name, _ in self.headers) > 1:
            self._object("the request names more than one host")
        self._is_head_complete = True
        self._get_on()
        self._set_timer(None)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What chunks are for has come."""
        self._get_on()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What comes next is another head."""
        self._is_head_complete = False
        self._get_on()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Whoever has an answer and still sends gets a moment to notice."""
        if self._is_head_complete:
            self._set_timer(LINGER_SECONDS)
        super().on_response_complete()
        if self.cycle.response_complete and not self._is_head_complete:
            self._idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets an error of the common shape."""
        self._refuse(400, "http", self._objection or msg.rstrip(".").replace("Invalid", "invalid"))

    def _finds_room(self) -> bool:
        """Whether there is room for this connection, be it that of one which has been idle."""
        others = [
            each
            for each in self.connections
            if isinstance(each, PeerProtocol) and each is not self and each._network and not each.transport.is_closing()
        ]
        tunnels = sum(not isinstance(each, PeerProtocol) for each in self.connections)
        ours = [each for each in others if each._network == self._network]
        if not self._speaks_for_many and len(ours) >= MOST_CONNECTIONS_OF_NETWORK:
            crowd = ours
        elif len(others) + tunnels >= MOST_CONNECTIONS:
            crowd = others
        else:
            return True
        sizes = Counter(each._network for each in crowd)
        idle = [(each._idle_since, each) for each in crowd if each._idle_since is not None]
        if not idle:
            return False
        # The longest idle, of the network that has most; what proxies hold goes last, as they may be about to use it.
        _, leaving = min(idle, key=lambda entry: (entry[1]._speaks_for_many, -sizes[entry[1]._network], entry[0]))
        leaving.transport.close()
        return True

    @property
    def _speaks_for_many(self) -> bool:
        proxies = tuple(self.config.forwarded_allow_ips or ()) if self.config.proxy_headers else ()
        return self._network == LOOPBACK or (self.client is not None and _is_one_of(self.client[0], proxies))

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _get_on(self) -> None:
        self._has_got_on = True
        self._bytes_of_framing = 0

    def _object(self, words: str) -> NoReturn:
        """Have the parser give up, which uvicorn takes for what is no HTTP."""
        self._objection = words
        raise ValueError(words)

    def _refuse_framing(self) -> None:
        if self._is_head_complete:
            self.transport.abort()  # an answer may have begun
        else:
            self._refuse(431, "head_too_large", "the headers of the request are too large")

    def _refuse(self, status: int, code: str, detail: str) -> None:
        body = json.dumps({"status_code": status, "detail": detail, "extra": {"code": code}}).encode("ascii")
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode("ascii") + body)
        self.transport.close()


@cache
def _networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _is_one_of(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in _networks(networks))
