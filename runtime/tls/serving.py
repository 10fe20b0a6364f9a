"""TLS of a listener whose certificate can change while it serves.

The listener keeps one context for good; that hands every new connection over to the newest context that could be built
whole (`sni_callback`, which OpenSSL calls for every handshake, with or without a server name). So a certificate and a
key that do not fit, as between the two writes of a renewal, are never half in use: the ones before stay until both
fit. Connections under way keep what they began with.

Files are watched by their directories, those that links lead to included: certbot moves a link, Kubernetes a link to a
directory. Once a minute they are looked at anyhow, for file systems that tell nothing.
"""

import asyncio
import os
import ssl
import stat
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

import structlog
from watchfiles import awatch

from runtime.errors import InvalidError
from runtime.tls.self_signed import SelfSigned

LOOK_AGAIN_MILLISECONDS = 60_000
_DEBOUNCE_MILLISECONDS = 200
_STEP_MILLISECONDS = 50

log = structlog.get_logger()


class TlsListener:
    """The context of a listener, and the task that keeps it up to date.

    Args:
        own: The certificate that is ours to renew, if it is.

    Raises:
        InvalidError: certificate or key cannot be used.
    """

    def __init__(
        self, cert: Path, key: Path, own: SelfSigned | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self._cert, self._key, self._own, self._clock = cert, key, own, clock
        self._complaint: str | None = None
        self._renew()
        self._seen = self._signature()
        self._current = load_context(cert, key)
        self.context = load_context(cert, key)
        """Of every handshake; lives as long as the listener."""
        self.context.sni_callback = self._hand_over

    async def keep_current(self) -> None:
        """Take a new certificate into use whenever the files change, until cancelled."""
        while True:
            try:
                await self._watch(self._directories())
            except (OSError, RuntimeError) as error:  # a directory that has just gone, no more watches to be had
                log.warning("the certificate is not watched", action="tls.watch", error=str(error))
                await asyncio.sleep(LOOK_AGAIN_MILLISECONDS / 1000)
            await asyncio.to_thread(self._look)

    async def _watch(self, directories: frozenset[Path]) -> None:
        """Look whenever something happens in these directories, until it is others that matter."""
        watching = awatch(
            *directories,
            recursive=False,
            debounce=_DEBOUNCE_MILLISECONDS,
            step=_STEP_MILLISECONDS,
            rust_timeout=LOOK_AGAIN_MILLISECONDS,
            yield_on_timeout=True,
        )
        async with aclosing(watching):
            async for _ in watching:
                await asyncio.to_thread(self._look)
                if self._directories() != directories:
                    return  # a link leads elsewhere now

    def _look(self) -> None:
        """Take what has changed into use; what cannot be used is tried again at every look, and told of once."""
        try:
            self._renew()
            if (signature := self._signature()) == self._seen:
                self._complaint = None
                return
            self._current = load_context(self._cert, self._key)
        except (InvalidError, OSError) as error:
            complaint = str(error)
            if complaint != self._complaint:
                log.warning("the certificate stays as it was", action="tls.reload", error=complaint)
            self._complaint = complaint
        else:
            self._seen, self._complaint = signature, None
            log.info("the certificate has changed", action="tls.reload", path=str(self._cert))

    def _renew(self) -> None:
        if self._own is not None and self._clock is not None:
            self._own.ensure(self._clock())

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _signature(self) -> tuple[object, ...]:
        """Changes when either file does, or is another one."""
        found: list[object] = []
        for path in (self._cert, self._key):
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)

    def _directories(self) -> frozenset[Path]:
        paths = [path for each in (self._cert, self._key) for path in (each.absolute(), each.resolve())]
        return frozenset(path.parent for path in paths if path.parent.is_dir())


def load_context(cert: Path, key: Path) -> ssl.SSLContext:
    """A server's context with a certificate; TLS 1.2 and up.

    Raises:
        InvalidError: a file cannot be read, the key can be read by everybody, or the two do not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    for path in (cert, key):
        if not os.access(path, os.R_OK):
            raise _unreadable(path)
    try:
        is_open = bool(stat.S_IMODE(key.stat().st_mode) & stat.S_IROTH)
    except OSError as error:  # it has just gone, as in the middle of a renewal
        raise _unreadable(key) from error
    if is_open:
        raise InvalidError(f"the key `{key}` can be read by everybody", code="tls_file", hint=f"chmod o-r {key}")
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise InvalidError(
            f"`{cert}` and `{key}` are not a certificate and its key: {_reason(error)}", code="tls_file"
        ) from error
    return context


def _unreadable(path: Path) -> InvalidError:
    return InvalidError(f"`{path}` is missing or cannot be read by the user the daemon runs as", code="tls_file")


def _no_password() -> bytes:
    raise ValueError("the key is encrypted")  # else OpenSSL would ask on the terminal


def _reason(error: Exception) -> str:
    return (getattr(error, "reason", None) or str(error)).lower().replace("_", " ")
