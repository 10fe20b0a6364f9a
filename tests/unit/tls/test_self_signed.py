"""The certificate that the daemon makes for itself."""

import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as pem

from runtime.errors import InvalidError
from runtime.tls.self_signed import LIFETIME, RENEWED_BEFORE, SelfSigned
from runtime.tls.serving import load_context
from runtime.wire.certificates import fingerprint, has_same_key, is_self_signed

NOW = datetime.now(UTC)


@pytest.fixture
def own(tmp_path: Path) -> SelfSigned:
    return SelfSigned(tmp_path / "tls", ("dlt.example", "192.0.2.7", "0.0.0.0"))


def names(own: SelfSigned) -> set[str]:
    certificate = x509.load_pem_x509_certificate(own.cert.read_bytes())
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in alternative}


def test_it_is_made_once_and_only_its_owner_reads_it(own: SelfSigned) -> None:
    assert own.ensure(NOW)
    made = own.cert.read_bytes()
    assert not own.ensure(NOW)
    assert own.cert.read_bytes() == made
    for path, mode in ((own.cert, 0o600), (own.key, 0o600), (own.key.parent, 0o700)):
        assert path.stat().st_mode & 0o777 == mode
    load_context(own.cert, own.key)


def test_it_is_for_the_machine_the_loopback_and_what_clients_call_it(own: SelfSigned) -> None:
    own.ensure(NOW)
    assert names(own) >= {"localhost", "127.0.0.1", "::1", "dlt.example", "192.0.2.7"}
    assert "0.0.0.0" not in names(own)


def test_it_is_no_authority(own: SelfSigned) -> None:
    own.ensure(NOW)
    certificate = x509.load_pem_x509_certificate(own.cert.read_bytes())
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert is_self_signed(own.cert.read_text())


def test_it_is_renewed_a_month_before_it_expires_with_the_same_key(own: SelfSigned) -> None:
    own.ensure(NOW)
    first = own.cert.read_text()
    due = NOW + LIFETIME - RENEWED_BEFORE
    assert not own.ensure(due - timedelta(seconds=5))
    assert own.ensure(due)
    second = own.cert.read_text()
    assert fingerprint(first) != fingerprint(second)
    assert has_same_key(first, second)


def test_it_is_made_anew_with_the_same_key_when_the_machine_is_called_otherwise(
    own: SelfSigned, tmp_path: Path
) -> None:
    own.ensure(NOW)
    first = own.cert.read_text()
    renamed = SelfSigned(tmp_path / "tls", ("new.example",))
    assert renamed.ensure(NOW)
    assert "new.example" in names(renamed)
    assert has_same_key(first, own.cert.read_text())


def test_a_key_that_is_lost_or_spoilt_is_not_papered_over(own: SelfSigned) -> None:
    own.ensure(NOW)
    own.key.write_text("nonsense")
    with pytest.raises(InvalidError, match="cannot be made"):
        own.ensure(NOW)
    own.key.unlink()
    assert own.ensure(NOW)
    load_context(own.cert, own.key)


def test_a_fingerprint_is_that_of_openssl(own: SelfSigned) -> None:
    own.ensure(NOW)
    der = ssl.PEM_cert_to_DER_cert(own.cert.read_text())
    assert fingerprint(own.cert.read_text()).replace(":", "").lower() == sha256(der).hexdigest()


@pytest.mark.parametrize("spoil", ["missing", "open to all", "another's", "no certificate", "a password"])
def test_files_that_are_no_certificate_and_its_key_are_refused_by_name(own: SelfSigned, spoil: str) -> None:
    own.ensure(NOW)
    if spoil == "missing":
        own.key.unlink()
    elif spoil == "open to all":
        own.key.chmod(0o644)
    elif spoil == "another's":
        other = SelfSigned(own.key.parent / "other")
        other.ensure(NOW)
        own.key.write_bytes(other.key.read_bytes())
    elif spoil == "no certificate":
        own.cert.write_text("nonsense")
    else:
        key = pem.load_pem_private_key(own.key.read_bytes(), None)
        own.key.write_bytes(
            key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
        )
    with pytest.raises(InvalidError, match="self-signed"):
        load_context(own.cert, own.key)
