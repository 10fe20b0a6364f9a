"""Access tokens: what they say, and which are refused."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.auth.tokens import AUDIENCE, ISSUER, AccessToken, TokenSigner
from runtime.errors import UnauthenticatedError
from tests.factories import NOW

KEY = Ed25519PrivateKey.generate()
SIGNER = TokenSigner(KEY)


def make_token(**changes: Any) -> AccessToken:
    fields: dict[str, Any] = {
        "id": uuid4(),
        "kind": "session",
        "user_id": uuid4(),
        "email": "ada@example.org",
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return AccessToken(**{**fields, **changes})


def test_a_signed_token_reads_back() -> None:
    session = make_token()
    machine = make_token(kind="machine", workspace_id=uuid4())
    assert SIGNER.verify(SIGNER.sign(session), NOW) == session
    assert SIGNER.verify(SIGNER.sign(machine), NOW) == machine


def test_the_public_client_finds_the_claims_it_reads() -> None:
    token = make_token()
    text = SIGNER.sign(token)
    claims = jwt.decode(text, options={"verify_signature": False})
    assert jwt.get_unverified_header(text)["alg"] == "EdDSA"
    assert claims["sub"] == str(token.user_id)
    assert claims["email"] == token.email
    assert claims["exp"] == int(token.expires_at.timestamp())
    assert claims["typ"] == "session"


def test_a_token_ends_with_its_time() -> None:
    text = SIGNER.sign(make_token())
    SIGNER.verify(text, NOW + timedelta(minutes=59, seconds=59))
    with pytest.raises(UnauthenticatedError, match="expired") as refused:
        SIGNER.verify(text, NOW + timedelta(hours=1))
    assert "Token expired" not in refused.value.message  # words on which the public client forgets its tokens


def test_a_token_signed_with_another_key_is_refused() -> None:
    with pytest.raises(UnauthenticatedError):
        SIGNER.verify(TokenSigner(Ed25519PrivateKey.generate()).sign(make_token()), NOW)


def claims_of(token: AccessToken, **changes: Any) -> dict[str, Any]:
    return {**jwt.decode(SIGNER.sign(token), options={"verify_signature": False}), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody-else"},
        {"aud": "another-service"},
        {"typ": "refresh"},
        {"typ": "machine"},  # without a workspace
        {"workspace": str(uuid4())},  # on a session
        {"sub": "not-an-id"},
    ],
)
def test_a_token_with_claims_that_do_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnauthenticatedError):
        SIGNER.verify(jwt.encode(claims_of(make_token(), **changes), KEY, algorithm="EdDSA"), NOW)


@pytest.mark.parametrize("claim", ["exp", "iat", "sub", "jti", "iss", "aud", "email", "typ"])
def test_a_token_without_a_claim_is_refused(claim: str) -> None:
    claims = claims_of(make_token())
    del claims[claim]
    with pytest.raises(UnauthenticatedError):
        SIGNER.verify(jwt.encode(claims, KEY, algorithm="EdDSA"), NOW)


def test_unsigned_and_symmetric_tokens_are_refused() -> None:
    claims = claims_of(make_token())
    secret = "s" * 32
    for text in (
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, secret, algorithm="HS256"),
        "a.b.c",
        "",
    ):
        with pytest.raises(UnauthenticatedError):
            SIGNER.verify(text, NOW)


def test_the_issuer_and_audience_are_ours() -> None:
    assert (ISSUER, AUDIENCE) == ("dlt-runtime", "dlt-runtime-api")
