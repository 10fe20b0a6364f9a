"""Who a process is."""

import os
import signal
import subprocess
import threading

from runtime.sandbox.identity import (
    children_of,
    identify,
    is_alive,
    name_of,
    open_pidfd,
    parent_of,
    send_signal,
)


def test_this_process_is_itself_and_nobody_else() -> None:
    own = identify(os.getpid())
    assert own is not None
    assert is_alive(own)
    assert not is_alive(own.model_copy(update={"started": own.started + 1}))
    assert not is_alive(own.model_copy(update={"boot_id": "another"}))


def test_parents_and_children_know_each_other() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        assert parent_of(child.pid) == os.getpid()
        assert child.pid in children_of(os.getpid())
        assert name_of(child.pid) == "sleep"
        child.kill()


def test_children_of_any_thread_are_children() -> None:
    made: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def make_one() -> None:
        made.append(subprocess.Popen(["sleep", "1000"]))
        over.wait()

    thread = threading.Thread(target=make_one)
    thread.start()
    try:
        while not made:
            assert thread.is_alive()
        assert made[0].pid in children_of(os.getpid())
    finally:
        over.set()
        thread.join()
        with made[0] as child:
            child.kill()


def test_a_zombie_has_ended() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert identify(child.pid) is None


def test_a_signal_reaches_only_the_process_that_is_meant() -> None:
    with subprocess.Popen(["sleep", "1000"]) as child:
        identity = identify(child.pid)
        assert identity is not None
        stranger = identity.model_copy(update={"started": identity.started - 1})
        assert open_pidfd(stranger) is None
        assert not send_signal(stranger, signal.SIGKILL)
        assert child.poll() is None
        assert send_signal(identity, signal.SIGTERM)
        assert child.wait() == -signal.SIGTERM
        assert not send_signal(identity, signal.SIGTERM)


def test_a_pid_that_nobody_has_is_nobody() -> None:
    nobody = 2**22 + 1  # beyond the kernel's largest pid
    assert identify(nobody) is None
    assert parent_of(nobody) is None
    assert children_of(nobody) == []
    assert name_of(nobody) == ""
