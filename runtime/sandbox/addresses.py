"""What a workspace's network must not lead to: the machine's own addresses, from procfs, and those of its cloud."""

import ipaddress
from pathlib import Path

_FIB_TRIE = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")


_METADATA_4 = (
    "169.254.169.254",  # nearly all clouds
    "169.254.170.2",  # credentials of containers: Amazon's
    "169.254.170.23",
    "100.100.100.200",  # Alibaba
    "168.63.129.16",  # Azure, beside the first
    "192.0.0.192",  # Oracle, beside the first
)
_METADATA_6 = ("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254")


def metadata_addresses() -> frozenset[str]:
    """Where clouds tell whoever asks from this machine its credentials and secrets."""
    return frozenset((*_METADATA_4, *(_METADATA_6 if _IF_INET6.exists() else ())))


def local_addresses() -> frozenset[str]:
    """Every global or private address of the machine; loopback and link-local ones do not leave a namespace anyway."""
    found = {*parse_fib_trie(_read(_FIB_TRIE)), *parse_if_inet6(_read(_IF_INET6))}
    return frozenset(
        address for address in found if not (ip := ipaddress.ip_address(address)).is_loopback and not ip.is_link_local
    )


def parse_fib_trie(text: str) -> set[str]:
    """IPv4: a leaf line `|-- A` followed by `/32 host LOCAL`."""
    found, leaf = set(), ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.add(leaf)
    return found


def parse_if_inet6(text: str) -> set[str]:
    """IPv6: the first word of each line, 32 hex digits."""
    return {str(ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))) for line in text.splitlines() if line.strip()}


def _read(path: Path) -> str:
    # Absent where the kernel has no such protocol.
    return path.read_text() if path.exists() else ""
