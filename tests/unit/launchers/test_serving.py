"""How returned applications are told apart, and what commands are made of dlt's."""

import functools
import io
import socket
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from types import ModuleType, SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from runtime.launchers import serving
from runtime.launchers.serving import Arguments, CannotServeError, QuietHandler, ThreadedServer


async def asgi_function(scope: Any, receive: Any, send: Any) -> None: ...


def asgi_without_async(scope: Any, receive: Any, send: Any) -> Any:
    return asgi_function(scope, receive, send)


def wsgi_function(environ: Any, start_response: Any) -> Iterable[bytes]:
    return []


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        return []


class Uncalled:
    pass


@pytest.mark.parametrize(
    "application",
    [asgi_function, asgi_without_async, AsgiObject(), functools.partial(AsgiObject())],
    ids=["function", "function without async", "object", "partial"],
)
def test_asgi_is_seen_by_its_three_parameters(application: Any) -> None:
    assert serving.is_asgi(application)
    assert not serving.is_wsgi(application)


@pytest.mark.parametrize("application", [wsgi_function, WsgiObject()], ids=["function", "object"])
def test_wsgi_is_seen_by_its_two_parameters(application: Any) -> None:
    assert serving.is_wsgi(application)
    assert not serving.is_asgi(application)


@pytest.mark.parametrize("result", ["text", 7, None, {"a": 1}, AsgiObject, Uncalled(), print, lambda: None, dict])
def test_what_a_batch_job_might_return_is_no_application(result: Any) -> None:
    assert not serving.is_asgi(result)
    assert not serving.is_wsgi(result)


def arguments(**run_args: Any) -> Arguments:
    return Arguments({"module": "board", "job_ref": "jobs.board", "run_args": {"port": 8080, **run_args}})


def test_what_is_not_served_is_the_jobs_result() -> None:
    """It is printed; an application that came to its end is not."""
    check = serving.serve_returned(arguments())
    check("a text", None, None)
    with pytest.raises(SystemExit) as ended:
        check(None, None, None)
    assert ended.value.code == 0


def test_a_wsgi_application_learns_where_browsers_see_it() -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(environ)
        return [b"answer"]

    environ = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_FOR": "192.0.2.7, 127.0.0.1", "REMOTE_ADDR": "::1"}
    setup_testing_defaults(environ)
    assert list(serving.behind_prefix(application, "/apps/board")(environ, None)) == [b"answer"]
    assert (seen["SCRIPT_NAME"], seen["wsgi.url_scheme"], seen["REMOTE_ADDR"]) == ("/apps/board", "https", "192.0.2.7")


@pytest.fixture
def launcher() -> ModuleType:
    module = ModuleType("dlt._workspace.deployment.launchers.marimo")
    module.__dict__["MarimoConfiguration"] = SimpleNamespace(asset_url="https://cdn.example/{version}")
    return module


def test_pages_of_notebooks_come_from_the_notebook_unless_their_settings_say_otherwise(launcher: ModuleType) -> None:
    argv = ["marimo", "run", "board.py", "--asset-url", "https://cdn.example/{version}", "--port", "1"]
    assert serving.with_own_assets(argv, launcher) == ["marimo", "run", "board.py", "--port", "1"]
    own = ["marimo", "run", "board.py", "--asset-url", "https://assets.example.org"]
    assert serving.with_own_assets(own, launcher) == own


def test_a_program_that_is_not_in_the_environment_is_named() -> None:
    with pytest.raises(CannotServeError, match="has no `absent_program`: add it to one of the job's dependency groups"):
        serving.run_command(["absent_program", "run"], arguments())


def test_a_program_runs_in_this_process_bound_to_the_host_it_was_given(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "board_program"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import sys\nprint(__name__, sys.argv)")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", [])
    serving.run_command(["board_program", "--address=0.0.0.0"], arguments(host="127.0.0.1"))
    name, _, shown = capsys.readouterr().out.strip().partition(" ")
    assert name == "__main__"
    assert shown.endswith("'--address=127.0.0.1']")


def test_a_file_is_found_without_running_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "board_script.py").write_text("raise RuntimeError('is only looked for')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert serving.path_of("board_script") == str(tmp_path / "board_script.py")
    with pytest.raises(CannotServeError, match="module `sys` has no file"):
        serving.path_of("sys")


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
        (b"3;name=value\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", b"abc"),
        (b"200000\r\n" + b"x" * 0x200000 + b"\r\n0\r\n\r\n", b"x" * 0x200000),
    ],
    ids=["nothing", "two chunks", "an extension and a trailer", "more than is kept in memory"],
)
def test_a_body_in_chunks_is_put_together(sent: bytes, body: bytes) -> None:
    rest = io.BytesIO(sent + b"NEXT")
    found, length = serving.unchunked(rest)
    with found:
        assert (found.read(), length) == (body, len(body))
    assert rest.read() == b"NEXT"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"x\r\n",
        b"-1\r\n",
        b"0x3\r\nabc",
        b"+3\r\nabc",
        b"3\r\nab",
        b"3\r\nabcd\r\n",
        b"f" * 2000 + b"\r\n",
        b"\r\n",
    ],
)
def test_what_is_not_in_chunks_is_no_body(sent: bytes) -> None:
    with pytest.raises(serving.ChunkError):
        serving.unchunked(io.BytesIO(sent))


def test_many_requests_of_one_page_find_a_place_before_the_first_is_taken() -> None:
    with ExitStack() as opened:
        server = opened.enter_context(ThreadedServer(("127.0.0.1", 0), QuietHandler))
        for _ in range(60):
            opened.enter_context(socket.create_connection(("127.0.0.1", server.server_port), timeout=5))
