"""The child process gives away what it does not need, before it reads the first byte from outside."""

from __future__ import annotations

import ctypes
import os
import resource
from dataclasses import dataclass
from typing import Final

from agent.errors import UnavailableError

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS: Final = 38
_FILES_MAX: Final = 32  # its three pipes, and libraries one at a time
_NICENESS: Final = 10


@dataclass(frozen=True, slots=True)
class Confinement:
    """Limits of one child."""

    memory_bytes: int = 1536 * 1024 * 1024  # address space
    cpu_s: int = 120


def confine(limits: Confinement) -> None:
    """Confine this process for ever: memory, processor time, files, core dumps, privileges, tracing, priority."""
    for what, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NOFILE, _FILES_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, ceiling = resource.getrlimit(what)
        limit_now = limit if ceiling == resource.RLIM_INFINITY else min(limit, ceiling)
        resource.setrlimit(what, (limit_now, limit_now))
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise UnavailableError(f"prctl {option} failed: {os.strerror(ctypes.get_errno())}")
    os.nice(_NICENESS)
