"""Jobs that try to get out. `asked.json` says what to try; the last line printed is a JSON object of what came of it."""

import errno
import json
import os
import socket
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import dlt.hub.run as run

CANARY = b"canary" + b"-in-"  # in two, so that this file holds none
NOT_OURS = ("/proc", "/sys", "/dev", "/usr", "/venv")
OWN_PLACES = (
    "/workspace",
    "/workspace/.dlt",
    "/workspace/_local/prod",
    "/workspace/.dlt/.var/prod",
    "/tmp",
    "/home/job",
    "/dev/shm",
)
OTHER_PLACES = (
    "/",
    "/etc",
    "/usr",
    "/usr/lib",
    "/bin",
    "/opt",
    "/opt/dlt-runtime/launchers",
    "/venv",
    "/venv/bin",
    "/dev",
    "/home",
    "/proc",
    "/proc/sys/kernel",
    "/var",
    "/run",
    "/root",
)
CLONE_NEWUSER, MS_REMOUNT, MS_BIND, MNT_DETACH = 0x10000000, 0x20, 0x1000, 2


def outcome(attempt: Callable[[], Any]) -> str:
    """What it gave, as text, or the name of its error."""
    try:
        return str(attempt())
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(100_000)


def write(path: str) -> str:
    with open(path, "wb") as file:
        file.write(b"was here")
    return "written"


def connect(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=5) as connection:
        return connection.recv(40).decode()


def connect_unix(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect("\0" + name[1:] if name.startswith("@") else name)
        return "connected"


def canaries() -> List[str]:
    """`path: canary` for every canary in a file that can be read."""
    found = []
    for directory, names, files in os.walk("/"):
        names[:] = [name for name in names if os.path.join(directory, name) not in NOT_OURS]
        for file in files:
            path = os.path.join(directory, file)
            try:
                content = read(path) if os.path.isfile(path) else b""
            except OSError:
                continue
            for piece in content.split(CANARY)[1:]:
                found.append(f"{path}: {piece.split(b'.')[0].decode()}")
    return sorted(found)


def processes() -> Dict[str, str]:
    """Every process that can be seen, with what its environment and command line hold of canaries."""
    seen = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        text = b""
        for name in ("environ", "cmdline"):
            try:
                text += read(f"/proc/{pid}/{name}")
            except OSError:
                pass
        seen[pid] = "canary" if CANARY in text else "clean"
    return seen


def privileges() -> Dict[str, str]:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *arguments: Any) -> str:
        ctypes.set_errno(0)
        result = getattr(libc, name)(*arguments)
        return "allowed" if result >= 0 else errno.errorcode[ctypes.get_errno()]

    status = dict(line.split(":\t", 1) for line in read("/proc/self/status").decode().splitlines() if ":\t" in line)
    return {
        "capabilities": status["CapEff"],
        "bounding": status["CapBnd"],
        "no new privileges": status["NoNewPrivs"],
        "uid": str(os.getuid()),
        "setuid": outcome(lambda: os.setuid(0)),
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "remount": call("mount", None, b"/", None, MS_REMOUNT | MS_BIND, None),
        "unmount": call("umount2", b"/venv", MNT_DETACH),
        "user namespace": call("unshare", CLONE_NEWUSER),
        "chroot": call("chroot", b"/tmp"),
        "hostname": call("sethostname", b"mine", 4),
        "device": outcome(lambda: os.mknod("/tmp/disk", 0o060600, os.makedev(8, 0))),
        "kill everybody": outcome(lambda: os.kill(-1, 0)),
    }


@run.job()
def look_around() -> None:
    asked = json.loads(Path("asked.json").read_text())
    answer = {
        "files": {path: outcome(lambda path=path: f"{len(read(path))} bytes") for path in asked.get("files", ())},
        "through the root of process 1": {
            path: outcome(lambda path=path: f"{len(read(f'/proc/1/root{path}'))} bytes")
            for path in asked.get("files", ())
        },
        "canaries": canaries(),
        "processes": processes(),
        "privileges": privileges(),
        "own places": {place: outcome(lambda place=place: write(f"{place}/probe")) for place in OWN_PLACES},
        "other places": {place: outcome(lambda place=place: write(f"{place}/probe")) for place in OTHER_PLACES},
        "asked places": {place: outcome(lambda place=place: write(place)) for place in asked.get("writes", ())},
        "namespaces": {
            name: os.readlink(f"/proc/self/ns/{name}") for name in ("net", "pid", "mnt", "user", "ipc", "uts")
        },
        "interfaces": [name for _, name in socket.if_nameindex()],
        "addresses": {
            f"{host}@{port}": outcome(lambda host=host, port=port: connect(host, port))
            for host, port in asked.get("addresses", ())
        },
        "sockets": {name: outcome(lambda name=name: connect_unix(name)) for name in asked.get("sockets", ())},
    }
    print(json.dumps(answer))


@run.job()
def connects() -> None:
    """Only the network's part."""
    asked = json.loads(Path("asked.json").read_text())
    print(json.dumps({f"{host}@{port}": outcome(lambda: connect(host, port)) for host, port in asked["addresses"]}))


@run.job()
def keeps_a_secret() -> None:
    """Puts a canary wherever a job may write, says so, and waits for a file `stop`."""
    for place in OWN_PLACES:
        # What persists is shared by the jobs of a profile: no secret among them.
        if place not in ("/workspace/_local/prod", "/workspace/.dlt/.var/prod"):
            Path(place, "secret").write_bytes(CANARY + b"another-run.")
    os.environ["SECRET"] = "set too late to be seen"
    print("keeping")
    while not Path("_local/prod/stop").exists():
        time.sleep(0.01)


@run.job()
def leaves_traps() -> None:
    """Links that lead out of the working copy, and directories that cannot be entered."""
    for number, target in enumerate(json.loads(Path("asked.json").read_text())["traps"]):
        os.symlink(target, f"trap{number}")
        os.symlink(target, f"_local/prod/trap{number}")
        os.makedirs(f"deep{number}/er")
        os.symlink(target, f"deep{number}/er/trap")
        os.chmod(f"deep{number}/er", 0)
        os.chmod(f"deep{number}", 0)
