"""Access tokens: JWTs signed with Ed25519, for people's sessions and for machines.

A token says who it is for and until when; whether that user is still welcome, a machine token has been revoked or a
session's login has ended, is looked up on each request. Both kinds carry the claims that the public client reads,
`sub`, `email`, `exp`.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from runtime.domain.model import Frozen, Instant
from runtime.errors import UnauthenticatedError

ISSUER = "dlt-runtime"
AUDIENCE = "dlt-runtime-api"
_ALGORITHM = "EdDSA"

TokenKind = Literal["session", "machine"]


class AccessToken(Frozen):
    """What a token says once its signature and times have been checked.

    `id` is the claim `jti`, `kind` the claim `typ`. `workspace_id` is set for machine tokens, and only for them.
    `family_id`, the claim `sid`, is the login that a session's token comes from; tokens of earlier versions lack it.
    """

    id: UUID
    kind: TokenKind
    user_id: UUID
    email: str
    issued_at: Instant
    expires_at: Instant
    workspace_id: UUID | None = None
    family_id: UUID | None = None


class TokenSigner:
    """Writes and reads access tokens with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._private = key
        self._public = key.public_key()

    def sign(self, token: AccessToken) -> str:
        """The token as it travels."""
        claims: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(token.user_id),
            "email": token.email,
            "iat": token.issued_at,
            "exp": token.expires_at,
            "jti": str(token.id),
            "typ": token.kind,
        }
        if token.workspace_id is not None:
            claims["workspace"] = str(token.workspace_id)
        if token.family_id is not None:
            claims["sid"] = str(token.family_id)
        return jwt.encode(claims, self._private, algorithm=_ALGORITHM)

    def verify(self, text: str, now: datetime) -> AccessToken:
        """Read a token that came with a request.

        Raises:
            UnauthenticatedError: not signed by this machine, expired, or not a token at all.
        """
        try:
            claims = jwt.decode(
                text,
                self._public,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Times are compared below, with the clock that the caller goes by.
                options={"require": ["exp", "iat", "sub", "jti"], "verify_exp": False, "verify_iat": False},
            )
            token = AccessToken(
                id=claims["jti"],
                kind=claims.get("typ"),
                user_id=claims["sub"],
                email=claims.get("email"),
                issued_at=claims["iat"],
                expires_at=claims["exp"],
                workspace_id=claims.get("workspace"),
                family_id=claims.get("sid"),
            )
        except (jwt.InvalidTokenError, ValidationError):
            raise UnauthenticatedError("the access token is not valid", code="token_invalid") from None
        if (token.kind == "machine") != (token.workspace_id is not None):
            raise UnauthenticatedError("the access token is not valid", code="token_invalid")
        if now >= token.expires_at:
            raise UnauthenticatedError("the access token has expired", code="token_expired")
        return token
