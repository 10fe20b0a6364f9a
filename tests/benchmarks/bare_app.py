"""A Litestar application of one handler, which does nothing: `python -m tests.benchmarks.bare_app PORT BODY_FILE`."""

import sys
from pathlib import Path

import uvicorn
from litestar import Litestar, Response, get


def bare_app(body: bytes) -> Litestar:
    """Answers every request for `/` with these bytes."""

    @get("/", sync_to_thread=False)
    def answer() -> Response[bytes]:
        return Response(body, media_type="application/json")

    return Litestar([answer], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    uvicorn.run(
        bare_app(Path(sys.argv[2]).read_bytes()),
        port=int(sys.argv[1]),
        server_header=False,
        access_log=False,
        log_config=None,
    )
