"""The child process limits itself before it reads its first byte; `syscalls` takes the rest before a picture comes."""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_PR_SET_NO_NEW_PRIVS: Final = 38
_FILES_MAX: Final = 32  # its three pipes, and libraries one at a time
_NICENESS: Final = 10
_OOM_FIRST: Final = "1000"  # proc(5): when memory runs out, the kernel ends this process and not the recording


@dataclass(frozen=True, slots=True)
class Confinement:
    """Limits of one child."""

    memory_bytes: int = 1536 * 1024 * 1024  # address space
    cpu_s: int = 120


def confine(limits: Confinement) -> None:
    """Confine this process for ever: memory, processor time, files, core dumps, privileges, tracing, priority."""
    with suppress(OSError):  # a container may hide it
        Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST, "ascii")
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
