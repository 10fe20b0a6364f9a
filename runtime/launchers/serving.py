"""Runs interactive jobs: what dlt's launchers run, in this process, and the web applications that they refuse.

An application finds in `run_args` of its entry point the `port` to listen on, the `host` to bind (all addresses, if
there is none) and `base_path`, the prefix under which browsers reach it. Notebooks, Streamlit and the dashboard take
that prefix upon themselves; whoever forwards requests to anything else takes it off and it is told of it.

Standard library and dlt only, of the job's own environment, and of the web frameworks what that has; Python 3.10 and
later.
"""

import importlib
import importlib.util
import inspect
import re
import runpy
import signal
import socketserver
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

LAUNCHERS = "dlt._workspace.deployment.launchers"
DASHBOARD = f"{LAUNCHERS}.dashboard"
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - of a network of its own; dlt's launchers bind it too
OPEN_REQUESTS_SECONDS = 5
"""How long a server that was told to end waits for its requests."""
WAITRESS_OPTIONS = {
    "threads": 16,
    # Only the runtime speaks to it; without these it takes away what it is told of the visitor.
    "trusted_proxy": "*",
    "trusted_proxy_headers": "x-forwarded-proto x-forwarded-for x-forwarded-host",
    "clear_untrusted_proxy_headers": True,
    "max_request_body_size": sys.maxsize,  # the disk of the run is the bound
}
BODY_BYTES_IN_MEMORY = 1024 * 1024
"""Of a request's body that came in chunks; what is more goes to a temporary file."""
_LINE_BYTES = 1024
_ENDS_OF_LINE = (b"\r\n", b"\n")
_TRAILER_LINES = 100
_BLOCK_BYTES = 64 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?")


class CannotServeError(Exception):
    """Says in one line what keeps the job from being served."""


def prepare(launcher: ModuleType, entry_point: dict[str, Any]) -> Callable[..., Any]:
    """What runs the job; to be called as dlt's launcher's own `run`, whose place it takes.

    Args:
        launcher: One of dlt's. Where it would replace this process, run a server without a word on the prefix, or
            refuse an application, it is made to call this module instead.
    """
    # A server ends with the signal that ended it; a job that was asked to end and did so has done well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    arguments = Arguments(entry_point)
    _replace(launcher, "exec_process", lambda argv: run_command(with_own_assets(argv, launcher), arguments))
    _replace(launcher, "resolve_module_path", path_of)
    _replace(launcher, "run_mcp_instance", serve_mcp(arguments))
    _replace(launcher, "_check_return_value", serve_returned(arguments))
    if launcher.__name__ == DASHBOARD:
        return dashboard(launcher, arguments)
    run: Callable[..., Any] = launcher.run
    return run


class Arguments:
    """`run_args` of an entry point."""

    def __init__(self, entry_point: dict[str, Any]) -> None:
        given = entry_point.get("run_args") or {}
        self.host: str = given.get("host") or ANY_ADDRESS
        self.port: int = given["port"]
        self.base_path: str = (given.get("base_path") or "").rstrip("/")
        self.name: str = entry_point.get("job_ref") or entry_point["module"]


def _replace(launcher: ModuleType, name: str, replacement: Callable[..., Any]) -> None:
    if hasattr(launcher, name):
        setattr(launcher, name, replacement)


# --- commands: marimo, Streamlit, the dashboard


def run_command(argv: list[str], arguments: Arguments) -> None:
    """A program of the environment, in this process, which has been waiting with dlt imported."""
    program = argv[0]
    if importlib.util.find_spec(program) is None:
        raise CannotServeError(missing(program, f"`{arguments.name}` is run by `{program}`"))
    sys.argv = [argument.replace(ANY_ADDRESS, arguments.host) for argument in argv]
    runpy.run_module(program, run_name="__main__", alter_sys=True)


def path_of(module: str) -> str:
    """The file of a module, which is not imported for that: a script would run."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.has_location:
        raise CannotServeError(f"module `{module}` has no file")
    return spec.origin


def with_own_assets(argv: list[str], launcher: ModuleType) -> list[str]:
    """Without the address in the Internet that marimo's pages load their scripts from unless a job says otherwise.

    The notebook's own server has the same files, for browsers that cannot or should not go there.
    """
    option = "--asset-url"
    default = getattr(getattr(launcher, "MarimoConfiguration", None), "asset_url", None)
    if option in argv and argv[argv.index(option) + 1] == default:
        place = argv.index(option)
        return argv[:place] + argv[place + 2 :]
    return argv


def dashboard(launcher: ModuleType, arguments: Arguments) -> Callable[..., Any]:
    """dlt's dashboard, told the prefix; its launcher would not, and would leave it to a process of its own."""

    def run(entry_point: dict[str, Any]) -> None:
        for step in ("apply_job_configuration", "prepare_run_env"):  # since dlt 1.30
            if hasattr(launcher, step):
                getattr(launcher, step)(entry_point)
        runner = importlib.import_module("dlt._workspace.helpers.dashboard.runner")
        argv = runner.run_dashboard_command(port=arguments.port, host=ANY_ADDRESS, headless=True)
        options = ["--no-token", *(["--base-url", arguments.base_path] if arguments.base_path else [])]
        own = argv.index("--") if "--" in argv else len(argv)
        run_command([*argv[:own], *options, *argv[own:]], arguments)

    return run


# --- what a job returns: MCP servers, ASGI and WSGI applications


def serve_returned(arguments: Arguments) -> Callable[[Any, Any, Any], None]:
    """Serves what a job's function returned, if it can be served; in the place of dlt's check that it cannot."""

    def check(result: Any, job: Any, _: Any) -> None:
        if is_instance(result, "fastmcp", "FastMCP"):
            sections = tuple(part for part in ("jobs", job.section, job.name) if part)
            serve_mcp(arguments)(result, arguments.port, sections)
        elif is_asgi(result):
            serve_asgi(result, arguments)
        elif is_wsgi(result):
            serve_wsgi(result, arguments)
        elif result is not None:
            return  # printed as any job's result
        raise SystemExit(0)

    return check


def serve_mcp(arguments: Arguments) -> Callable[[Any, int, tuple[str, ...]], None]:
    """Serves a FastMCP server as its job's settings say."""

    def serve(instance: Any, port: int, sections: tuple[str, ...]) -> None:
        launcher = importlib.import_module(f"{LAUNCHERS}.mcp")
        config = launcher._resolve_config(sections)
        if config.transport == "stdio":
            raise CannotServeError(f'`{arguments.name}` has `transport = "stdio"`, which nobody can connect to')
        options = {"path": config.path, "log_level": config.log_level, "stateless_http": config.stateless_http}
        if config.transport == "sse":
            del options["stateless_http"]
        instance.run(
            transport=config.transport,
            host=arguments.host,
            port=port,
            uvicorn_config=uvicorn_options(arguments),
            show_banner=False,
            **options,
        )

    return serve


def serve_asgi(application: Any, arguments: Arguments) -> None:
    """Starlette, FastAPI and everything else that speaks ASGI."""
    try:
        uvicorn = importlib.import_module("uvicorn")
    except ModuleNotFoundError:
        raise CannotServeError(
            missing("uvicorn", f"`{arguments.name}` returned an ASGI application, which needs a server")
        ) from None
    uvicorn.run(application, host=arguments.host, port=arguments.port, **uvicorn_options(arguments))


def uvicorn_options(arguments: Arguments) -> dict[str, Any]:
    """Where browsers see the application, and that only the runtime speaks to it."""
    return {
        "root_path": arguments.base_path,
        "proxy_headers": True,
        "forwarded_allow_ips": "*",
        "access_log": False,
        "timeout_graceful_shutdown": OPEN_REQUESTS_SECONDS,
    }


def serve_wsgi(application: Any, arguments: Arguments) -> None:
    """Flask and everything else that speaks WSGI: by waitress if there is one, else by the standard library."""
    behind = behind_prefix(application, arguments.base_path)
    try:
        waitress = importlib.import_module("waitress")
    except ModuleNotFoundError:
        with ThreadedServer((arguments.host, arguments.port), QuietHandler) as server:
            server.set_app(behind)
            server.serve_forever()
    else:
        waitress.serve(behind, host=arguments.host, port=arguments.port, **WAITRESS_OPTIONS)


class ThreadedServer(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each request, none of which keeps the process from ending."""

    daemon_threads = True
    request_queue_size = 128
    """Connections of a page's many requests that wait to be taken; the library's own 5 would make browsers try again
    after a second."""


class QuietHandler(WSGIRequestHandler):
    """Takes bodies in chunks too, does not look up the caller's name, and does not print every request.

    WSGI says how long a body is by `CONTENT_LENGTH` alone, so one that does not say it itself is read to its end before
    the application is called; as waitress does it.
    """

    def parse_request(self) -> bool:
        """Whether there is a request that can be answered; else it has been refused."""
        if not super().parse_request():
            return False
        coding = ", ".join(self.headers.get_all("transfer-encoding", ())).strip().lower()
        if not coding:
            return True
        if coding != "chunked":
            self.send_error(501, "Not a transfer coding that is known here")
            return False
        try:
            body, length = unchunked(self.rfile)
        except ChunkError as error:
            self.send_error(400, str(error))
            return False
        except OSError as error:  # the run has no more room
            self.send_error(413, error.strerror)
            return False
        self.rfile.close()
        self.rfile = body
        del self.headers["transfer-encoding"], self.headers["content-length"]
        self.headers["content-length"] = str(length)
        return True

    def address_string(self) -> str:
        return self.client_address[0]

    def log_request(self, *_: Any, **__: Any) -> None:
        """Left out."""


class ChunkError(Exception):
    """A body is not in chunks as it says, or breaks off."""


def unchunked(stream: Any) -> tuple[Any, int]:
    """A body that comes in chunks, as a file from its beginning, and its length.

    Raises:
        ChunkError: it is not one.
        OSError: there is no room for it.
    """
    body = tempfile.SpooledTemporaryFile(BODY_BYTES_IN_MEMORY)  # noqa: SIM115 - the request's, which closes it
    try:
        for piece in pieces_of(stream):
            body.write(piece)
        length = body.tell()
        body.seek(0)
    except BaseException:
        body.close()
        raise
    return body, length


def pieces_of(stream: Any) -> Iterator[bytes]:
    """What comes in chunks, as it comes, and nothing of what comes after it.

    Raises:
        ChunkError: it does not, or breaks off.
    """
    while left := chunk_size(stream.readline(_LINE_BYTES)):
        while left:
            piece = stream.read(min(left, _BLOCK_BYTES))
            if not piece:
                raise ChunkError("The body broke off")
            left -= len(piece)
            yield piece
        if stream.readline(_LINE_BYTES) not in _ENDS_OF_LINE:
            raise ChunkError("A chunk is longer than it says")
    for _ in range(_TRAILER_LINES):
        if stream.readline(_LINE_BYTES) in (*_ENDS_OF_LINE, b""):
            return
    raise ChunkError("Too much comes after the body")


def chunk_size(line: bytes) -> int:
    """What the line before a chunk says of its size."""
    found = _CHUNK_SIZE.fullmatch(line.rstrip(b"\r\n")) if line.endswith(b"\n") else None
    if found is None:
        raise ChunkError("What should be the size of a chunk is none")
    return int(found[1], 16)


def behind_prefix(application: Any, base_path: str) -> Callable[..., Iterable[bytes]]:
    """The application told where browsers see it, from what whoever forwards requests says of them."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = base_path
        environ["wsgi.url_scheme"] = environ.get("HTTP_X_FORWARDED_PROTO", environ["wsgi.url_scheme"])
        environ["REMOTE_ADDR"] = environ.get("HTTP_X_FORWARDED_FOR", environ["REMOTE_ADDR"]).split(",")[0].strip()
        answer: Iterable[bytes] = application(environ, start_response)
        return answer

    return call


def is_instance(value: Any, module: str, name: str) -> bool:
    """Without importing what the job has not imported."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_asgi(value: Any) -> bool:
    """Whether it is called with a scope and two channels."""
    names = parameters_of(value)
    return names == ["scope", "receive", "send"] or (len(names) == 3 and is_coroutine_function(value))


def is_wsgi(value: Any) -> bool:
    """Whether it is called with an environment and a function that starts the response."""
    return len(parameters_of(value)) == 2 and not is_coroutine_function(value)


def is_coroutine_function(value: Any) -> bool:
    """Also of objects that are called by a coroutine method."""
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(type(value).__call__)


def parameters_of(value: Any) -> list[str]:
    """The names of the positional parameters it is called with; empty if it cannot be called or does not say."""
    if not callable(value) or isinstance(value, type):
        return []
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]


def missing(package: str, why: str) -> str:
    """Says what to add."""
    return f"{why}, and its environment has no `{package}`: add it to one of the job's dependency groups"
