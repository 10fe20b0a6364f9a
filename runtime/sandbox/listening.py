"""Which TCP ports something listens on, in the network that a process is in."""

from pathlib import Path

_LISTEN = "0A"


def listening_ports(pid: int) -> frozenset[int]:
    """The ports, whatever the address; none where the process has ended."""
    ports: set[int] = set()
    for table in ("tcp", "tcp6"):
        try:
            text = Path(f"/proc/{pid}/net/{table}").read_text()
        except OSError:
            continue
        ports |= parse_listening(text)
    return frozenset(ports)


def parse_listening(text: str) -> set[int]:
    """The local ports of the listening sockets in the kernel's table."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN}
