"""`/activate`: a person lets a waiting login in, or sends it away.

The code in the address only prefills the page: what asks, from where and since when is shown, and nothing happens
without a click on a button of this page. A code that somebody else sent is how such logins are abused, so the page
says so where the button is.
"""

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
from runtime.api.pages.signing_in import bounce
from runtime.auth.codes import is_user_code, normalise_user_code
from runtime.domain.identities import User
from runtime.errors import InvalidError, JobRuntimeError


class DecisionForm(BaseModel):
    """What the buttons send."""

    csrf: str = ""
    user_code: str = ""
    decision: str = ""


class ActivationController(Controller):
    """Where a device login sends its person."""

    path = "/activate"
    opt = access("public")
    include_in_schema = False

    @get()
    async def show(
        self,
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
        user_code: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """The login that waits with the code, or a field to type a code into."""
        browser, destination = Browser(request, settings), Destination.read(user_code, None)
        if browser.comes_from_elsewhere:
            return bounce(destination.path, "")
        user = await services.sign_in.current(browser.secret("session"))
        if user is None:
            return see_other(destination.sign_in_path)
        if not user_code:
            return _code_form(browser, user)
        try:
            if not is_user_code(user_code):
                raise InvalidError("that is not a code of a login", code="user_code", hint="codes look like BCDF-2345")
            login = await services.approvals.look(user, user_code)
        except JobRuntimeError as error:
            return _code_form(browser, user, user_code, error)
        return page(
            "approve.html",
            cookies=[browser.form_cookie],
            csrf=browser.form_token,
            user=user,
            login=login,
            destination=destination,
        )

    @post(status_code=200)
    async def decide(
        self,
        data: URLEncodedBody[DecisionForm],
        request: Request[Any, Any, Any],
        services: Services,
        settings: Settings,
    ) -> Response[Any]:
        """Approve or deny."""
        browser = Browser(request, settings)
        browser.check_form(data.csrf)
        user = await services.sign_in.current(browser.secret("session"))
        if user is None:  # it has ended meanwhile
            return see_other(Destination.read(data.user_code, None).sign_in_path)
        if data.decision == "approve":
            await services.approvals.approve(user, data.user_code)
        elif data.decision == "deny":
            await services.approvals.deny(user, data.user_code)
        else:
            raise InvalidError("say whether to approve or to deny", code="decision")
        return page(
            "decided.html",
            is_approved=data.decision == "approve",
            user=user,
            user_code=normalise_user_code(data.user_code),
        )


def _code_form(
    browser: Browser, user: User, user_code: str = "", error: JobRuntimeError | None = None
) -> Response[str]:
    return page(
        "code.html",
        status_code=page_status(error) if error else 200,
        headers=page_headers(error) if error else None,
        cookies=[browser.form_cookie],
        csrf=browser.form_token,
        user=user,
        user_code=user_code,
        error=error,
        destination=Destination(),
    )
