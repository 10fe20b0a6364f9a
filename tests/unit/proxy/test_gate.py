"""Where a browser that is not known is sent, and what the cookie of one that is says."""

from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import pytest

from runtime.auth.codes import digest
from runtime.dispatch.visits import Claim, Grant
from runtime.domain.apps import App
from runtime.proxy.gate import Gate, cookie_name, entry_marks, visit_cookie
from runtime.proxy.places import Asked
from runtime.settings import Settings
from tests.proxied import APP, SLUG

ASKED = Asked(f"/apps/{SLUG}", slug=SLUG)


def scope(host: str = "192.0.2.9:8471", scheme: str = "http") -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": scheme,
        "client": ("192.0.2.1", 5),
        "headers": [(b"host", host.encode())],
        "raw_path": f"/apps/{SLUG}/x".encode(),
        "query_string": b"",
    }


@pytest.mark.parametrize(
    ("settings", "host", "base"),
    [
        ({}, "127.0.0.1:8471", "http://127.0.0.1:8470"),
        ({"listen": "0.0.0.0:8470"}, "192.0.2.9:8471", "http://192.0.2.9:8470"),
        ({"listen": "[::]:8470"}, "[2001:db8::1]:8471", "http://[2001:db8::1]:8470"),
        (
            {"listen": "0.0.0.0:8470", "apps": {"domain": "apps.test"}},
            f"{SLUG}.apps.test:8471",
            "http://apps.test:8470",
        ),
        ({"listen": "0.0.0.0:8470", "public_url": "https://runtime.test"}, "x", "https://runtime.test"),
    ],
)
async def test_people_sign_in_where_the_api_is(settings: dict[str, Any], host: str, base: str, tmp_path: Path) -> None:
    told = Settings(state_dir=tmp_path, socket=tmp_path / "api.sock", **settings)
    gate = Gate(cast("Any", None), told)
    address, _ = await sent_to_sign_in(gate, scope(host))
    assert address.startswith(f"{base}/visit?app={SLUG}&to=%2Fx%3Fy&mark=")


async def sent_to_sign_in(gate: Gate, asking: dict[str, Any]) -> tuple[str, str]:
    """Where to, and the cookie on the way."""
    headers: dict[bytes, bytes] = {}

    async def send(message: Any) -> None:
        headers.update(message.get("headers", ()))

    await gate.sign_in(asking, send, APP, ASKED.prefix, "/x?y")
    return headers[b"location"].decode(), headers[b"set-cookie"].decode()


async def test_a_browser_that_is_sent_to_sign_in_is_marked_once(tmp_path: Path) -> None:
    """Its tabs may be on their way at the same time. The address that it goes to does not tell the mark."""
    gate = Gate(cast("Any", None), Settings(state_dir=tmp_path, socket=tmp_path / "api.sock"))
    address, cookie = await sent_to_sign_in(gate, scope())
    pair, _, rest = cookie.partition(";")
    mark = pair.removeprefix("dlt-runtime-entry=")
    assert rest == f" Path=/apps/{SLUG}/; HttpOnly; SameSite=Lax; Max-Age=600"
    assert dict(parse_qsl(urlsplit(address).query))["mark"] == digest(mark).hex()
    asking = scope()
    asking["headers"].append((b"cookie", f"dlt-runtime-entry=planted; {pair}".encode()))
    assert entry_marks(asking, ASKED.prefix) == [mark]
    assert (await sent_to_sign_in(gate, asking))[0] == address


def test_a_visits_cookie_is_for_the_apps_paths_and_not_for_scripts() -> None:
    assert visit_cookie(scope(), ASKED.prefix, "s") == (
        f"dlt-runtime-app=s; Path=/apps/{SLUG}/; HttpOnly; SameSite=Lax".encode()
    )


def test_under_tls_a_visits_cookie_stays_under_tls() -> None:
    assert visit_cookie(scope(scheme="https"), ASKED.prefix, "s") == (
        f"__Secure-dlt-runtime-app=s; Path=/apps/{SLUG}/; HttpOnly; SameSite=Lax; Secure".encode()
    )
    assert cookie_name(scope(scheme="wss"), ASKED.prefix) == "__Secure-dlt-runtime-app"


def test_at_an_apps_own_host_no_neighbour_can_plant_a_visits_cookie() -> None:
    """Scripts of an app could, for all hosts below the domain that they share, were it not for the name."""
    assert visit_cookie(scope(scheme="https"), "", "s") == (
        b"__Host-dlt-runtime-app=s; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert cookie_name(scope(scheme="wss"), "") == "__Host-dlt-runtime-app"


async def test_cookies_that_cannot_be_ours_are_not_looked_up(tmp_path: Path) -> None:
    """What is looked up is remembered for a while: of strangers' making nothing long may be."""
    looked_up: list[Claim] = []

    class Visits:
        async def look(self, app: App, claim: Claim) -> Grant:
            looked_up.append(claim)
            return Grant(app, claim, "good")

    gate = Gate(cast("Any", Visits()), Settings(state_dir=tmp_path, socket=tmp_path / "api.sock"))
    strange = "; ".join(f"dlt-runtime-app={value}" for value in ("", "x" * 60_000, "g" * 64, "a" * 63))
    asking = scope()
    asking["headers"].append((b"cookie", f"{strange}; dlt-runtime-app={'a' * 64}".encode()))
    grant, _ = await gate.judge({**asking, "method": "GET"}, APP, ASKED)
    assert grant.is_good
    assert looked_up == [Claim(cookie="a" * 64)]
