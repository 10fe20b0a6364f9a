"""Finding what processes keep on the disk without a name."""

import ctypes
import mmap
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runtime.sandbox import held
from runtime.sandbox.held import held_files, written_bytes

MIB = 1024**2
_PR_SET_DUMPABLE = 4


def nameless(path: Path) -> int:
    """A descriptor of a file of one MiB that has no name any more."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"x" * MIB)
    path.unlink()
    return descriptor


@contextmanager
def mapped(descriptor: int) -> Iterator[None]:
    """One page of it, without a descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, descriptor, 0)
    os.close(descriptor)
    try:
        yield
    finally:
        libc.munmap(address, mmap.PAGESIZE)


@pytest.fixture
def device(tmp_path: Path) -> int:
    return tmp_path.stat().st_dev


def test_open_files_without_a_name_are_measured(tmp_path: Path, device: int) -> None:
    before = held_files([os.getpid()], device).nameless.bytes
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x" * MIB)
        file.flush()
        assert held_files([os.getpid()], device).nameless.bytes == before
        (tmp_path / "file").unlink()
        after = held_files([os.getpid()], device).nameless
    assert after.bytes - before >= MIB
    assert not after.hides


def test_a_nameless_file_that_is_only_mapped_is_hidden_and_one_that_is_open_too_is_not(
    tmp_path: Path, device: int
) -> None:
    descriptor = nameless(tmp_path / "file")
    second = os.dup(descriptor)
    with mapped(descriptor):
        assert not held_files([os.getpid()], device).nameless.hides
        os.close(second)
        assert held_files([os.getpid()], device).nameless.hides
    assert not held_files([os.getpid()], device).nameless.hides


def test_a_descriptor_on_its_way_in_a_socket_is_hidden_until_it_is_received(tmp_path: Path, device: int) -> None:
    descriptor = nameless(tmp_path / "file")
    one, other = socket.socketpair()
    with one, other:
        socket.send_fds(one, [b"here"], [descriptor])
        os.close(descriptor)
        assert held_files([os.getpid()], device).nameless.hides
        _, received, _, _ = socket.recv_fds(other, 4, 1)
        found = held_files([os.getpid()], device).nameless
        assert not found.hides
        assert found.bytes >= MIB
        os.close(received[0])


def test_a_descriptor_in_a_connection_that_nobody_has_accepted_is_hidden(tmp_path: Path, device: int) -> None:
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as calling:
        listening.bind("\0" + str(tmp_path))
        listening.listen()
        calling.connect("\0" + str(tmp_path))
        descriptor = nameless(tmp_path / "file")
        socket.send_fds(calling, [b"here"], [descriptor])
        os.close(descriptor)
        assert held_files([os.getpid()], device).nameless.hides


def test_a_thread_with_descriptors_of_its_own_is_looked_at(tmp_path: Path, device: int) -> None:
    before = held_files([os.getpid()], device).nameless.bytes
    opened, over = threading.Event(), threading.Event()

    def part() -> None:
        assert ctypes.CDLL(None).unshare(0x400) == 0  # CLONE_FILES
        descriptor = nameless(tmp_path / "file")
        opened.set()
        over.wait()
        os.close(descriptor)

    thread = threading.Thread(target=part)
    thread.start()
    try:
        assert opened.wait(10)
        assert held_files([os.getpid()], device).nameless.bytes - before >= MIB
    finally:
        over.set()
        thread.join()


@contextmanager
def descriptors_and_threads(path: Path) -> Iterator[None]:
    """A hundred of each; the threads share the descriptors."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(100)]
    with ExitStack() as files:
        path.touch()
        for _ in range(100):
            files.enter_context(path.open())
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_descriptors_that_threads_share_are_looked_at_once(
    tmp_path: Path, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MOST_DESCRIPTORS", 1000)
    with descriptors_and_threads(tmp_path / "many"):
        before = held_files([os.getpid()], device).nameless
        descriptor = nameless(tmp_path / "file")
        after = held_files([os.getpid()], device).nameless
        os.close(descriptor)
    assert not after.hides
    assert after.bytes - before.bytes >= MIB


def test_more_descriptors_than_are_looked_at_hide_something(
    tmp_path: Path, device: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a job opens, looking at them takes no longer than that of so many."""
    with descriptors_and_threads(tmp_path / "many"):
        assert not held_files([os.getpid()], device).nameless.hides
        monkeypatch.setattr(held, "MOST_DESCRIPTORS", 100)
        assert held_files([os.getpid()], device).nameless.hides


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing can be kept from root")
def test_who_keeps_its_descriptors_to_itself_hides_something(device: int) -> None:
    script = (
        f"import ctypes; ctypes.CDLL(None).prctl({_PR_SET_DUMPABLE}, 0, 0, 0, 0); print('done', flush=True); input()"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        assert held_files([process.pid], device).nameless.hides
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not held_files([process.pid], device).nameless.hides, "who has ended holds nothing"
    assert not held_files([process.pid], device).nameless.hides


def test_files_that_are_open_for_writing_are_told_from_those_that_are_read(tmp_path: Path, device: int) -> None:
    (tmp_path / "read").touch()
    with (tmp_path / "written").open("wb") as written, (tmp_path / "read").open() as read:
        found = held_files([os.getpid()], device).written
        assert os.fstat(written.fileno()).st_ino in found
        assert os.fstat(read.fileno()).st_ino not in found


@pytest.mark.usefixtures("on_disk")
def test_what_a_process_and_its_children_wrote_is_counted(tmp_path: Path) -> None:
    before = written_bytes([os.getpid()])
    (tmp_path / "own").write_bytes(os.urandom(MIB))
    script = "import sys; open(sys.argv[1], 'wb').write(bytes(1024 * 1024))"
    subprocess.run([sys.executable, "-c", script, tmp_path / "childs"], check=True)
    assert written_bytes([os.getpid()]) - before >= 2 * MIB
