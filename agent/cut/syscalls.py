"""The child process, before it meets a picture, keeps memory, threads and its pipes of all the kernel can do for it.

A decoder that a camera's bytes have taken over can then read no key, open no file, start no program, reach no network
and run no code but what was loaded: the system calls for it fail (seccomp(2), filters in classic BPF).

Rules of this file: what is not listed is refused; the filter holds for every thread, for ever.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Final

from msgspec import Struct

from agent.errors import UnavailableError

_SECCOMP_SET_MODE_FILTER: Final = 1  # linux/seccomp.h
_SECCOMP_FILTER_FLAG_TSYNC: Final = 1  # libraries may have started threads already
_ALLOW: Final = 0x7FFF0000
_KILL_PROCESS: Final = 0x80000000
_ERRNO: Final = 0x00050000
_LOAD, _IS_EQUAL, _HAS_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_RET|K
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT, _THIRD_ARGUMENT_AT = (
    0,
    4,
    16,
    32,
)  # struct seccomp_data, little endian
_CLONE_THREAD: Final = 0x00010000
_PROT_EXEC: Final = 4
_INSTRUCTION: Final = struct.Struct("=HBBI")


class _Machine(Struct, frozen=True):
    """Numbers of one architecture: `AUDIT_ARCH_...` (linux/audit.h) and asm/unistd.h."""

    architecture: int
    seccomp: int
    clone: int
    clone3: int
    mapping: tuple[int, ...]  # mmap, mprotect: allowed, but for memory that can be executed
    allowed: tuple[int, ...]


# In this order: read, write, readv, writev, close, fstat, lseek · munmap, brk, mremap, madvise ·
# rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack, restart_syscall · futex, set_robust_list, rseq, membarrier,
# sched_yield, sched_getaffinity, getcpu · nanosleep, clock_nanosleep, clock_gettime, clock_getres, gettimeofday ·
# getpid, gettid, getrusage, sysinfo, uname, getrandom, ppoll · exit, exit_group
_MACHINES: Final = {
    "x86_64": _Machine(
        architecture=0xC000003E,
        seccomp=317,
        clone=56,
        clone3=435,
        mapping=(9, 10),
        allowed=(
            *(0, 1, 19, 20, 3, 5, 8),
            *(11, 12, 25, 28),
            *(13, 14, 15, 131, 219),
            *(202, 273, 334, 324, 24, 204, 309),
            *(35, 230, 228, 229, 96),
            *(39, 186, 98, 99, 63, 318, 271),
            *(60, 231),
        ),
    ),
    "aarch64": _Machine(
        architecture=0xC00000B7,
        seccomp=277,
        clone=220,
        clone3=435,
        mapping=(222, 226),
        allowed=(
            *(63, 64, 65, 66, 57, 80, 62),
            *(215, 214, 216, 233),
            *(134, 135, 139, 132, 128),
            *(98, 99, 293, 283, 124, 123, 168),
            *(101, 115, 113, 114, 169),
            *(172, 178, 165, 179, 160, 278, 73),
            *(93, 94),
        ),
    ),
}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def give_up_system_calls() -> None:
    """Give up every system call but the listed ones, in all threads; needs `no_new_privs`.

    Raises UnavailableError where that is not possible: then no picture may be decoded here.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise UnavailableError(f"no list of system calls for {platform.machine()}", cure="run on x86-64 or 64-bit ARM")
    code = filter_program(machine)
    program = _Program(len(code) // _INSTRUCTION.size, code)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program))
    if done != 0:
        raise UnavailableError(
            f"the cutter's child cannot be confined: {os.strerror(ctypes.get_errno())}",
            cure="use a kernel with CONFIG_SECCOMP_FILTER",
        )


def filter_program(machine: _Machine) -> bytes:
    """Write the filter: another architecture's calls kill; listed ones, memory and threads pass; all others fail."""
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_IS_EQUAL, 1, 0, machine.architecture),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    for number in machine.allowed:
        code += [(_IS_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for number in machine.mapping:  # all code is loaded: what else would be executed is a camera's
        code += [
            (_IS_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _THIRD_ARGUMENT_AT),
            (_HAS_BITS, 0, 1, _PROT_EXEC),
            (_RETURN, 0, 0, _ERRNO | errno.EPERM),
            (_RETURN, 0, 0, _ALLOW),
        ]
    # The flags of clone3 lie in memory that a filter cannot see: told that there is none, libc takes clone.
    code += [(_IS_EQUAL, 0, 1, machine.clone3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += [
        (_IS_EQUAL, 0, 3, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        (_HAS_BITS, 0, 1, _CLONE_THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)
