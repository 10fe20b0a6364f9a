"""Apps that do not answer yet, and apps that have failed: what people and programs get instead (semantics S4)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runtime.domain.runs import Run
from tests.factories import NOW, make_run
from tests.plain_app import OK, plain_app
from tests.proxied import DEPLOYMENT_ID, SECRET, SLUG, TICKET, client, on_uvloop, proxied

PERSON = {"Accept": "text/html,*/*;q=0.8"}
PROGRAM = {"Authorization": "Bearer ours"}


def failed(**changes: Any) -> Run:
    fields = {"status": "failed", "reason": "ended with exit code 1", "ended_at": NOW, "deployment_id": DEPLOYMENT_ID}
    return make_run(**{**fields, **changes})


@on_uvloop
async def test_a_program_waits_for_the_app_that_it_wakes(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy, **PROGRAM) as http:
        proxy.apps.is_running = False
        asking = asyncio.create_task(http.post(f"{proxy.url}/mcp", content=b"{}"))
        await proxy.apps.woke.wait()
        proxy.apps.is_running = True
        proxy.visits.announce()
        assert (await asking).text == "ok"


@pytest.mark.parametrize("size", [2, 100_000, 1_000_000])
@on_uvloop
async def test_what_a_program_sends_while_it_waits_reaches_the_app(size: int, tmp_path: Path) -> None:
    content = bytes(number % 251 for number in range(size))

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + await reader.readexactly(size))
        await writer.drain()

    async with plain_app(echo) as app, proxied(app.port, tmp_path) as proxy, client(proxy, **PROGRAM) as http:
        proxy.apps.is_running = False
        asking = asyncio.create_task(http.post(f"{proxy.url}/mcp", content=content))
        await proxy.apps.woke.wait()
        await asyncio.sleep(0.1)
        proxy.apps.is_running = True
        proxy.visits.announce()
        assert (await asking).content == content


@pytest.mark.parametrize(
    "rest",
    ["", "content-length: 2\r\n", "connection: upgrade\r\nupgrade: websocket\r\n"],
    ids=["GET", "POST", "WebSocket"],
)
@on_uvloop
async def test_a_program_that_goes_while_it_waits_keeps_nobody_out(rest: str, tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path, most_open=1) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        method = "POST" if "length" in rest else "GET"
        head = f"{method} /apps/{SLUG}/ HTTP/1.1\r\nhost: h\r\nauthorization: Bearer ours\r\n{rest}\r\n"
        writer.write(head.encode() + (b"ab" if method == "POST" else b""))
        await proxy.apps.woke.wait()
        assert "crowded" in (await http.get(f"{proxy.url}/", headers=PERSON)).text
        writer.close()
        async with asyncio.timeout(5):
            while "board is starting" not in (await http.get(f"{proxy.url}/", headers=PERSON)).text:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.02)


@on_uvloop
async def test_a_program_is_told_to_come_again(tmp_path: Path) -> None:
    async with (
        plain_app(OK) as app,
        proxied(app.port, tmp_path, wait_seconds=0) as proxy,
        client(proxy, **PROGRAM) as http,
    ):
        proxy.apps.is_running = False
        answer = await http.get(f"{proxy.url}/")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["extra"] == {"code": "app_not_running"}


@on_uvloop
async def test_a_person_follows_the_log_until_the_app_answers(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        page = await http.get(f"{proxy.url}/deep/down", headers=PERSON)
        assert page.status_code == 503
        assert "board is starting" in page.text
        assert "version 7 of the code" in page.text
        assert f'data-events="/apps/{SLUG}/.dlt-runtime/log"' in page.text
        assert "unsafe" not in page.headers["content-security-policy"]
        async with http.stream("GET", f"{proxy.url}/.dlt-runtime/log") as events:
            lines = events.aiter_lines()
            assert [await anext(lines), await anext(lines)] == ["event: line", 'data: "builds <the> environment"']
            proxy.apps.is_running = True
            proxy.visits.announce()
            assert "event: ready" in [line async for line in lines]


@on_uvloop
async def test_who_holds_a_link_sees_no_log(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        proxy.apps.run = failed()
        link = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/"
        refused = await http.get(link)
        assert (refused.status_code, refused.json()["detail"]) == (503, "Whoever shared it can see why.")
        proxy.apps.run = make_run(status="starting")
        async with http.stream("GET", f"{link}.dlt-runtime/log") as events:
            proxy.apps.is_running = True
            assert "line" not in " ".join([line async for line in events.aiter_lines()])
        assert (await http.post(f"{link}.dlt-runtime/start")).status_code == 404


@on_uvloop
async def test_a_failure_is_shown_and_not_repeated_by_who_looks(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        proxy.apps.run = failed()
        page = await http.get(f"{proxy.url}/", headers=PERSON)
        assert page.status_code == 503
        assert "Run 1: ended with exit code 1." in page.text
        assert "KeyError: &lt;&#39;x&#39;&gt;" in page.text
        assert proxy.apps.woken == 0
        pressed = await http.post(f"{proxy.url}/.dlt-runtime/start")
        assert (pressed.status_code, proxy.apps.woken) == (303, 1)


@on_uvloop
async def test_what_somebody_has_cancelled_is_not_started_again_by_the_page_that_waited_for_it(tmp_path: Path) -> None:
    """Only by its button: to load the page again would be a visit."""
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        page = await http.get(f"{proxy.url}/", headers=PERSON)
        assert f'<form method="post" action="/apps/{SLUG}/.dlt-runtime/start">' in page.text
        async with http.stream("GET", f"{proxy.url}/.dlt-runtime/log") as events:
            lines = events.aiter_lines()
            assert await anext(lines) == "event: line"
            proxy.apps.run = make_run(status="cancelled", reason="cancelled on request")
            proxy.runs.ended.set()
            rest = [line async for line in lines if line]
        assert rest[-2:] == ["event: cancelled", 'data: "It was stopped before it answered: cancelled on request."']
        assert "event: ended" not in rest
        assert proxy.apps.woken == 1
        pressed = await http.post(f"{proxy.url}/.dlt-runtime/start")
        assert (pressed.status_code, proxy.apps.woken) == (303, 2)


@pytest.mark.parametrize("status", ["failed", "completed"])
@on_uvloop
async def test_a_page_whose_app_has_ended_otherwise_is_loaded_again(status: str, tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        proxy.apps.run = make_run(status=status)
        proxy.runs.ended.set()
        assert "event: ended" in (await http.get(f"{proxy.url}/.dlt-runtime/log")).text


@on_uvloop
async def test_a_tab_that_was_left_open_wakes_nothing(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        polling = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
        assert (await http.get(f"{proxy.url}/health", headers=polling)).status_code == 503
        assert (await http.get(f"{proxy.url}/health")).status_code == 503  # the same over plain HTTP
        assert proxy.apps.woken == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 401),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 401),
        ({"Origin": "http://evil.test"}, 401),
        ({"Origin": "null"}, 401),
        ({"Origin": "http://["}, 401),
        ({"Origin": "http://[", "Host": "["}, 401),
        ({"Host": "["}, 200),
    ],
)
@on_uvloop
async def test_cookies_count_for_the_apps_own_pages(headers: dict[str, str], status: int, tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        assert (await http.get(f"{proxy.url}/", headers=headers)).status_code == status


@on_uvloop
async def test_another_sites_form_is_not_taken_for_a_visitors(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert (await http.post(f"{proxy.url}/", headers=followed)).status_code == 401


@on_uvloop
async def test_a_person_without_a_visit_is_sent_to_sign_in(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy:
        proxy.visits.standing = "unknown"
        async with client(proxy) as http:
            person = await http.get(f"{proxy.url}/a%2Fb?c=d&e", headers=PERSON)
            program = await http.get(f"{proxy.url}/")
    assert person.status_code == 303
    visit = f"http://127.0.0.1:8470/visit?app={SLUG}&to=%2Fa%252Fb%3Fc%3Dd%26e&mark="
    assert person.headers["location"].startswith(visit)
    assert person.headers["set-cookie"].startswith("dlt-runtime-entry=")
    assert (program.status_code, program.headers["www-authenticate"]) == (401, "Bearer")


@on_uvloop
async def test_guessing_comes_to_an_end_and_locks_nobody_else_out(tmp_path: Path) -> None:
    """Whoever comes from the guesser's address with a good link or a good ticket is let in."""
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        link, enter = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/", f"{proxy.url}/.dlt-runtime/enter?ticket="
        wrong = link.replace(str(SECRET), str(DEPLOYMENT_ID))
        statuses = [(await http.get(wrong)).status_code for _ in range(21)]
        assert statuses == [404] * 20 + [429]
        assert (await http.get(f"{enter}nonsense")).status_code == 429
        assert (await http.get(link)).text == "ok"
        assert (await http.get(f"{enter}{TICKET}")).headers["set-cookie"].startswith("dlt-runtime-app=")


@on_uvloop
async def test_a_way_in_that_is_no_good_does_not_lead_round_in_circles(tmp_path: Path) -> None:
    """A browser that keeps no cookies, or was given another's way in, is told so, with a link to begin anew."""
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy, **PERSON) as http:
        enter = f"{proxy.url}/.dlt-runtime/enter?ticket={'e' * 64}"
        refused = await http.get(enter)
        assert refused.status_code == 403
        assert f'href="/apps/{SLUG}/.dlt-runtime/sign-in?to=%2F"' in refused.text
        again = await http.get(enter, headers={"Cookie": f"dlt-runtime-entry={'f' * 64}"})
        assert (again.status_code, again.headers["location"]) == (303, f"/apps/{SLUG}/")
        begun = await http.get(f"{proxy.url}/.dlt-runtime/sign-in?to=//evil.test")
        assert begun.headers["location"].startswith(f"http://127.0.0.1:8470/visit?app={SLUG}&to=%2F&mark=")


@on_uvloop
async def test_browsers_of_one_network_that_come_by_links_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs a ticket and a line of the audit trail, which a loop could make without end."""
    monkeypatch.setattr("runtime.proxy.app.TICKETS", 3)
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        link = f"http://127.0.0.1:{proxy.port}/public/{SECRET}/"
        statuses = [(await http.get(link, headers=PERSON)).status_code for _ in range(4)]
        assert statuses == [303] * 3 + [429]


@on_uvloop
async def test_a_link_that_is_taken_back_during_the_start_does_not_get_through(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        proxy.apps.is_running = False
        asking = asyncio.create_task(http.get(f"http://127.0.0.1:{proxy.port}/public/{SECRET}/"))
        await proxy.apps.woke.wait()
        proxy.apps.is_running = True
        proxy.visits.revoke()
        assert (await asking).status_code == 410
    assert app.connections == 0


@on_uvloop
async def test_a_flood_of_headers_is_refused_here_too(tmp_path: Path) -> None:
    async with plain_app(OK) as app, proxied(app.port, tmp_path) as proxy, client(proxy) as http:
        answer = await http.get(f"{proxy.url}/", headers={"X-Long": "x" * 200_000})
    assert answer.status_code == 431
