"""Jobs that try what an attacker would. Each prints, last, a JSON object: what was tried and what came of it."""

import ctypes
import errno
import json
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict

import dlt.hub.run as run

LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
# (x86_64, aarch64), arguments
CALLS: Dict[str, Any] = {
    "add_key": ((248, 217), (b"user", b"probe", b"x", 1, -3)),
    "keyctl": ((250, 219), (0, -3, 0)),
    "request_key": ((249, 218), (b"user", b"probe", None, -3)),
    "bpf": ((321, 280), (0, None, 0)),
    "perf_event_open": ((298, 241), (None, 0, -1, -1, 0)),
    "userfaultfd": ((323, 282), (0,)),
    "io_uring_setup": ((425, 425), (1, None)),
    "kexec_load": ((246, 104), (0, 0, None, 0)),
    "init_module": ((175, 105), (None, 0, b"")),
    "delete_module": ((176, 106), (b"probe", 0)),
    "syslog": ((103, 116), (3, None, 0)),
    "swapon": ((167, 224), (b"/tmp", 0)),
    "reboot": ((169, 142), (0, 0, 0, None)),
    "acct": ((163, 89), (b"/tmp/acct",)),
    "settimeofday": ((164, 170), (b"\0" * 16, None)),
    "quotactl": ((179, 60), (0, None, 0, None)),
    "open_by_handle_at": ((304, 265), (-1, None, 0)),
    "personality": ((135, 92), (0x0040000,)),
    "process_vm_readv": ((310, 270), (1, None, 0, None, 0, 0)),
    "pidfd_getfd": ((438, 438), (0, 0, 0)),
    "setns": ((308, 268), (0, 0)),
    "fsopen": ((430, 430), (b"tmpfs", 0)),
    "open_tree": ((428, 428), (-100, b"/", 1)),
    "clone3": ((435, 435), (None, 0)),
}
NAMESPACES = {
    "user": 0x10000000,
    "pid": 0x20000000,
    "mount": 0x00020000,
    "network": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "time": 0x00000080,
}
PTRACE_ATTACH, PTRACE_SEIZE, PTRACE_TRACEME = 16, 0x4206, 0
PROC_WRITES = (
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sysrq-trigger",
    "/proc/1/oom_score_adj",
    "/proc/self/oom_score_adj",
    "/proc/self/uid_map",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
)
DEVICES = ("/dev/mem", "/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/vda", "/dev/sda", "/dev/loop0")


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        return str(attempt())
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)


def call(number: int, *arguments: Any) -> str:
    ctypes.set_errno(0)
    result = LIBC.syscall(number, *arguments)
    return f"gave {result}" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def open_for_writing(path: str) -> str:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, b"1")
    finally:
        os.close(descriptor)
    return "written"


@run.job()
def calls() -> None:
    """System calls that no job needs."""
    place = 0 if X86 else 1
    answers = {name: call(numbers[place], *arguments) for name, (numbers, arguments) in CALLS.items()}
    unshare, clone = ((272, 56), (97, 220))[place]
    for name, flag in NAMESPACES.items():
        answers[f"unshare {name}"] = call(unshare, flag)
    answers["clone with a user namespace"] = call(clone, NAMESPACES["user"] | 17, 0, 0, 0, 0)
    answers["ioctl TIOCSTI"] = call((16, 29)[place], 0, 0x5412, b"x")
    if X86:
        answers["a 32-bit number"] = call(0x40000000 | 39)
    print(json.dumps(answers))


@run.job()
def reaches_for_processes() -> None:
    """Signals and ptrace, to the sandbox's own init and to numbers that are other processes outside."""
    wanted = json.loads(Path("asked.json").read_text())["pids"]
    ptrace = 101 if X86 else 117
    answers = {}
    for pid in (1, *wanted):
        answers[f"ptrace {pid}"] = call(ptrace, PTRACE_ATTACH, pid, 0, 0)
        answers[f"seize {pid}"] = call(ptrace, PTRACE_SEIZE, pid, 0, 0)
    for pid in wanted:
        answers[f"memory of {pid}"] = outcome(lambda: len(Path(f"/proc/{pid}/mem").open("rb").read(1)))
        answers[f"signal {pid}"] = outcome(lambda: os.kill(pid, signal.SIGCONT))
    answers["traceme"] = call(ptrace, PTRACE_TRACEME, 0, 0, 0)
    print(json.dumps(answers))


@run.job()
def writes_to_the_kernel() -> None:
    print(json.dumps({path: outcome(lambda: open_for_writing(path)) for path in PROC_WRITES}))


@run.job()
def makes_devices() -> None:
    answers = {path: outcome(lambda: os.close(os.open(path, os.O_RDWR))) for path in DEVICES}
    for place in ("/tmp", "/workspace", "/workspace/_local/prod", "/dev/shm", "/home/job"):
        for kind, name in ((stat.S_IFBLK, "block"), (stat.S_IFCHR, "character")):
            answers[f"{name} in {place}"] = outcome(lambda: os.mknod(f"{place}/{name}", kind | 0o666, os.makedev(8, 0)))
    print(json.dumps(answers))


@run.job()
def makes_setuid_files() -> None:
    """A program that anybody may run as whom it belongs to: here, and for whoever finds it outside."""
    answers = {}
    for place in ("/workspace", "/workspace/_local/prod", "/tmp"):
        program = Path(place, "as-me")
        program.write_bytes(Path("/usr/bin/id").read_bytes())
        answers[f"chmod in {place}"] = outcome(lambda: program.chmod(0o6755))
        done = subprocess.run([program, "-u"], capture_output=True, text=True)
        answers[f"run in {place}"] = done.stdout.strip()
    su = subprocess.run(["/usr/bin/su", "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    answers["su"] = "root" if su.stdout.strip() == "0" else "refused"
    print(json.dumps(answers))


@run.job()
def looks_at_descriptors() -> None:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[name] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one that listed
    of_init = outcome(lambda: sorted(os.listdir("/proc/1/fd")))
    print(json.dumps({"own": found, "of the init": of_init}))


@run.job()
def looks_at_environments() -> None:
    texts = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("environ", "cmdline"):
            texts[f"{pid} {name}"] = outcome(
                lambda: Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")
            )
    print(json.dumps(texts))


@run.job()
def reaches_metadata() -> None:
    answers = {}
    for host in json.loads(Path("asked.json").read_text())["metadata"]:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as connection:
            connection.settimeout(3)
            answers[host] = outcome(lambda: connection.connect((host, 80)))
    print(json.dumps(answers))


@run.job()
def swaps_links() -> None:
    """Directories of its own become links out and directories again, while somebody measures them."""
    targets = json.loads(Path("asked.json").read_text())["targets"]
    until = time.monotonic() + 4
    places = [Path("/workspace/swapped"), Path("/workspace/_local/prod/swapped"), Path("/tmp/swapped")]
    filling = Path("/tmp/filling").open("wb")
    rounds = 0
    while time.monotonic() < until:
        for place in places:
            for target in targets:
                os.symlink(target, f"{place}.new")
                if place.is_symlink() or not place.exists():
                    os.replace(f"{place}.new", place)
                else:
                    os.unlink(f"{place}.new")
                if place.is_symlink():
                    place.unlink()
                place.mkdir(exist_ok=True)
                place.rmdir()
        rounds += 1
        if rounds % 50 == 0:
            filling.write(b"x" * 1024 * 1024)  # something to measure
            filling.flush()
    for place in places:
        place.symlink_to(targets[0])
    print(json.dumps({"rounds": rounds > 0}))


@run.job()
def forges_its_log() -> None:
    """Lines that look like the runtime's, escapes, and its own log file rewritten through its descriptor."""
    print("[   1] 00:00:00.000 [setup] environment found")
    print("before\rafter")
    print("\x1b[2J\x1b]0;owned\x07\x1b[31mred")
    print('{"status": "completed"}')
    print("right\u202eleft")
    sys.stdout.flush()
    answers = {}
    for name in ("1", "2"):
        answers[f"reopen {name}"] = outcome(lambda: os.close(os.open(f"/proc/self/fd/{name}", os.O_RDWR)))
    answers["shorten"] = outcome(lambda: os.ftruncate(1, 0))
    print("written after the file was emptied")
    print(json.dumps(answers))


@run.job()
def prints_escapes() -> None:
    print("\x1b[2J\x1b]0;owned\x07\x1b[31mred\x1b]8;;http://evil.example\x07link")
    print("before\rafter \u202eleft\u202c \x9b2J")


@run.job()
def fakes_its_end() -> None:
    """Every place where a result or a status might be looked for, and then a failure."""
    for number in range(3, 64):
        try:
            os.write(number, b'{"exit-code": 0}\n')
        except OSError:
            continue
    for place in ("/workspace", "/tmp", "/run", "/run/report", "/workspace/.dlt"):
        for name in ("status", "result.json", "exit-code", f"{os.environ['RUNTIME__RUN_ID']}.status"):
            try:
                Path(place, name).write_text('{"exit-code": 0}\n')
            except OSError:
                continue
    print('{"exit-code": 0}')
    sys.stdout.flush()
    os._exit(7)


@run.job()
def leaves_strange_reports() -> None:
    """Where the runtime looks for what a run reports: links out, a pipe nobody writes to, a file without end."""
    target = json.loads(Path("asked.json").read_text())["targets"][0]
    report = Path("/run/report")
    answers = {
        "link": outcome(lambda: os.symlink(target, report / "link.json")),
        "pipe": outcome(lambda: os.mkfifo(report / "pipe.json")),
        "directory": outcome(lambda: os.mkdir(report / "directory.json")),
        "huge": outcome(lambda: os.truncate(os.open(report / "huge.json", os.O_CREAT | os.O_WRONLY), 50 * 1024**2)),
        "garbage": outcome(lambda: (report / "garbage.json").write_bytes(b"\xff\x00{[" * 1000)),
        "deep": outcome(lambda: (report / "deep.json").write_text("[" * 100_000)),
    }
    print(json.dumps(answers))
