"""A seccomp filter as a classic BPF program, assembled from a list of rules. Pure: rules in, bytes out.

bubblewrap loads such a program from a file (`--seccomp FD`) as its last step before the command. There is no kept
library for Python that makes one without a C library at hand; the whole language needed is five instructions.

The kernel gives a program the call's number, the architecture and six arguments of 64 bits, and takes a verdict. For
each rule the program compares the number and perhaps parts of one argument. A call of another architecture than the
machine's own (32-bit code) ends the process: its numbers mean other calls.
"""

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass

ALLOW = 0x7FFF0000
KILL = 0x80000000
_ERRNO = 0x00050000

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32_BIT = 0x40000000
"""Set in the numbers of x86-64's third set of calls, with 32-bit pointers; seldom used, often forgotten."""


@dataclass(frozen=True)
class Architecture:
    """How the kernel calls an architecture in a filter, and whether its numbers have an x32 range."""

    audit: int
    has_x32: bool = False


@dataclass(frozen=True)
class Rule:
    """A call that fails with `error`: always, or depending on the low 32 bits of one argument.

    Attributes:
        argument: Which one, from 0; None for always. One of the three conditions below belongs to it.
        equals: It fails where the argument is this.
        has_any: It fails where one of these bits is set.
        is_none_of: It fails unless the argument is one of these.
    """

    number: int
    error: int = errno.EPERM
    argument: int | None = None
    equals: int | None = None
    has_any: int | None = None
    is_none_of: tuple[int, ...] = ()


def assemble(architecture: Architecture, rules: Sequence[Rule]) -> bytes:
    """The program: what no rule names is allowed."""
    program = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_EQUAL, architecture.audit, on_true=1),
        _instruction(_RETURN, KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.has_x32:
        program += [_instruction(_AT_LEAST, _X32_BIT, on_false=1), _instruction(_RETURN, _ERRNO | errno.ENOSYS)]
    for rule in rules:
        program += _compare(rule)
    program.append(_instruction(_RETURN, ALLOW))
    return b"".join(program)


def _compare(rule: Rule) -> list[bytes]:
    """Every rule begins and ends with the call's number in the accumulator."""
    verdict = _instruction(_RETURN, _ERRNO | rule.error)
    if rule.argument is None:
        return [_instruction(_EQUAL, rule.number, on_false=1), verdict]
    steps = [_instruction(_LOAD, _ARGUMENTS_AT + 8 * rule.argument)]  # little-endian: the low half comes first
    if rule.has_any is not None:
        steps += [_instruction(_AND, rule.has_any), _instruction(_EQUAL, 0, on_true=1)]
    elif rule.equals is not None:
        steps.append(_instruction(_EQUAL, rule.equals, on_false=1))
    else:
        left = len(rule.is_none_of)
        steps += [_instruction(_EQUAL, value, on_true=left - place) for place, value in enumerate(rule.is_none_of)]
    steps += [verdict, _instruction(_LOAD, _NUMBER_AT)]
    return [_instruction(_EQUAL, rule.number, on_false=len(steps)), *steps]


def _instruction(code: int, operand: int, *, on_true: int = 0, on_false: int = 0) -> bytes:
    """One instruction; jumps count the instructions that are passed over."""
    return struct.pack("=HBBI", code, on_true, on_false, operand)
