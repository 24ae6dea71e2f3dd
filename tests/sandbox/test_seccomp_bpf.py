"""The generated filters, run by an interpreter of our own over every call: what our machines are not is covered too."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import pytest

from app.sandbox.confinement import seccomp
from app.sandbox.confinement.seccomp import (
    AARCH64,
    ALLOW,
    ARCHITECTURES,
    BASE,
    FINAL,
    KILL,
    REFUSE,
    X86_64,
    Architecture,
)

# The kernel's tables, written down a second time: from its headers, not from the module under test.
FINAL_NUMBERS = {
    X86_64: {0, 1, 7, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 38, 39, 60, 96, 186, 202, 219, 228, 230, 231, 318},
    AARCH64: {
        *(63, 64, 73, 93, 94, 98, 103, 113, 115, 124, 128, 134, 135, 139, 169, 172, 178),
        *(214, 215, 216, 222, 226, 233, 278),
    },
}
BASE_NUMBERS = {
    X86_64: FINAL_NUMBERS[X86_64] | {3, 33, 46, 47, 51, 55, 56, 157, 273, 292, 302, 317, 334, 434, 436},
    AARCH64: FINAL_NUMBERS[AARCH64] | {24, 57, 99, 167, 204, 209, 211, 212, 220, 261, 277, 293, 434, 436},
}
# mmap, mprotect, clone, seccomp, prctl, prlimit64
CONDITIONAL_NUMBERS = {X86_64: (9, 10, 56, 317, 157, 302), AARCH64: (222, 226, 220, 277, 167, 261)}
DANGEROUS = {
    # open, socket, connect, fork, vfork, execve, kill, ptrace, setuid, mount, openat, unshare, process_vm_readv,
    # memfd_create, bpf, execveat, userfaultfd, pkey_mprotect, io_uring_setup, clone3, openat2
    X86_64: {2, 41, 42, 57, 58, 59, 62, 101, 105, 165, 257, 272, 310, 319, 321, 322, 323, 329, 425, 435, 437},
    # openat, mount, unshare, kill, ptrace, setuid, socket, connect, execve, process_vm_readv, memfd_create, bpf,
    # execveat, userfaultfd, pkey_mprotect, io_uring_setup, clone3, openat2
    AARCH64: {56, 40, 97, 129, 117, 146, 198, 203, 221, 270, 279, 280, 281, 282, 288, 425, 435, 437},
}

EVERY_NUMBER = [*range(1024), 4096, 0x3FFFFFFF]
X32_BIT = 0x40000000
SIX_ZEROS = (0, 0, 0, 0, 0, 0)
UPPER = 1 << 32

architectures = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())
filters = pytest.mark.parametrize("allowed", [BASE, FINAL], ids=["BASE", "FINAL"])


def run(program: bytes, audit: int, number: int, arguments: Sequence[int] = SIX_ZEROS) -> int:
    """Interpret a filter as the kernel does: an accumulator, forward jumps, and the call laid out in memory."""
    memory = struct.pack("<IIQ6Q", number, audit, 0, *arguments)
    accumulator = at = 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("<HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x06:
                return int(value)
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", memory, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case _:
                raise AssertionError(f"instruction {code:#x} is not one that we generate")


def verdict(architecture: Architecture, allowed: tuple[str, ...], number: int, *arguments: int) -> int:
    padded = [*arguments, *SIX_ZEROS[len(arguments) :]]
    return run(seccomp.program(architecture, allowed), architecture.audit, number, padded)


def let_through(architecture: Architecture, allowed: tuple[str, ...], numbers: Iterable[int]) -> set[int]:
    return {number for number in numbers if verdict(architecture, allowed, number) == ALLOW}


@architectures
def test_a_worker_may_make_exactly_the_calls_of_the_list(architecture: Architecture) -> None:
    assert let_through(architecture, FINAL, EVERY_NUMBER) == FINAL_NUMBERS[architecture]


@architectures
def test_the_zygote_may_make_exactly_the_calls_of_the_list(architecture: Architecture) -> None:
    # With all arguments zero, some conditions on arguments are not met.
    conditional = set(CONDITIONAL_NUMBERS[architecture][2:5])

    assert let_through(architecture, BASE, EVERY_NUMBER) == BASE_NUMBERS[architecture] - conditional


@architectures
@filters
def test_everything_else_is_answered_with_an_error(architecture: Architecture, allowed: tuple[str, ...]) -> None:
    verdicts = {verdict(architecture, allowed, number) for number in EVERY_NUMBER}

    assert verdicts == {ALLOW, REFUSE}


@architectures
@filters
def test_no_dangerous_call_passes_whatever_its_arguments(architecture: Architecture, allowed: tuple[str, ...]) -> None:
    for number in DANGEROUS[architecture]:
        for argument in (0, 1, 17, 0x1200011, UPPER - 1, 2 * UPPER - 1):
            assert verdict(architecture, allowed, number, *[argument] * 6) == REFUSE


@architectures
@filters
def test_calls_of_another_architecture_kill(architecture: Architecture, allowed: tuple[str, ...]) -> None:
    program = seccomp.program(architecture, allowed)
    i386, arm, big_endian_aarch64, x86_64, aarch64 = 0x40000003, 0x40000028, 0x800000B7, 0xC000003E, 0xC00000B7

    for audit in {i386, arm, big_endian_aarch64, x86_64, aarch64, 0} - {architecture.audit}:
        assert {run(program, audit, number) for number in EVERY_NUMBER} == {KILL}


@filters
def test_x32_calls_kill(allowed: tuple[str, ...]) -> None:
    numbers = [*(X32_BIT | number for number in EVERY_NUMBER), 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]

    assert {verdict(X86_64, allowed, number) for number in numbers} == {KILL}


def test_numbers_beyond_the_table_are_refused_where_they_mean_nothing_else() -> None:
    assert {verdict(AARCH64, FINAL, number) for number in (X32_BIT, X32_BIT | 64, 0xFFFFFFFF)} == {REFUSE}


@architectures
@filters
def test_memory_may_be_written_but_never_made_executable(architecture: Architecture, allowed: tuple[str, ...]) -> None:
    for number in CONDITIONAL_NUMBERS[architecture][:2]:
        for protection in (0, 1, 2, 3, 0x01000003):
            assert verdict(architecture, allowed, number, 0, 4096, protection) == ALLOW
        for protection in (4, 5, 6, 7, 0x01000007, UPPER | 4):
            assert verdict(architecture, allowed, number, 0, 4096, protection) == REFUSE


@architectures
def test_the_zygote_may_only_fork_plainly(architecture: Architecture) -> None:
    clone = CONDITIONAL_NUMBERS[architecture][2]
    plain, new_user, thread, shared_memory = 0x01200011, 0x10000000, 0x00010000, 0x00000100

    assert verdict(architecture, BASE, clone, plain) == ALLOW
    for flags in (0, 17, plain | new_user, plain | thread, plain | shared_memory, plain | UPPER, 0x3D0F00):
        assert verdict(architecture, BASE, clone, flags) == REFUSE
    assert verdict(architecture, FINAL, clone, plain) == REFUSE


@architectures
def test_the_zygote_may_only_add_filters_that_nobody_listens_to(architecture: Architecture) -> None:
    call = CONDITIONAL_NUMBERS[architecture][3]
    strict, new_filter, listener = 0, 1, 8

    assert verdict(architecture, BASE, call, new_filter, 0, 0x7FFF_FFFF_F000) == ALLOW
    assert verdict(architecture, BASE, call, strict, 0) == REFUSE
    assert verdict(architecture, BASE, call, new_filter, listener) == REFUSE
    assert verdict(architecture, BASE, call, new_filter, UPPER) == REFUSE


@architectures
def test_the_zygote_may_set_its_parent_death_signal_and_no_other_option(architecture: Architecture) -> None:
    prctl = CONDITIONAL_NUMBERS[architecture][4]

    assert [option for option in range(256) if verdict(architecture, BASE, prctl, option) == ALLOW] == [1]


@architectures
def test_the_zygote_may_limit_only_itself(architecture: Architecture) -> None:
    prlimit = CONDITIONAL_NUMBERS[architecture][5]

    assert verdict(architecture, BASE, prlimit, 0, 9, 0x7FFF_FFFF_F000) == ALLOW
    assert verdict(architecture, BASE, prlimit, 1) == REFUSE
    assert verdict(architecture, BASE, prlimit, UPPER) == REFUSE


def test_every_name_on_the_lists_has_a_number_somewhere() -> None:
    numbered = X86_64.numbers.keys() | AARCH64.numbers.keys()

    assert numbered == set(BASE)
    assert numbered >= seccomp.CONDITIONS.keys()


@architectures
@filters
def test_a_filter_is_short_enough_for_the_kernel(architecture: Architecture, allowed: tuple[str, ...]) -> None:
    assert len(seccomp.program(architecture, allowed)) // 8 <= 4096
