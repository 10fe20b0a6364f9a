"""Which daemons' own certificates this person trusts: one file each in `$XDG_CONFIG_HOME/dlt-runtime/certificates`.

Asked once, at `login`, with the fingerprint to compare; afterwards the key counts, see `runtime.wire.certificates`.
A daemon whose certificate this machine trusts anyway is never asked about, and a key that has changed is not asked
about either: it is an error, until a person logs out.
"""

import ssl
from pathlib import Path

from cli.credentials import credentials_file
from cli.files import refusing, write_atomically
from cli.session import Session
from runtime.wire.certificates import (
    UntrustedCertificateError,
    fingerprint,
    is_self_signed,
    is_trusted_by_system,
    presented,
    trusting_file,
    trusting_key,
    trusting_system,
)
from runtime.wire.endpoint import Endpoint


def remembered(endpoint: Endpoint) -> Path:
    """Where the certificate of a daemon is remembered."""
    host, port = endpoint.host_and_port
    return credentials_file().parent / "certificates" / f"{host.replace(':', '_')}_{port}.pem"


def context_for(endpoint: Endpoint) -> ssl.SSLContext:
    """What a connection to the daemon trusts: the given file, else the remembered key, else this machine's list.

    Raises:
        UntrustedCertificateError: the file holds no certificate, or the daemon has another key now.
        DaemonUnreachableError: nobody answers there with TLS.
    """
    if endpoint.ca_file is not None:
        return trusting_file(endpoint.ca_file)
    pin = remembered(endpoint)
    return trusting_key(pin.read_text(), *endpoint.host_and_port) if pin.exists() else trusting_system()


def meet(session: Session) -> None:
    """Before a login: if the daemon vouches for itself, ask whether it is the right one, and remember it.

    Raises:
        UntrustedCertificateError: it is not to be trusted, or nobody is there to be asked.
        DaemonUnreachableError: nobody answers there with TLS.
    """
    endpoint = session.endpoint
    if not endpoint.is_tls or endpoint.ca_file is not None or remembered(endpoint).exists():
        return
    host, port = endpoint.host_and_port
    if is_trusted_by_system(host, port):
        return
    certificate = presented(host, port)
    if not is_self_signed(certificate):
        raise UntrustedCertificateError(
            f"the certificate of `{endpoint.url}` is not trusted", hint="name its authority with --ca-file"
        )
    shown = fingerprint(certificate)
    hint = "on the daemon's machine, `dlt-runtime auth fingerprint` prints the right one"
    if not session.can_ask:
        raise UntrustedCertificateError(
            f"`{endpoint.url}` vouches for itself, and nobody is here to be asked whether {shown} is right",
            hint=f"{hint}; --ca-file with a copy of its certificate does without asking",
        )
    session.output.message(
        f"`{endpoint.url}` vouches for itself; its certificate's fingerprint is\n  {shown}\n({hint})"
    )
    if not session.confirm("Is it the right one?"):
        raise UntrustedCertificateError(f"the certificate of `{endpoint.url}` is not trusted")
    pin = remembered(endpoint)
    with refusing(pin.parent) as directory:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(pin, certificate, mode=0o600)


def forget(endpoint: Endpoint) -> None:
    """Trust the daemon no longer."""
    if endpoint.is_tls:
        remembered(endpoint).unlink(missing_ok=True)
