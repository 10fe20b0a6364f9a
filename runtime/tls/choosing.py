"""Which certificate the TCP listener has: the one it is given, one made here, or none where nobody else can connect."""

from collections.abc import Callable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from runtime.errors import InvalidError
from runtime.listeners import format_address
from runtime.settings import Settings, TlsSettings
from runtime.tls.self_signed import SelfSigned
from runtime.tls.serving import TlsListener
from runtime.wire.addresses import is_loopback

log = structlog.get_logger()


def choose_certificate(
    settings: Settings, others: Sequence[tuple[str, int]] = ()
) -> tuple[TlsSettings, SelfSigned | None]:
    """What the listeners do, given the addresses they are bound to; all do the same.

    Args:
        settings: With the addresses of the listeners that they name.
        others: Those of listeners that they do not name.

    Returns:
        The settings with `cert` and `key` filled in, or without if the listener speaks plain HTTP; and the
        certificate of our own that is then to be kept fresh.

    Raises:
        InvalidError: others could connect, and there would be no TLS.
    """
    tls = settings.tls
    open_to_others = next(
        (address for address in (*_addresses(settings), *others) if not is_loopback(address[0])), None
    )
    where = format_address(*open_to_others) if open_to_others else settings.listen
    if tls.insecure and open_to_others:
        log.warning("passwords and tokens cross the network unencrypted", action="tls.insecure", listen=where)
    if tls.cert is not None or tls.insecure:
        return tls, None
    if tls.self_signed == "always" or (tls.self_signed == "auto" and open_to_others):
        own = SelfSigned(settings.state_dir / "tls", names_of(settings))
        return tls.model_copy(update={"cert": own.cert, "key": own.key}), own
    if open_to_others:
        raise InvalidError(
            f"`{where}` can be reached from other machines, and there would be no TLS",
            code="tls_missing",
            hint='set `[tls] cert` and `key`, or `self_signed = "auto"`; `insecure = true` if something else encrypts',
        )
    return tls, None


def names_of(settings: Settings) -> tuple[str, ...]:
    """Names and addresses beside the machine's own that clients may know the listener by."""
    public = [urlsplit(url or "").hostname for url in (settings.public_url, settings.apps.public_url)]
    below = f"*.{settings.apps.domain}" if settings.apps.domain else None
    names = (settings.listen_address[0], *public, settings.apps_address[0], below)
    return tuple(dict.fromkeys(name for name in names if name))


def open_tls(tls: TlsSettings, own: SelfSigned | None, clock: Callable[[], datetime]) -> TlsListener | None:
    """The listener's TLS for what `choose_certificate` chose, None for plain HTTP; raises as `TlsListener`."""
    return None if tls.cert is None or tls.key is None else TlsListener(tls.cert, tls.key, own, clock)


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    """Of every TCP listener that the settings name."""
    given = (settings.listen_address, settings.apps_address, settings.metrics.address)
    return [address for address in given if address is not None]
