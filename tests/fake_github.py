"""As much of GitHub as a sign-in meets: a small server on the loopback, as strict about OAuth as the real one."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

CLIENT_ID, CLIENT_SECRET = "client-of-the-tests", "secret-of-the-tests"


@dataclass
class Account:
    """Somebody at GitHub."""

    id: int
    login: str
    emails: list[dict[str, Any]]
    organizations: dict[str, str] = field(default_factory=dict)
    """Name to state of the membership."""
    teams: dict[str, str] = field(default_factory=dict)


def make_account(login: str = "ada", **changes: Any) -> Account:
    """An account with a verified primary email."""
    emails = [
        {"email": f"{login}@work.example", "primary": False, "verified": True},
        {"email": f"{login}@example.org", "primary": True, "verified": True},
    ]
    return Account(**{"id": 1000 + len(login), "login": login, "emails": emails, **changes})


@dataclass
class FakeGitHub:
    """`person` is who sits at the browser that comes; None says no."""

    person: Account | None = field(default_factory=make_account)
    url: str = ""
    scopes: list[str] = field(default_factory=list)
    granted: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, Account] = field(default_factory=dict)
    is_down: bool = False

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent back to."""
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        self.scopes.append(query["scope"])
        if self.person is None:
            return f"{query['redirect_uri']}?{urlencode({'error': 'access_denied', 'state': query['state']})}"
        code = secrets.token_hex(10)
        self.granted[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def exchange(self, form: dict[str, str]) -> dict[str, str]:
        """A code for a token, once, and only with what the code was asked for with."""
        asked = self.granted.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return {"error": "incorrect_client_credentials"}
        if (
            asked is None
            or self.person is None
            or (asked["redirect_uri"], asked["code_challenge"]) != (form.get("redirect_uri"), challenge)
        ):
            return {"error": "bad_verification_code", "error_description": "The code is incorrect or expired."}
        token = f"gho_{secrets.token_hex(10)}"
        self.tokens[token] = self.person
        return {"access_token": token, "token_type": "bearer", "scope": asked["scope"]}

    def api(self, path: str, token: str) -> Any:
        """An answer of the API, None for 404."""
        account = self.tokens[token]
        if path == "/user":
            return {"id": account.id, "login": account.login, "email": None, "name": "Somebody"}
        if path == "/user/emails":
            return account.emails
        if path.startswith("/user/memberships/orgs/"):
            state = account.organizations.get(path.rsplit("/", 1)[1])
            return {"state": state, "role": "member"} if state else None
        _, _, organization, _, team, _, login = path.split("/")
        state = account.teams.get(f"{organization}/{team}") if login == account.login else None
        return {"state": state, "role": "member"} if state else None


@contextmanager
def fake_github(host: str = "127.0.0.1") -> Iterator[FakeGitHub]:
    """Serve one, from a thread of its own; `/link?to=URL` is a page of another site with a link.

    Args:
        host: Under which name it is reached; `localhost` is another site than `127.0.0.1` to a browser.
    """
    github = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if github.is_down:
                self._answer({}, HTTPStatus.BAD_GATEWAY)
            elif parts.path == "/login/oauth/authorize":
                self.send_response(HTTPStatus.FOUND)
                self.send_header("Location", github.authorize(_first(parts.query)))
                self.end_headers()
            elif parts.path == "/link":
                self._send(f'<!doctype html><a href="{_first(parts.query)["to"]}">there</a>'.encode(), "text/html")
            else:
                token = self.headers["Authorization"].removeprefix("Bearer ")
                answer = github.api(parts.path.removeprefix("/api"), token)
                self._answer(answer, HTTPStatus.NOT_FOUND if answer is None else HTTPStatus.OK)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if github.is_down:
                self._answer({}, HTTPStatus.BAD_GATEWAY)
            else:
                self._answer(github.exchange(_first(body)), HTTPStatus.OK)

        def _answer(self, body: Any, status: HTTPStatus) -> None:
            self._send(json.dumps(body).encode(), "application/json", status)

        def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Browsers open connections that they do not use, and hang up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        github.url = f"http://{host}:{server.server_address[1]}"
        try:
            yield github
        finally:
            server.shutdown()
            thread.join()


def _first(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
