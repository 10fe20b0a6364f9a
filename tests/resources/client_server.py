"""Runs inside the public client's environment: imports it once, then forks for every command that it is sent.

Each message on the socket (whose descriptor is the only argument) is a JSON list, the words after `dlt`, with the three
standard descriptors of the command; the answers are its process and, in time, its exit status, each a line. Nothing of
the client is changed: the child calls what its console script calls. Imported is also what each command would.
"""

import gc
import json
import os
import socket
import sys

import cron_descriptor  # noqa: F401
import dlt._workspace.cli.commands
import dlt._workspace.mcp  # noqa: F401
import dlt_runtime._runtime_command
import dlt_runtime.commands  # noqa: F401
import fastmcp.server  # noqa: F401
import httpcore  # noqa: F401
import marimo  # noqa: F401
from dlt._workspace.cli._dlt import _main


def serve(channel: socket.socket) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if not message:
            return
        child = os.fork()
        if not child:
            channel.close()
            become(["dlt", *json.loads(message)], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.sendall(b"%d\n" % child)
        _, status = os.waitpid(child, 0)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def become(argv: list[str], descriptors: list[int]) -> None:
    """Go on as the command."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    sys.argv = argv
    sys.exit(_main())


if __name__ == "__main__":
    gc.freeze()  # a child's search for garbage, the last one above all, would copy everything
    serve(socket.socket(fileno=int(sys.argv[1])))
