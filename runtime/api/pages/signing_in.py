"""`/login` and `/logout`: with a password, or by way of GitHub and back."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.params import FromQuery, URLEncodedBody
from pydantic import BaseModel

from runtime.api.access import access
from runtime.api.dependencies import Services, Settings
from runtime.api.pages.browser import Browser
from runtime.api.pages.destinations import Destination
from runtime.api.pages.failures import page_headers, page_status
from runtime.api.pages.rendering import page, see_other
from runtime.auth.codes import new_secret
from runtime.auth.github import GitHub
from runtime.dispatch.signing_in import SignedIn
from runtime.errors import InvalidError, JobRuntimeError, NotFoundError
from runtime.settings import Settings as DaemonSettings

CALLBACK_PATH = "/login/github/callback"


class SignInForm(BaseModel):
    """What the form of the sign-in page sends."""

    csrf: str = ""
    email: str = ""
    password: str = ""
    user_code: str = ""
    workspace: str = ""
    app: str = ""
    to: str = ""

    @property
    def destination(self) -> Destination:
        """Where to go on."""
        return Destination.read(self.user_code, self.workspace, self.app, self.to)


class SignInController(Controller):
    """Gives a browser a session, and takes it away."""

    opt = access("public")
    include_in_schema = False

    @get("/login")
    async def form(
        self,
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
        user_code: FromQuery[str | None] = None,
        workspace: FromQuery[str | None] = None,
        app: FromQuery[str | None] = None,
        to: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """The page; who is signed in already goes on."""
        browser, destination = Browser(request, settings), Destination.read(user_code, workspace, app, to)
        if browser.comes_from_elsewhere:
            return bounce(destination.sign_in_path, "")
        if await services.sign_in.current(browser.secret("session")):
            return see_other(destination.path)
        return _form(browser, destination)

    @post("/login", status_code=200)
    async def sign_in(
        self,
        data: URLEncodedBody[SignInForm],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
    ) -> Response[Any]:
        """With email and password."""
        browser, destination = Browser(request, settings), data.destination
        browser.check_form(data.csrf)
        try:
            signed_in = await services.sign_in.with_password(data.email, data.password, browser.visitor)
        except JobRuntimeError as error:
            return _form(browser, destination, email=data.email, error=error)
        return see_other(destination.path, _session_cookies(browser, signed_in))

    @post("/login/github", status_code=303)
    async def leave_for_github(
        self, data: URLEncodedBody[SignInForm], request: Request[Any, Any, Any], settings: Settings
    ) -> Response[Any]:
        """Off to GitHub."""
        browser, destination = Browser(request, settings), data.destination
        browser.check_form(data.csrf)
        secret = new_secret()
        url = _github(settings).authorization_url(secret, browser.base_url + CALLBACK_PATH, destination.note)
        return see_other(url, [browser.cookie("github", secret)])

    @get(CALLBACK_PATH)
    async def return_from_github(
        self, request: Request[Any, Any, Any], services: Services, settings: Settings
    ) -> Response[Any]:
        """Back from GitHub.

        Answered with a page that leads on, not with a redirect: that would still be the other site's, and the session's
        cookie would not come along.
        """
        browser = Browser(request, settings)
        secret = browser.secret("github")
        if secret is None:
            raise InvalidError("no sign-in with GitHub is under way in this browser", code="github_state")
        github = _github(settings)
        person, note = await github.person(secret, browser.base_url + CALLBACK_PATH, dict(request.query_params.items()))
        signed_in = await services.sign_in.with_github(person, browser.visitor)
        cookies = [browser.no_cookie("github"), *_session_cookies(browser, signed_in)]
        return bounce(Destination.from_note(note).path, f"You are signed in as {signed_in.user.email}.", cookies)

    @post("/logout", status_code=303)
    async def sign_out(
        self,
        data: URLEncodedBody[SignInForm],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
    ) -> Response[Any]:
        """End the session, here and there."""
        browser, destination = Browser(request, settings), data.destination
        browser.check_form(data.csrf)
        if secret := browser.secret("session"):
            await services.sign_in.sign_out(secret)
        return see_other(destination.sign_in_path, [browser.no_cookie("session")])


def bounce(path: str, message: str, cookies: Any = ()) -> Response[str]:
    """A page that leads on by itself. What it leads to is asked for by us, not by the site that led here."""
    return page("continue.html", cookies=cookies, path=path, message=message)


def _form(
    browser: Browser, destination: Destination, *, email: str = "", error: JobRuntimeError | None = None
) -> Response[str]:
    github = browser.settings.auth.github
    return page(
        "sign_in.html",
        status_code=page_status(error) if error else 200,
        headers=page_headers(error) if error else None,
        cookies=[browser.form_cookie],
        form_origins=[github.url] if github.is_on else (),
        csrf=browser.form_token,
        destination=destination,
        email=email,
        error=error,
        has_github=github.is_on,
    )


def _session_cookies(browser: Browser, signed_in: SignedIn) -> list[Any]:
    return [browser.cookie("session", signed_in.session_secret), browser.cookie("browser", signed_in.browser_secret)]


def _github(settings: DaemonSettings) -> GitHub:
    if not settings.auth.github.is_on:
        raise NotFoundError("signing in with GitHub is not set up here", code="github_off")
    return GitHub(settings.auth.github)
