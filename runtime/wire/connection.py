"""HTTP to one daemon: addresses, tokens, errors. What is asked is `runtime.wire.client`'s business."""

import errno
import os
import ssl
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from runtime.errors import InvalidError
from runtime.wire.bearer import BearerAuth
from runtime.wire.certificates import UntrustedCertificateError, unreachable_with_tls
from runtime.wire.endpoint import Endpoint
from runtime.wire.failures import ApiError, DaemonFaultError, DaemonUnreachableError, error_from_answer
from runtime.wire.tokens import TokenKeeper, TokenPair

Answer = TypeVar("Answer", bound=BaseModel)

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
UPLOAD_ANSWER_SECONDS = 600.0
"""A large package is unpacked and hashed before the daemon answers."""


class Connection:
    """Requests to the API (`api`) and the authentication API (`auth`) of a daemon.

    Args:
        keeper: Where tokens are; None sends none, as through the Unix socket.
        transport: Replaces the network in tests.
        tls: What the connection trusts instead of this machine's authorities.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        keeper: TokenKeeper | None = None,
        user_agent: str = "dlt-runtime",
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._http = httpx.Client(
            # A context for TLS costs 30 ms of reading certificates: only where TLS is spoken.
            verify=tls or endpoint.is_tls,
            transport=transport or (httpx.HTTPTransport(uds=str(endpoint.socket)) if endpoint.socket else None),
            trust_env=not endpoint.is_local,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            headers={"User-Agent": user_agent},
        )
        self._auth = BearerAuth(keeper, self._renew) if keeper is not None else None

    def close(self) -> None:
        """Close the connections kept open."""
        self._http.close()

    def ask(self, answer: type[Answer], method: str, path: str, **request: Any) -> Answer:
        """One request to the API, its answer read as a model.

        Args:
            request: `json`, `params`, `files`, `timeout` as httpx takes them.

        Raises:
            ApiError: the member of its family that fits; see `runtime.wire.failures`.
        """
        return self._read(answer, self.send(method, path, **request))

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request to the API whose answer is taken as it is; raises as `ask`."""
        return self._send(method, self.endpoint.api_base + path, auth=self._auth, **request)

    def ask_auth(self, answer: type[Answer], path: str, **request: Any) -> Answer:
        """One POST to the authentication API, which takes no token; raises as `ask`."""
        return self._read(answer, self.send_auth(path, **request))

    def send_auth(self, path: str, **request: Any) -> httpx.Response:
        """One POST to the authentication API whose answer is taken as it is; raises as `ask`."""
        return self._send("POST", self.endpoint.auth_base + path, auth=None, **request)

    @contextmanager
    def stream(
        self, path: str, *, read_seconds: float, headers: dict[str, str]
    ) -> Generator[Iterator[str], None, None]:
        """An open answer of the API, line by line; raises as `ask`, also while lines are read."""
        timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=read_seconds)
        url = self.endpoint.api_base + path
        with (
            self._translated(),
            self._http.stream("GET", url, headers=headers, auth=self._auth, timeout=timeout) as opened,
        ):
            if opened.is_error:
                opened.read()
                raise error_from_answer(opened.status_code, _json_or_none(opened))
            yield opened.iter_lines()

    @contextmanager
    def download(
        self, path: str, params: dict[str, str], *, answer_seconds: float
    ) -> Generator[Iterator[bytes], None, None]:
        """The answer of a POST to the API, block by block as it comes; raises as `ask`, also while it is read."""
        url = self.endpoint.api_base + path
        timeout = httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS)
        with (
            self._translated(),
            self._http.stream("POST", url, params=params, auth=self._auth, timeout=timeout) as opened,
        ):
            if opened.is_error:
                opened.read()
                raise error_from_answer(opened.status_code, _json_or_none(opened))
            yield opened.iter_bytes()

    def _send(self, method: str, url: str, **request: Any) -> httpx.Response:
        with self._translated():
            response = self._http.request(method, url, **request)
        if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
            raise error_from_answer(response.status_code, _json_or_none(response))
        return response

    def _read(self, answer: type[Answer], response: httpx.Response) -> Answer:
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "the body"
            raise DaemonFaultError(
                f"the answer of the daemon is not understood (`{where}`)",
                status=response.status_code,
                hint="client and daemon may be of different versions",
            ) from error

    def _renew(self, refresh_token: str) -> TokenPair | None:
        from runtime.wire.auth import RefreshRequest, RefreshResponse

        body = RefreshRequest(refresh_token=refresh_token).to_wire()
        try:
            fresh = self.ask_auth(RefreshResponse, "/v1/auth/refresh", json=body)
        except ApiError as error:
            if error.status in (400, 401):
                return None
            raise
        return TokenPair(fresh.jwt, fresh.refresh_token)

    @contextmanager
    def _translated(self) -> Generator[None, None, None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            of_tls = _tls_error_behind(error)
            if isinstance(of_tls, ssl.SSLCertVerificationError):
                raise UntrustedCertificateError(
                    f"the certificate of `{self.endpoint.url}` is not trusted",
                    hint="`dlt-runtime login` asks whether to trust it; or name its authority with --ca-file",
                ) from error
            if of_tls is not None:
                raise unreachable_with_tls(str(self.endpoint.url), of_tls) from error
            raise _unreachable(self.endpoint, str(error)) from error
        except httpx.TimeoutException as error:
            raise DaemonUnreachableError(f"the daemon at `{self.endpoint.url}` does not answer in time") from error
        except httpx.InvalidURL as error:
            raise InvalidError(f"`{self.endpoint.url}` is not the address of a daemon: {error}", code="url") from error
        except httpx.LocalProtocolError as error:
            # Its text repeats the header that is at fault, which may be the token.
            raise DaemonUnreachableError(f"the request to `{self.endpoint.url}` could not be written") from error
        except httpx.TransportError as error:
            is_plain = self.endpoint.socket is None and not self.endpoint.is_tls
            raise DaemonUnreachableError(
                f"the connection to `{self.endpoint.url}` broke: {error}",
                hint="does it speak https? then its address begins with `https://`" if is_plain else None,
            ) from error


def _tls_error_behind(error: BaseException | None) -> ssl.SSLError | None:
    """The error of TLS that another one came of; None if there is none."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _unreachable(endpoint: Endpoint, why: str) -> DaemonUnreachableError:
    if endpoint.socket is None:
        return DaemonUnreachableError(
            f"no daemon answers at `{endpoint.url}`: {why}", hint="is it running, and is the address right?"
        )
    if why_not := _socket_refusal(endpoint.socket):
        return DaemonUnreachableError(
            f"you may not use the socket `{endpoint.socket}`: {why_not}",
            hint="members of the group `dlt-runtime` may; others come through the network with `--url` and `login`",
        )
    return DaemonUnreachableError(
        f"no daemon answers at `{endpoint.socket}`",
        hint="start it: `systemctl start dlt-runtime`, or `dlt-runtime daemon` in the foreground",
    )


def _socket_refusal(path: Path) -> str | None:
    """Why this user may not connect to an existing socket; None if it is missing or open to them."""
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except PermissionError as error:
        return error.strerror
    except OSError:
        return None
    return None if not is_socket or os.access(path, os.W_OK) else os.strerror(errno.EACCES)


def _json_or_none(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
