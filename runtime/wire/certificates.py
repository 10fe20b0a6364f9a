"""Certificates as a client sees them: their fingerprints, whose they are, and what a connection trusts.

A daemon that made its own certificate is trusted as SSH trusts a host: a person compares the fingerprint once, from
then on the key counts. It is the key that is remembered, not the certificate, which the daemon renews under the same
key before it expires. Trusting never means looking away: a connection to such a daemon is verified by OpenSSL against
the one certificate it has just presented, after that was found to hold the remembered key. So before anything secret is
sent, the other side has proved that it has that key. The host's name is not compared then, since the key says more.
"""

import hashlib
import os
import socket
import ssl
from pathlib import Path

from runtime.wire.failures import ApiError, DaemonUnreachableError

HANDSHAKE_SECONDS = 5.0


class UntrustedCertificateError(ApiError):
    """The daemon's certificate is not one to trust, or not the one that was trusted before."""

    code = "certificate"


def fingerprint(pem: str) -> str:
    """SHA-256 of a certificate, as browsers and `openssl x509 -fingerprint -sha256` show it.

    Args:
        pem: The certificate; of several in a file, the first.
    """
    digest = hashlib.sha256(_first_der(pem)).hexdigest().upper()
    return ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))


def fingerprint_of_file(path: Path) -> str | None:
    """As `fingerprint`; None if the file cannot be read."""
    try:
        return fingerprint(path.read_text())
    except (OSError, ValueError):
        return None


def is_self_signed(pem: str) -> bool:
    """Whether nobody vouches for a certificate but itself."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(_first_der(pem))
    return certificate.issuer == certificate.subject


def has_same_key(pem: str, other: str) -> bool:
    """Whether two certificates are for one and the same key."""
    return _public_key(pem) == _public_key(other)


def presented(host: str, port: int) -> str:
    """The certificate that a server presents, unverified; it has proved to hold the key.

    Raises:
        DaemonUnreachableError: there is none to be had.
    """
    try:
        return ssl.get_server_certificate((host, port), timeout=HANDSHAKE_SECONDS)
    except (OSError, ValueError) as error:
        raise unreachable_with_tls(f"{host}:{port}", error) from error


def unreachable_with_tls(address: str, error: Exception) -> DaemonUnreachableError:
    """What to say where nobody answers with TLS; whoever answers with something else may not speak it at all."""
    hint = "does it speak http? then its address begins with `http://`" if isinstance(error, ssl.SSLError) else None
    return DaemonUnreachableError(f"no daemon answers at `{address}` with TLS: {error}", hint=hint)


def is_trusted_by_system(host: str, port: int) -> bool:
    """Whether this machine trusts the server without being told.

    Raises:
        DaemonUnreachableError: nobody answers there with TLS.
    """
    try:
        with (
            socket.create_connection((host, port), HANDSHAKE_SECONDS) as plain,
            trusting_system().wrap_socket(plain, server_hostname=host),
        ):
            return True
    except ssl.SSLCertVerificationError:
        return False
    except OSError as error:
        raise unreachable_with_tls(f"{host}:{port}", error) from error


def trusting_system() -> ssl.SSLContext:
    """A context that trusts this machine's authorities and, unless the environment names others, the usual ones."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def trusting_file(path: Path) -> ssl.SSLContext:
    """A context that trusts the authorities, or self-signed certificates, of a file, and nothing else.

    Raises:
        UntrustedCertificateError: there is none in it.
    """
    try:
        context = ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise UntrustedCertificateError(f"no certificate can be read from `{path}`", hint="it has to be PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusting_key(remembered: str, host: str, port: int) -> ssl.SSLContext:
    """A context that trusts the server if it has the key of a remembered certificate.

    Raises:
        UntrustedCertificateError: it has another.
        DaemonUnreachableError: nobody answers there with TLS.
    """
    now = presented(host, port)
    if not has_same_key(remembered, now):
        raise UntrustedCertificateError(
            f"`{host}:{port}` does not have the key that was trusted before; its certificate is {fingerprint(now)}",
            hint="if the daemon was set up anew, `dlt-runtime logout` and log in again; if not, somebody listens in",
        )
    context = ssl.create_default_context(cadata=now)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    return context


def _public_key(pem: str) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(_first_der(pem)).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _first_der(pem: str) -> bytes:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    first = pem[pem.index(begin) :]
    return ssl.PEM_cert_to_DER_cert(first[: first.index(end) + len(end)])
