"""The certificate that the daemon makes for itself, in `<state>/tls`.

It is renewed a month before it expires, and when the machine's names have changed, always with the same key: clients
remember the key (`runtime.wire.certificates`) and do not notice. ECDSA on P-256, which every client of the last ten
years speaks; 397 days, the longest that browsers take.
"""

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from runtime.errors import InvalidError
from runtime.private_files import replace_whole

LIFETIME = timedelta(days=397)
RENEWED_BEFORE = timedelta(days=30)
_BACKDATED = timedelta(hours=1)  # for clients whose clocks are behind
_LONGEST_COMMON_NAME = 64

log = structlog.get_logger()


class SelfSigned:
    """A key and a certificate for it in a directory of their own.

    Args:
        names: Names and addresses that clients may use, beside those of the machine.
    """

    def __init__(self, directory: Path, names: tuple[str, ...] = ()) -> None:
        self.cert = directory / "self-signed.crt"
        self.key = directory / "self-signed.key"
        self._names = frozenset(_names(names))

    def ensure(self, now: datetime) -> bool:
        """Make key and certificate if they are missing, the certificate also if it is due; whether it was made.

        Raises:
            InvalidError: the files cannot be read or written.
        """
        try:
            self.cert.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = self._load_or_create_key()
            if self.cert.exists() and _serves(self.cert.read_bytes(), key, self._names, now):
                return False
            replace_whole(self.cert, _certificate(key, sorted(self._names), now))
        except (OSError, ValueError, TypeError) as error:
            raise InvalidError(
                f"the certificate in `{self.cert.parent}` cannot be made: {error}", code="tls_self_signed"
            ) from error
        log.info("made a certificate", action="tls.self_signed", path=str(self.cert))
        return True

    def _load_or_create_key(self) -> ec.EllipticCurvePrivateKey:
        if not self.key.exists():
            made = ec.generate_private_key(ec.SECP256R1())
            replace_whole(self.key, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = load_pem_private_key(self.key.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"`{self.key}` is no key of ours")
        return key


def _serves(pem: bytes, key: ec.EllipticCurvePrivateKey, wanted: frozenset[str], now: datetime) -> bool:
    """Whether a certificate is for the key and the names, and good for a while."""
    certificate = x509.load_pem_x509_certificate(pem)
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        certificate.public_key() == key.public_key()
        and wanted <= {str(name.value) for name in alternative}
        and certificate.not_valid_after_utc - now > RENEWED_BEFORE
        and certificate.not_valid_before_utc <= now
    )


def _certificate(key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime) -> bytes:
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"dlt-runtime {socket.gethostname()}"[:_LONGEST_COMMON_NAME])]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        # No authority: whoever trusts it trusts this server, not what its key might sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM)


def _names(more: tuple[str, ...]) -> Iterator[str]:
    """What the machine is called and what was added, each in the spelling of a certificate."""
    yield from ("localhost", "127.0.0.1", "::1")
    host = socket.gethostname()
    addresses: set[str] = set()
    with contextlib.suppress(OSError):
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    for name in {host, socket.getfqdn(), *addresses, *more}:
        with contextlib.suppress(ValueError):
            address = ipaddress.ip_address(name.partition("%")[0])
            if not address.is_unspecified:
                yield str(address)
            continue
        with contextlib.suppress(UnicodeError):
            if name.encode("ascii"):
                yield name.lower()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
