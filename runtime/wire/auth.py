"""Bodies of the authentication API: device login, refresh, logout."""

from uuid import UUID

from runtime.wire.model import WireModel


class DeviceFlowStartResponse(WireModel):
    """A device login has begun. The person approves `user_code`, the program polls with `device_code`.

    `interval` is the pause between polls in seconds.
    """

    device_code: str
    interval: int
    user_code: str
    verification_uri: str
    verification_uri_complete: str


class DeviceFlowLoginRequest(WireModel):
    """One poll of a device login."""

    device_code: str


class LoginResponse(WireModel):
    """A session: `id` and `email` are the user's."""

    email: str
    id: UUID
    jwt: str
    refresh_token: str


class RefreshRequest(WireModel):
    """Exchanges a refresh token, which is spent by it."""

    refresh_token: str


class RefreshResponse(WireModel):
    """The tokens that replace those before."""

    jwt: str
    refresh_token: str


class LogoutRequest(WireModel):
    """Names the session to end by its refresh token."""

    refresh_token: str


class TokenExchangeRequest(WireModel):
    """An access token of an identity provider, in exchange for a session."""

    access_token: str
