"""Which system calls no sandbox may make: those that reach for the kernel's less travelled parts.

A list of what is denied, not of what is allowed: jobs bring database engines, JIT compilers and event loops, and a
forgotten call would break them at a distance. What is denied is of no use to a job that has no privileges, and has
been the way into the kernel more than once: keyrings, io_uring, userfaultfd, BPF, performance counters, mounts and
namespaces of one's own. A call that programs try and do without gets `ENOSYS`, the others `EPERM`.
"""

import contextlib
import errno
import functools
import os
import platform
from collections.abc import Iterator

from runtime.sandbox.bpf import Architecture, Rule, assemble

_ARCHITECTURES = {
    "x86_64": Architecture(audit=0xC000003E, has_x32=True),
    "aarch64": Architecture(audit=0xC00000B7),
}

# Numbers on (x86_64, aarch64); None where the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "get_kernel_syms": (177, None),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "socket": (41, 198),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "ustat": (136, None),
    "vhangup": (153, 58),
}

_NEW_NAMESPACES = 0x7E020000 | 0x00000080
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET and, for `unshare` alone, NEWTIME."""
_CLONE_NAMESPACES = _NEW_NAMESPACES & ~0x00000080  # in `clone` these bits are the signal sent at the end
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
"""Types into a terminal as if somebody sat there."""
_FAMILIES_DENIED = (38, 40)
"""AF_ALG, the kernel's ciphers; AF_VSOCK, the hypervisor below."""
_PLAIN_PERSONALITIES = (0, 0xFFFFFFFF)
"""The ordinary one, and the question which it is."""

_SAY_MISSING = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "memfd_secret")
"""Newer than what replaces them: programs that hear `ENOSYS` take the older way. `clone3` hides its flags in memory
that a filter cannot read; C libraries fall back to `clone`."""
_CONDITIONAL = ("clone", "ioctl", "memfd_create", "memfd_secret", "personality", "shmget", "socket", "unshare")
_UNCOUNTED = ("memfd_create", "shmget")
"""Memory that neither belongs to a process nor to a file: only a control group sees it."""


@functools.cache
def seccomp_filter(machine: str = "", *, memory_is_counted: bool = True) -> bytes | None:
    """The program for this architecture; None for one whose calls are not in the table.

    Args:
        machine: As `uname -m` has it; this machine's if empty.
        memory_is_counted: Whether a control group counts a run's memory. Otherwise calls that take memory past every
            other way of counting are denied too.
    """
    name = machine or platform.machine()
    architecture = _ARCHITECTURES.get(name)
    if architecture is None:
        return None
    column = list(_ARCHITECTURES).index(name)

    def number(call: str) -> int | None:
        return _NUMBERS[call][column]

    denied = [call for call in _NUMBERS if call not in _CONDITIONAL]
    denied += ["memfd_secret", *(() if memory_is_counted else _UNCOUNTED)]
    rules = [
        Rule(value, errno.ENOSYS if call in (*_SAY_MISSING, *_UNCOUNTED) else errno.EPERM)
        for call in denied
        if (value := number(call)) is not None
    ]
    rules += [
        Rule(_required(number("unshare")), argument=0, has_any=_NEW_NAMESPACES),
        Rule(_required(number("clone")), argument=0, has_any=_CLONE_NAMESPACES),
        Rule(_required(number("personality")), argument=0, is_none_of=_PLAIN_PERSONALITIES),
    ]
    rules += [Rule(_required(number("ioctl")), argument=1, equals=request) for request in (_TIOCSTI, _TIOCLINUX)]
    rules += [
        Rule(_required(number("socket")), errno.EAFNOSUPPORT, argument=0, equals=family) for family in _FAMILIES_DENIED
    ]
    return assemble(architecture, rules)


@contextlib.contextmanager
def passed_filter(*, memory_is_counted: bool) -> Iterator[tuple[int, ...]]:
    """The descriptor from which bubblewrap reads the filter, to be passed on; none where there is no filter."""
    program = seccomp_filter(memory_is_counted=memory_is_counted)
    if program is None:
        yield ()
        return
    descriptor = os.memfd_create("seccomp")
    try:
        os.write(descriptor, program)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield (descriptor,)
    finally:
        os.close(descriptor)


def _required(number: int | None) -> int:
    if number is None:
        raise LookupError("every architecture has this call")
    return number
