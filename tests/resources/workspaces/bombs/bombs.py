"""Jobs that take more than is theirs."""

import ctypes
import errno
import mmap
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dlt.hub.run as run

MIB = 1024 * 1024
BLOCK = b"x" * MIB
LINE = "the same line again and again, as fast as it goes\n" * 200


@run.job()
def eats_memory() -> None:
    """Bit by bit, and keeps it."""
    kept = []
    print("eating", flush=True)
    while True:
        kept.append(bytearray(os.urandom(1024) * 1024))


@run.job()
def eats_memory_in_children() -> None:
    """Each child has little; together they have too much."""
    print("eating", flush=True)
    for _ in range(20):
        if os.fork() == 0:
            kept = bytearray(os.urandom(1024) * 1024 * 40)
            time.sleep(60)
            sys.exit(len(kept) % 2)
    time.sleep(60)


@run.job()
def fills_shared_memory() -> None:
    """Files in memory belong to no process; there is less room for them than the job has memory."""
    fill("/dev/shm")


@run.job()
def fills_home() -> None:
    fill("/home/job")


@run.job()
def fills_both_memories() -> None:
    """Neither is full, but both together with what the job itself has are too much."""
    kept = bytearray(os.urandom(1024) * 1024 * 60)
    for place in ("/dev/shm", "/home/job"):
        with open(f"{place}/filling", "wb") as file:
            for _ in range(100):
                file.write(BLOCK)
        print(f"filled {place}", flush=True)
    time.sleep(60)
    print(len(kept))


@run.job()
def hides_memory() -> None:
    """Memory that neither a process nor a file stands for: nobody would count it."""
    try:
        os.memfd_create("hidden")
        print("a file in memory without a name")
    except OSError as error:
        print(errno.errorcode[error.errno or 0])


@run.job()
def forks() -> None:
    """Until it cannot."""
    children = []
    try:
        while len(children) < 20_000:
            pid = os.fork()
            if pid == 0:
                time.sleep(300)
                os._exit(0)
            children.append(pid)
    except OSError as error:
        print(f"{len(children)} children, then {errno.errorcode[error.errno or 0]}", flush=True)
        time.sleep(3)


@run.job()
def fills_working_copy() -> None:
    fill("/workspace")


@run.job()
def fills_scratch() -> None:
    fill("/tmp")


@run.job()
def fills_report() -> None:
    fill("/run/report")


@run.job()
def fills_data() -> None:
    fill("/workspace/_local/prod")


@run.job()
def fills_nameless_files() -> None:
    """No directory shows them."""
    files = []
    for number in range(64):
        path = f"/tmp/{number}"
        files.append(open(path, "wb"))
        os.unlink(path)
        for _ in range(16):
            files[-1].write(BLOCK)
        files[-1].flush()
    time.sleep(60)


@run.job()
def fills_own_log() -> None:
    """Sets room aside beyond the log's end: its size stays what it was."""
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(64):
        if libc.fallocate(1, 1, ctypes.c_long(number * 16 * MIB), ctypes.c_long(16 * MIB)) != 0:
            print(errno.errorcode[ctypes.get_errno()], flush=True)
        time.sleep(0.02)
    time.sleep(60)


@run.job()
def refills_own_log() -> None:
    """Writes where the runtime has given the disk back what was read."""
    with open("/proc/self/fd/1", "r+b", buffering=0) as log:
        log.truncate(1024 * MIB)
        time.sleep(2)
        for _ in range(3):
            for number in range(1000):
                os.pwrite(log.fileno(), BLOCK, number * MIB)
            time.sleep(1)
    time.sleep(60)


@run.job()
def fills_mapped_files() -> None:
    """Neither a name nor a descriptor shows them."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    for file in nameless_files():
        libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
        os.close(file)
    time.sleep(60)


@run.job()
def fills_files_in_flight() -> None:
    """Sent to itself, and never received."""
    one, other = socket.socketpair()
    for file in nameless_files():
        socket.send_fds(one, [b"x"], [file])
        os.close(file)
    time.sleep(60)
    other.close()


@run.job()
def fills_in_private() -> None:
    """A process that does not let its descriptors be looked at."""
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    files = list(nameless_files())
    time.sleep(60)
    print(len(files))


@run.job()
def fills_closed_directory() -> None:
    """Without permissions, in the data that stay."""
    place = Path("/workspace/_local/prod/filling-closed")
    place.mkdir()
    for number in range(64):
        place.chmod(0o700)
        (place / str(number)).write_bytes(BLOCK * 16)
        place.chmod(0)
    time.sleep(60)


@run.job()
def waits_beside() -> None:
    """Does nothing, until it is told to end."""
    print("waiting", flush=True)
    while not os.path.exists("/workspace/_local/prod/over"):
        time.sleep(0.05)


@run.job()
def floods_for_ever() -> None:
    """Until it is told to stop, then it fails."""
    until = time.monotonic() + 4
    while time.monotonic() < until:
        sys.stdout.write(LINE)
    sys.stdout.flush()
    raise ValueError("the flood is over")


@run.job()
def stays_small() -> None:
    """Uses some of everything."""
    kept = bytearray(os.urandom(1024) * 1024 * 20)
    with open("/tmp/some", "wb") as file:
        file.write(BLOCK * 5)
    print("content with", len(kept))


@run.job()
def burns() -> None:
    """All processors, for a while."""
    until = time.monotonic() + 3
    for _ in range(8):
        if os.fork() == 0:
            while time.monotonic() < until:
                pass
            os._exit(0)
    while time.monotonic() < until:
        pass
    print("burnt")


def fill(place: str) -> None:
    """Many files of 16 MiB, at most 1 GiB; says how far it got and goes on being there."""
    written = 0
    try:
        for number in range(64):
            with open(f"{place}/filling-{number}", "wb") as file:
                for _ in range(16):
                    file.write(BLOCK)
                    written += 1
    except OSError as error:
        print(f"{written} MiB, then {errno.errorcode[error.errno or 0]}", flush=True)
        return
    print(f"{written} MiB", flush=True)
    time.sleep(60)


def nameless_files() -> Iterator[int]:
    """Descriptors of 64 files of 16 MiB each."""
    for number in range(64):
        path = f"/tmp/{number}"
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.unlink(path)
        for _ in range(16):
            os.write(file, BLOCK)
        yield file
