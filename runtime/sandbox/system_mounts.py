"""The part of the machine every sandbox sees: system libraries, certificates, names; all read-only.

`/etc` is not shown but composed. Of the machine's come certificates, the dynamic loader's cache and a few tables of
names; of our own `passwd`, `group`, `hosts`, `nsswitch.conf` and, in a network of its own, `resolv.conf`.
`/etc/ssl/private` stays out: where the daemon is root, "unreadable for others" protects nothing from a job.
"""

import contextlib
import os
import stat
from pathlib import Path

from runtime.domain.model import Frozen
from runtime.sandbox.policy import SANDBOX_ID, Link, Mount

DNS_FORWARD_4 = "169.254.1.1"
DNS_FORWARD_6 = "fd64:6c74::53"
"""Addresses inside a network of ours at which pasta answers and forwards to the machine's own resolver."""

HOST_RESOLV_CONF = Path("/etc/resolv.conf")
HOST_HOSTS = Path("/etc/hosts")

_READABLE = 0o644
_TOP_LEVEL = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = (
    "alternatives",
    "ca-certificates.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "mime.types",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
_PASSWD = (
    "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    f"job:x:{SANDBOX_ID}:{SANDBOX_ID}:job:/home/job:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
)
_GROUP = f"root:x:0:\njob:x:{SANDBOX_ID}:\nnogroup:x:65534:\n"
_NSSWITCH = (
    "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
    "networks: files\nprotocols: files\nservices: files\nrpc: files\n"
)
_OWN_HOSTS = "127.0.0.1 localhost job\n::1 localhost ip6-localhost ip6-loopback\n"


class SystemView(Frozen):
    """Mounts and links to put before a policy's own."""

    mounts: tuple[Mount, ...]
    links: tuple[Link, ...]


def write_system_files(directory: Path, *, isolated_network: bool) -> None:
    """Write our own `/etc` files into `directory` (made if missing); called when the daemon starts.

    Args:
        isolated_network: Whether sandboxes have a network of their own; its resolver is pasta, not the machine's.
    """
    directory.mkdir(parents=True, exist_ok=True)
    files = {"passwd": _PASSWD, "group": _GROUP, "nsswitch.conf": _NSSWITCH, "hosts": hosts_text(_read(HOST_HOSTS))}
    if isolated_network:
        files["resolv.conf"] = resolv_text(_read(HOST_RESOLV_CONF))
    for name, text in files.items():
        if _holds(directory / name, text):
            continue  # a start on a full disk has no room for it twice
        # Replaced whole: a running sandbox keeps the file it was started with.
        scratch = directory / f".{name}"
        scratch.write_text(text)
        scratch.chmod(_READABLE)
        scratch.replace(directory / name)
    if not isolated_network:
        (directory / "resolv.conf").unlink(missing_ok=True)


def _holds(file: Path, text: str) -> bool:
    try:
        return file.read_text() == text and stat.S_IMODE(file.stat().st_mode) == _READABLE
    except (OSError, UnicodeDecodeError):
        return False


def system_view(files: Path, base_prefix: Path | None = None) -> SystemView:
    """The read-only system, for every kind of sandbox.

    Args:
        files: The directory `write_system_files` filled.
        base_prefix: The installation of the virtualenv's interpreter (`sys.base_prefix`). Outside /usr it is shown at
            its own place; nothing beside it is.
    """
    mounts = [Mount(source=Path("/usr"), target="/usr")]
    links = [Link(path="/var/tmp", target="/tmp")]  # noqa: S108 - both inside the sandbox
    for name in _TOP_LEVEL:
        _show_as_is(Path("/", name), mounts, links)
    # A link, not its content: programs read the zone's name from where it leads.
    _show_as_is(Path("/etc/localtime"), mounts, links)
    mounts += [Mount(source=path, target=str(path)) for name in _ETC if (path := Path("/etc", name)).exists()]
    mounts += [
        Mount(source=path, target=f"/etc/{path.name}") for path in sorted(files.iterdir()) if path.name[0] != "."
    ]
    if not (files / "resolv.conf").exists() and HOST_RESOLV_CONF.exists():
        mounts.append(Mount(source=HOST_RESOLV_CONF.resolve(), target="/etc/resolv.conf"))
    if base_prefix is not None:
        _show_interpreter(base_prefix, mounts, links)
    return SystemView(mounts=tuple(mounts), links=tuple(links))


def resolv_text(host: str) -> str:
    """Our resolv.conf: pasta's address as the only server, the machine's search domains and options.

    The server is spoken to over IPv6 only where the machine has no IPv4 resolver: pasta forwards like to like.
    """
    servers = [words[1] for line in host.splitlines() if (words := line.split())[:1] == ["nameserver"] and words[1:]]
    only_ipv6 = bool(servers) and all(":" in server for server in servers)
    kept = [line for line in host.splitlines() if line.split()[:1] in (["search"], ["domain"], ["options"])]
    return "\n".join([f"nameserver {DNS_FORWARD_6 if only_ipv6 else DNS_FORWARD_4}", *kept]) + "\n"


def hosts_text(host: str) -> str:
    """Our hosts file: the sandbox's own name, then the machine's entries that do not mean the machine itself."""
    kept = []
    for line in host.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and not words[0].startswith("127.") and words[0] != "::1":
            kept.append(" ".join(words))
    return _OWN_HOSTS + "".join(f"{line}\n" for line in kept)


def _show_as_is(path: Path, mounts: list[Mount], links: list[Link]) -> None:
    if path.is_symlink():
        links.append(Link(path=str(path), target=str(path.readlink())))
    elif path.exists():
        mounts.append(Mount(source=path, target=str(path)))


def _show_interpreter(base_prefix: Path, mounts: list[Mount], links: list[Link]) -> None:
    real = base_prefix.resolve()
    if not real.is_relative_to("/usr"):
        mounts.append(Mount(source=real, target=str(real)))
    # uv names an installation by its minor version through a link beside it; virtualenvs are made with that name.
    if base_prefix.is_symlink() and not base_prefix.is_relative_to("/usr"):
        links.append(Link(path=str(base_prefix), target=os.path.relpath(real, base_prefix.parent)))


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(errors="replace")
    return ""
