"""The filter of system calls, run by an interpreter of the few instructions it is made of."""

import errno
import struct

import pytest

from runtime.sandbox.bpf import ALLOW, KILL
from runtime.sandbox.seccomp import seccomp_filter

X86, ARM = ("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)
LOAD, EQUAL, AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
ERRNO = 0x00050000
NEW_USER, THREAD_FLAGS, TYPES_INTO_TERMINAL, IPV4, KERNEL_CIPHERS = 0x10000000, 0x3D0F00, 0x5412, 2, 38


def judge(
    number: int, *arguments: int, machine: tuple[str, int] = X86, audit: int | None = None, counted: bool = True
) -> int | str:
    """`allowed`, `killed`, or the error's number."""
    program = seccomp_filter(machine[0], memory_is_counted=counted)
    assert program is not None
    given = [*arguments, *([0] * (6 - len(arguments)))]
    data = struct.pack("<IIQ6Q", number, machine[1] if audit is None else audit, 0, *given)
    place, accumulator = 0, 0
    while True:
        code, on_true, on_false, operand = struct.unpack_from("<HBBI", program, 8 * place)
        place += 1
        if code == LOAD:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif code == AND:
            accumulator &= operand
        elif code == EQUAL:
            place += on_true if accumulator == operand else on_false
        elif code == AT_LEAST:
            place += on_true if accumulator >= operand else on_false
        else:
            assert code == RETURN
            if operand in (ALLOW, KILL):
                return "allowed" if operand == ALLOW else "killed"
            assert operand & 0xFFFF0000 == ERRNO
            return int(operand & 0xFFFF)


@pytest.mark.parametrize("machine", [X86, ARM])
def test_ordinary_calls_are_allowed(machine: tuple[str, int]) -> None:
    for number in range(20) if machine == X86 else (56, 57, 63, 64, 222, 435 - 1):
        assert judge(number, machine=machine) in ("allowed", errno.EPERM)
    read = 0 if machine == X86 else 63
    assert judge(read, machine=machine) == "allowed"


@pytest.mark.parametrize(
    ("call", "x86", "arm"),
    [
        ("keyctl", 250, 219),
        ("add_key", 248, 217),
        ("mount", 165, 40),
        ("bpf", 321, 280),
        ("ptrace", 101, 117),
        ("perf_event_open", 298, 241),
        ("init_module", 175, 105),
        ("kexec_load", 246, 104),
        ("setns", 308, 268),
    ],
)
def test_what_no_job_needs_is_not_permitted(call: str, x86: int, arm: int) -> None:
    assert judge(x86) == errno.EPERM, call
    assert judge(arm, machine=ARM) == errno.EPERM, call


@pytest.mark.parametrize("number", [425, 426, 427, 435])
def test_what_programs_try_and_do_without_is_said_to_be_missing(number: int) -> None:
    """io_uring, and `clone3`, whose flags a filter cannot see."""
    assert judge(number) == judge(number, machine=ARM) == errno.ENOSYS


def test_threads_and_children_are_allowed_namespaces_are_not() -> None:
    clone, unshare = 56, 272
    assert judge(clone, THREAD_FLAGS) == "allowed"
    assert judge(clone, 17) == "allowed"
    assert judge(clone, NEW_USER | 17) == errno.EPERM
    assert judge(unshare, NEW_USER) == errno.EPERM
    assert judge(unshare, 0x400) == "allowed"  # a table of descriptors of its own


def test_typing_into_a_terminal_is_not_permitted_other_questions_to_it_are() -> None:
    ioctl = 16
    assert judge(ioctl, 0, TYPES_INTO_TERMINAL) == errno.EPERM
    assert judge(ioctl, 0, 0x1_0000_5412) == errno.EPERM, "the kernel looks at the low half only"
    assert judge(ioctl, 0, 0x5413) == "allowed"


def test_sockets_of_the_network_are_allowed_the_kernels_ciphers_are_not() -> None:
    socket = 41
    assert judge(socket, IPV4) == "allowed"
    assert judge(socket, KERNEL_CIPHERS) == errno.EAFNOSUPPORT


def test_the_execution_domain_can_be_asked_for_and_not_be_changed() -> None:
    personality = 135
    assert judge(personality, 0xFFFFFFFF) == judge(personality, 0) == "allowed"
    assert judge(personality, 0x0040000) == errno.EPERM


def test_memory_that_nobody_counts_is_denied_where_no_control_group_does() -> None:
    memfd_create, shmget = 319, 29
    assert judge(memfd_create) == judge(shmget) == "allowed"
    assert judge(memfd_create, counted=False) == judge(shmget, counted=False) == errno.ENOSYS


def test_calls_of_another_architecture_end_the_process() -> None:
    assert judge(0, audit=0x40000003) == "killed"
    assert judge(0, machine=ARM, audit=X86[1]) == "killed"


def test_the_third_set_of_calls_of_x86_is_said_to_be_missing() -> None:
    assert judge(0x40000000) == errno.ENOSYS


def test_an_architecture_whose_calls_are_not_known_gets_no_filter() -> None:
    assert seccomp_filter("riscv64") is None
