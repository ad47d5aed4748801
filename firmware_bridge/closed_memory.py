"""The bridge leaves no core file, and none of its user's other processes looks into it (prctl(2), proc(5))."""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def close_memory() -> bool:
    """Give up core dumps for ever; False if the kernel refuses, which stops nothing: the bridge holds no secret."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
