"""Which certificate the TCP listener has: the one it is given, one made here, or none where nobody else can connect."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from runtime.errors import InvalidError
from runtime.settings import Settings, TlsSettings
from runtime.tls.self_signed import SelfSigned
from runtime.tls.serving import TlsListener
from runtime.wire.addresses import is_loopback

log = structlog.get_logger()


def choose_certificate(settings: Settings) -> tuple[TlsSettings, SelfSigned | None]:
    """What the listener does, given the address it is bound to (`settings.listen`).

    Returns:
        The settings with `cert` and `key` filled in, or without if the listener speaks plain HTTP; and the
        certificate of our own that is then to be kept fresh.

    Raises:
        InvalidError: others could connect, and there would be no TLS.
    """
    tls = settings.tls
    host = settings.listen_address[0]
    if tls.insecure and not is_loopback(host):
        log.warning("passwords and tokens cross the network unencrypted", action="tls.insecure", listen=settings.listen)
    if tls.cert is not None or tls.insecure:
        return tls, None
    if tls.self_signed == "always" or (tls.self_signed == "auto" and not is_loopback(host)):
        own = SelfSigned(settings.state_dir / "tls", names_of(settings))
        return tls.model_copy(update={"cert": own.cert, "key": own.key}), own
    if not is_loopback(host):
        raise InvalidError(
            f"`{settings.listen}` can be reached from other machines, and there would be no TLS",
            code="tls_missing",
            hint='set `[tls] cert` and `key`, or `self_signed = "auto"`; `insecure = true` if something else encrypts',
        )
    return tls, None


def names_of(settings: Settings) -> tuple[str, ...]:
    """Names and addresses beside the machine's own that clients may know the listener by."""
    public = urlsplit(settings.public_url or "").hostname
    return tuple(name for name in (settings.listen_address[0], public) if name)


def open_tls(tls: TlsSettings, own: SelfSigned | None, clock: Callable[[], datetime]) -> TlsListener | None:
    """The listener's TLS for what `choose_certificate` chose, None for plain HTTP; raises as `TlsListener`."""
    return None if tls.cert is None or tls.key is None else TlsListener(tls.cert, tls.key, own, clock)
