"""Sockets that systemd hands over."""

import os
import subprocess
import sys

LOOKS = """
import os, socket
from runtime.service_manager import inherited_listeners
found = inherited_listeners()
print([each.getsockname()[1] for each in found], [each.get_inheritable() for each in found])
print(sorted(name for name in os.environ if name.startswith("LISTEN_")), inherited_listeners())
"""
OPENS = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
listener.set_inheritable(True)  # it may be 3 already
os.dup2(listener.fileno(), 3)
os.environ |= {{"LISTEN_PID": str(os.getpid() + {others}), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "links"}}
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
"""


def looked(others: int = 0) -> list[str]:
    code = OPENS.format(others=others)
    command = [sys.executable, "-c", code, LOOKS]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_was_handed_over_is_ours_and_no_childs() -> None:
    port, found, afterwards = looked()
    assert found == f"[{port}] [False]"
    assert afterwards == "[] []", "no child hears of it, and it is taken once"


def test_what_was_handed_to_another_process_is_left_alone() -> None:
    _, found, afterwards = looked(1)
    assert found == "[] []"
    assert afterwards == "[] []"


def test_without_systemd_there_is_none() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    said = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True, env=environment)
    assert said.stdout.splitlines() == ["[] []", "[] []"]
