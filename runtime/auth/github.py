"""Signing in with GitHub: OAuth by authlib, and who of all the people there may come in.

The way there and back is tied to one browser by a secret in its cookie, from which `state` and PKCE's verifier are
derived: nothing is stored meanwhile, so nobody can fill the store by beginning sign-ins, and an answer that comes to
another browser than the one that asked fits nothing. GitHub's access token is used for a few questions and dropped.

People are known by the number of their GitHub account. The email is the primary one and must be verified, else anybody
could claim anybody's. The allow-list is asked at every sign-in; an empty one lets nobody in (`runtime.settings` sees to
it that there is one).
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import BaseModel, TypeAdapter, ValidationError

from runtime.errors import InvalidError, RefusedError, UnavailableError
from runtime.settings import GitHubSettings

_ANSWER_SECONDS = 10.0
_MISSING = (403, 404)
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}

log = structlog.get_logger()


@dataclass(frozen=True)
class GitHubPerson:
    """Somebody whom GitHub knows and the allow-list names."""

    id: int
    login: str
    email: str


class _Account(BaseModel):
    id: int
    login: str


class _Email(BaseModel):
    email: str
    primary: bool
    verified: bool


class _Membership(BaseModel):
    state: str


class GitHub:
    """One OAuth application at GitHub, or at a GitHub of one's own.

    Args:
        settings: With `client_id` and `client_secret`.
    """

    def __init__(self, settings: GitHubSettings) -> None:
        self._settings = settings

    def authorization_url(self, secret: str, redirect_uri: str, note: str) -> str:
        """Where to send a browser that keeps `secret` in a cookie.

        Args:
            note: A word to come back with the answer, unchanged; part of what `state` vouches for.
        """
        url, _ = self._client(redirect_uri).create_authorization_url(
            f"{self._settings.url}/login/oauth/authorize",
            state=_state(secret, note),
            code_verifier=_derived(secret, "verifier"),
        )
        return str(url)

    async def person(self, secret: str, redirect_uri: str, answer: Mapping[str, str]) -> tuple[GitHubPerson, str]:
        """Who has come back from GitHub, and the note that went along.

        Args:
            secret: As given to `authorization_url`, from the browser's cookie.
            answer: The parameters that GitHub has sent the browser back with.

        Raises:
            InvalidError: the answer does not belong to this browser, or GitHub takes the code for none.
            RefusedError: the person said no, has no verified email, or is not on the allow-list.
            UnavailableError: GitHub does not answer.
        """
        state = answer.get("state", "")
        note = state.partition(".")[2]
        if not hmac.compare_digest(state.encode(), _state(secret, note).encode()):
            raise InvalidError("this answer of GitHub belongs to another sign-in", code="github_state")
        if "code" not in answer:
            raise RefusedError("GitHub did not confirm the sign-in", code="github_denied")
        try:
            async with self._client(redirect_uri) as client:
                await client.fetch_token(
                    f"{self._settings.url}/login/oauth/access_token",
                    grant_type="authorization_code",
                    code=answer["code"],
                    code_verifier=_derived(secret, "verifier"),
                )
                return await self._admitted(client), note
        except AuthlibBaseError as error:
            log.warning("GitHub refused a sign-in", action="sign_in", error=error.error)
            raise InvalidError(
                "GitHub did not accept the sign-in", code="github_code", hint="begin it again"
            ) from error
        except (httpx2.HTTPError, ValidationError) as error:
            raise UnavailableError("GitHub does not answer as it should", hint="try again later") from error

    async def _admitted(self, client: AsyncOAuth2Client) -> GitHubPerson:
        account = _Account.model_validate(await self._ask(client, "/user"))
        if not await self._is_allowed(client, account.login):
            log.warning("GitHub knows somebody who may not come in", action="sign_in", login=account.login)
            raise RefusedError(
                f"the GitHub account `{account.login}` may not sign in here",
                code="github_not_allowed",
                hint="an administrator can add it to `[auth.github]`",
            )
        emails = TypeAdapter(list[_Email]).validate_python(await self._ask(client, "/user/emails"))
        primary = next((one.email for one in emails if one.primary and one.verified), None)
        if primary is None:
            raise RefusedError(
                f"the GitHub account `{account.login}` has no verified primary email", code="github_email"
            )
        return GitHubPerson(account.id, account.login, primary)

    async def _is_allowed(self, client: AsyncOAuth2Client, login: str) -> bool:
        if login.lower() in {name.lower() for name in self._settings.allowed_users}:
            return True
        paths = [f"/user/memberships/orgs/{name}" for name in self._settings.allowed_organizations]
        for organization, team in (name.split("/") for name in self._settings.allowed_teams):
            paths.append(f"/orgs/{organization}/teams/{team}/memberships/{login}")
        for path in paths:
            answer = await self._ask(client, path)
            if answer is not None and _Membership.model_validate(answer).state == "active":
                return True
        return False

    async def _ask(self, client: AsyncOAuth2Client, path: str) -> Any:
        """An answer of the API, None where there is nothing, or nothing for this application to see."""
        answer = await client.get(self._settings.api_url + path, headers=_HEADERS)
        if answer.status_code in _MISSING:
            return None
        answer.raise_for_status()
        return answer.json()

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        settings = self._settings
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        wants_memberships = settings.allowed_organizations or settings.allowed_teams
        return AsyncOAuth2Client(
            settings.client_id,
            secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - the name of a method
            scope="read:user user:email" + (" read:org" if wants_memberships else ""),
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_ANSWER_SECONDS,
        )


def _state(secret: str, note: str) -> str:
    return f"{_derived(secret, f'state {note}')}.{note}"


def _derived(secret: str, purpose: str) -> str:
    return hmac.new(secret.encode(), f"github {purpose}".encode(), hashlib.sha256).hexdigest()
