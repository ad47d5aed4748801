"""The child process limits itself before it reads its first byte; `syscalls` takes the rest before a picture comes."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from agent.errors import UnavailableError

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}  # asm/unistd.h; libc has no function for it
_IOPRIO_THIS_PROCESS: Final = (1, 0)  # IOPRIO_WHO_PROCESS, the caller
_IOPRIO_IDLE: Final = 3 << 13  # IOPRIO_CLASS_IDLE (linux/ioprio.h): the disk is the recording's
_THREADS_MAX: Final = 32  # more than all tasks this user has now
_FILES_MAX: Final = 32  # its three pipes, and libraries one at a time
_NICENESS: Final = 10
_OOM_FIRST: Final = "1000"  # proc(5): when memory runs out, the kernel ends this process and not the recording


class Confinement(Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of one child."""

    memory_bytes: int = 1536 * 1024 * 1024  # address space
    cpu_s: int = 120
    parent_tasks: int = 0  # threads of who started it, which it cannot see where /proc hides them


def confine(limits: Confinement) -> None:
    """Confine this process for ever: memory, processor time, files, threads, dumps, privileges, tracing, priority."""
    os.nice(_NICENESS)
    libc = ctypes.CDLL(None, use_errno=True)
    if number := _IOPRIO_SET.get(platform.machine()):
        libc.syscall(number, *_IOPRIO_THIS_PROCESS, _IOPRIO_IDLE)  # a wish: not every kernel has it
    with suppress(OSError):  # a container may hide it
        Path("/proc/self/oom_score_adj").write_text(_OOM_FIRST, "ascii")
    for what, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_NOFILE, _FILES_MAX),
        (resource.RLIMIT_NPROC, _count_tasks() + limits.parent_tasks + _THREADS_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, ceiling = resource.getrlimit(what)
        limit_now = limit if ceiling == resource.RLIM_INFINITY else min(limit, ceiling)
        # A second between the soft and the hard limit on time: SIGXCPU tells the daemon more than SIGKILL.
        second = 1 if what == resource.RLIMIT_CPU and ceiling == resource.RLIM_INFINITY else 0
        resource.setrlimit(what, (limit_now, limit_now + second))
    # Not dumpable: no core file, whatever program the system pipes them to, and no other process may look inside.
    wishes = ((_PR_SET_NO_NEW_PRIVS, 1), (_PR_SET_DUMPABLE, 0), (_PR_SET_PDEATHSIG, signal.SIGKILL))
    for option, value in wishes:
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise UnavailableError(f"prctl {option} failed: {os.strerror(ctypes.get_errno())}")


def _count_tasks() -> int:
    """Count the processes and threads of this user: the kernel's limit on threads is for all of them together."""
    tasks, user = 0, os.getuid()
    for entry in os.scandir("/proc"):
        with suppress(OSError):  # it has ended meanwhile
            if entry.name.isdigit() and entry.stat().st_uid == user:
                tasks += sum(1 for _ in os.scandir(f"/proc/{entry.name}/task"))
    return tasks
