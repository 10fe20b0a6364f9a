"""The apps' side of the daemon, as an ASGI application beside the API's: who asks for which app, and on to it.

It answers on the apps' own listener, and on either for an app's own host. Nothing of the API is reachable here, and
nothing of an app there: a browser takes them for two origins.
"""

from urllib.parse import parse_qsl, quote, urlencode
from uuid import UUID

import structlog

from runtime.auth.tally import Tally
from runtime.auth.throttling import network_of
from runtime.dispatch.apps import App, AppService, Backend
from runtime.dispatch.runs import RunService
from runtime.dispatch.visits import Grant, VisitService
from runtime.domain.apps import APP_PORT
from runtime.errors import JobRuntimeError, RefusedError, UnauthenticatedError, sentence
from runtime.proxy.ahead import Ahead
from runtime.proxy.asgi import Receive, Scope, Send
from runtime.proxy.connections import Connections
from runtime.proxy.crowding import Crowded, Crowds
from runtime.proxy.forwarding import Route, TooLateError, cut, forward, host_of, raw_path_of, visit_of
from runtime.proxy.gate import Gate, entry_marks, visit_cookie
from runtime.proxy.origins import may_use_cookies
from runtime.proxy.pages import notice, redirect, wants_page
from runtime.proxy.places import OWN, Asked, Place, asked_by_host, asked_by_path, raw_path_within
from runtime.proxy.resting import RETRY_SECONDS, Resting
from runtime.proxy.sockets import forward_websocket
from runtime.proxy.tunnel import NOT_ALLOWED, tunnel_of
from runtime.proxy.upstream import AnswerError
from runtime.proxy.watching import Watch
from runtime.settings import Settings
from runtime.wire.addresses import API_PREFIX, AUTH_PREFIX

# Secrets of links and tickets cannot be guessed (122 random bits and more); who tries all the same is soon told so and
# no more. What is right is never refused: whoever shares an address with a guesser comes in.
MISSES = 20
"""So many secrets that open nothing may one network show in a minute."""
TICKETS = 120
"""So many browsers of one network may come by public links in a minute."""
_LONGEST_PATH = 200

log = structlog.get_logger()


class AppsProxy:
    """The ASGI application."""

    def __init__(
        self,
        apps: AppService,
        runs: RunService,
        visits: VisitService,
        settings: Settings,
    ) -> None:
        self._apps = apps
        self._visits = visits
        self._settings = settings
        self._gate = Gate(visits, settings)
        self._resting = Resting(apps, runs, visits, settings.apps.wait_seconds)
        self._watch = Watch(visits)
        self._crowds = Crowds(settings.apps)
        self._misses, self._tickets = Tally(MISSES), Tally(TICKETS)
        self._connections: dict[UUID, tuple[UUID, Connections]] = {}

    def close(self) -> None:
        """Let go of connections; what is under way ends with the server."""
        self._watch.close()
        for _, connections in self._connections.values():
            connections.close()

    def is_for_app(self, scope: Scope) -> bool:
        """Whether a request on the API's listener asks for an app by its host."""
        domain = self._settings.apps.domain
        return domain is not None and asked_by_host(host_of(scope), domain) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket."""
        try:
            await self._serve(scope, receive, send)
        except UnauthenticatedError as error:
            challenge = ((b"www-authenticate", b"Bearer"),)
            await notice(scope, send, 401, error.code, "Who is there?", error.message, challenge)
        except JobRuntimeError as error:
            log.warning(error.message, action="proxy", code=error.code)
            status = 403 if isinstance(error, RefusedError) else 503
            await notice(scope, send, status, error.code, "That did not work", sentence(error.message))

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        domain = self._settings.apps.domain
        asked = asked_by_host(host_of(scope), domain) if domain else None
        asked = asked or asked_by_path(raw_path_of(scope))
        app = await self._find(scope, send, asked) if asked is not None else None
        if asked is None or app is None:
            if asked is None or asked.secret is None:
                await notice(scope, send, 404, "not_found", "There is nothing here", _nothing_at(raw_path_of(scope)))
            return
        if asked.is_bare or (domain and asked.prefix.startswith("/apps/")):
            await self._canonical(scope, send, asked, app)
            return
        own = self._own_path(scope, asked)
        if asked.secret is None and own == "enter":
            await self._enter(scope, send, asked, app)
            return
        if asked.secret is None and own == "sign-in":
            await self._gate.sign_in(scope, send, app, asked.prefix, _destination(scope))
            return
        grant, keeps_authorization = await self._gate.judge(scope, app, asked)
        if not grant.is_good:
            await self._gate.turn_away(scope, send, asked, grant)
            return
        with self._crowds.opening(grant) as crowded:
            if crowded is None:
                await self._let_in(scope, receive, send, asked, grant, keeps_authorization)
            else:
                await self._turn_away_from_crowd(scope, send, app, crowded)

    async def _let_in(
        self, scope: Scope, receive: Receive, send: Send, asked: Asked, grant: Grant, keeps_authorization: bool
    ) -> None:
        own = self._own_path(scope, asked)
        if asked.secret is not None and wants_page(scope):
            await self._leave_link(scope, send, asked, grant.app)
        elif own is not None:
            await self._own(scope, receive, send, asked, grant, own)
        else:
            await self._pass(scope, receive, send, asked, grant, keeps_authorization)

    async def _turn_away_from_crowd(self, scope: Scope, send: Send, app: App, crowded: Crowded) -> None:
        backend = await self._apps.backend(app)
        if backend is not None:
            words = f"visitors get {crowded.status}: {crowded.words}, as many as there may be"
            self._apps.tell(backend.run_id, str(crowded.status), words)
        log.info("An app is crowded", action="proxy.crowd", slug=app.slug, status=crowded.status, words=crowded.words)
        message = "It has as many visitors as it may have at a time. Try again in a moment."
        headers = ((b"retry-after", b"%d" % RETRY_SECONDS),)
        await notice(scope, send, crowded.status, "app_crowded", "This app is crowded", message, headers)

    async def _find(self, scope: Scope, send: Send, asked: Asked) -> App | None:
        if asked.secret is None:
            return await self._apps.find(asked.slug or "")
        app = await self._apps.of_link(asked.secret)
        if app is None and not await self._misses_too_often(scope, send):
            message = "This link has been taken back, or has never been one."
            await notice(scope, send, 404, "link_unknown", "This link leads nowhere", message)
        return app

    async def _misses_too_often(self, scope: Scope, send: Send) -> bool:
        """Count a secret that has opened nothing; whether that has been answered, as one too many."""
        if await self._is_too_soon(scope, send, self._misses):
            return True
        self._misses.note(_network(scope))
        return False

    async def _is_too_soon(self, scope: Scope, send: Send, tally: Tally) -> bool:
        wait = tally.wait_seconds(_network(scope))
        if wait:
            headers = ((b"retry-after", b"%d" % wait),)
            await notice(scope, send, 429, "too_soon", "Too many attempts", f"Try again in {wait} seconds.", headers)
        return wait > 0

    async def _canonical(self, scope: Scope, send: Send, asked: Asked, app: App) -> None:
        """The one address of an app: with a slash after its prefix, and with its host where apps have hosts."""
        query = scope["query_string"].decode("latin-1")
        inner = raw_path_within(raw_path_of(scope), asked.prefix).decode("latin-1") + (f"?{query}" if query else "")
        if self._settings.apps.domain and asked.secret is None:
            await redirect(scope, send, 308, self._gate.own_address(app) + inner)
        else:
            await redirect(scope, send, 308, asked.prefix + inner)

    def _own_path(self, scope: Scope, asked: Asked) -> str | None:
        inner = raw_path_within(raw_path_of(scope), asked.prefix).decode("latin-1")
        return inner.removeprefix(OWN) if inner.startswith(OWN) else None

    async def _own(self, scope: Scope, receive: Receive, send: Send, asked: Asked, grant: Grant, name: str) -> None:
        method = scope["method"] if scope["type"] == "http" else ""
        if name == "log" and method == "GET":
            with self._watch.holding(grant, lambda: cut(scope)):
                await self._resting.events(receive, send, grant)
        elif name == "start" and method == "POST" and not grant.is_public:
            await self._resting.start(scope, send, asked, grant)
        else:
            await notice(scope, send, 404, "not_found", "There is nothing here", "The app itself is one level up.")

    async def _enter(self, scope: Scope, send: Send, asked: Asked, app: App) -> None:
        """Where a ticket becomes a cookie."""
        marks = entry_marks(scope, asked.prefix)
        try:
            secret = await self._visits.enter(app, _parameters(scope).get("ticket", ""), marks)
        except RefusedError as error:
            if await self._misses_too_often(scope, send):
                return
            if marks and may_use_cookies(scope) and wants_page(scope):
                # A page that is loaded again: its cookie may be there.
                await redirect(scope, send, 303, f"{asked.prefix}/")
                return
            url = self._gate.sign_in_url(app)
            words = sentence(error.message)
            await notice(scope, send, 403, error.code, "That did not work", words, sign_in_url=url)
            return
        cookie = visit_cookie(scope, asked.prefix, secret)
        await redirect(scope, send, 303, asked.prefix + _destination(scope), ((b"set-cookie", cookie),))

    async def _leave_link(self, scope: Scope, send: Send, asked: Asked, app: App) -> None:
        """A browser that came by a link goes on at the app's own address, where its cookie is."""
        if await self._is_too_soon(scope, send, self._tickets):
            return
        self._tickets.note(_network(scope))
        ticket = await self._visits.ticket_of_link(app, asked.secret or UUID(int=0))
        inner = raw_path_within(raw_path_of(scope), asked.prefix).decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        way = _query(ticket=ticket, to=inner + (f"?{query}" if query else ""))
        await redirect(scope, send, 303, f"{self._gate.own_address(app)}{OWN}enter?{way}")

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, asked: Asked, grant: Grant, keeps_authorization: bool
    ) -> None:
        await self._visits.note(grant)
        backend = await self._apps.backend(grant.app)
        if backend is None:
            receive = ahead = Ahead(receive)
            backend = await self._resting.backend(scope, ahead, send, asked, grant)
            if backend is None:
                return
            # That may have taken minutes, in which the link may have been taken back.
            grant = await self._visits.look(grant.app, grant.claim, anew=True)
            if not grant.is_good:
                await self._gate.turn_away(scope, send, asked, grant)
                return
        own = None if asked.secret is None else self._settings.app_addresses.prefix(grant.app.slug)
        route = Route(
            place=Place(asked.prefix, backend.base_path, own),
            connections=self._connections_to(grant.app, backend),
            port=APP_PORT,
            version=backend.deployment_version,
            keeps_authorization=keeps_authorization,
            answer_seconds=self._settings.apps.answer_seconds,
            is_foreign=asked.secret is not None and self._settings.apps.domain is not None,
        )
        is_websocket = scope["type"] == "websocket"

        def end() -> None:
            if is_websocket:
                tunnel_of(scope).close(NOT_ALLOWED, "access to this app has ended")
            else:
                cut(scope)

        try:
            with self._apps.using(backend.run_id), self._watch.holding(grant, end):
                await (forward_websocket if is_websocket else forward)(scope, receive, send, route)
        except AnswerError as error:
            status = 504 if isinstance(error, TooLateError) else 502
            log.info("An app did not answer", action="proxy.forward", run_id=str(backend.run_id), error=str(error))
            self._apps.tell(backend.run_id, str(status), f"visitors get {status}: {error} ({_asked_for(scope, asked)})")
            words = sentence(str(error))
            await notice(
                scope, send, status, "app_answer", "The app did not answer", words, version=backend.deployment_version
            )

    def _connections_to(self, app: App, backend: Backend) -> Connections:
        known = self._connections.get(app.job_id)
        if known is not None and known[0] == backend.run_id:
            return known[1]
        if known is not None:
            known[1].close()
        connections = Connections(backend.connect)
        self._connections[app.job_id] = (backend.run_id, connections)
        return connections


def _nothing_at(raw_path: bytes) -> str:
    """What to say where no app is; whoever asks for the API has taken this listener's port for that one's."""
    if raw_path.startswith((API_PREFIX.encode(), AUTH_PREFIX.encode())):
        return "Only apps are here: the API has another port (`listen` in the settings)."
    return "There is no app at this address."


def _network(scope: Scope) -> str:
    return network_of(visit_of(scope).client)


def _asked_for(scope: Scope, asked: Asked) -> str:
    """What was asked of the app, for its log: without the query, which is often long and sometimes secret."""
    path = raw_path_within(raw_path_of(scope), asked.prefix).decode("ascii", "backslashreplace")
    return f"{scope.get('method', 'WebSocket')} {path[:_LONGEST_PATH]}"


def _destination(scope: Scope) -> str:
    """The app's path that a way in leads to."""
    to = _parameters(scope).get("to", "/")
    # At an app's own host anything else could name another one.
    return "/" if not to.startswith("/") or to.startswith(("//", "/\\")) or not to.isprintable() else to


def _parameters(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope["query_string"].decode("latin-1")))


def _query(**values: str) -> str:
    return urlencode(values, quote_via=quote)
