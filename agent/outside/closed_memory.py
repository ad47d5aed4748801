"""The process that holds keys and logins to one whose memory nobody reads: no core file, no look from beside.

Rules of this file: called before the first secret is read; a core pattern that pipes to a program ignores the limit on
size, so both are said. Root with all its rights still looks in: it owns the machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

from agent.errors import UnavailableError

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def close_memory() -> None:
    """Give up core dumps, and being looked into by this user's other processes (prctl(2), proc(5)), for ever.

    Programs started from here begin anew and must do the same. An officer's computer without Linux is left as it is.
    Raises UnavailableError if the kernel refuses.
    """
    if sys.platform != "linux":
        return
    import resource  # noqa: PLC0415 - Windows has none

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise UnavailableError(f"the kernel keeps this process dumpable: {os.strerror(ctypes.get_errno())}")


def count_tasks() -> int:
    """Count this process's threads, which a child cannot see where /proc hides what is closed (hidepid, proc(5))."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - threads are no files of ours
