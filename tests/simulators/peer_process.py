"""What one process of a user gets of another one's memory; run as a program, this is the one or becomes the other.

As root, both first give up every capability: they are then processes of a user like any other, who is called root.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

PRIVATE: Final = ("environ", "maps")
"""Of /proc/PID: who may read these may read its memory as `gcore` does (PTRACE_MODE_READ, proc(5))."""

ROOT: Final = Path(__file__).parents[2]
_CAPABILITY_VERSION_3: Final = 0x20080522  # linux/capability.h
_PR_CAPBSET_DROP: Final = 24  # linux/prctl.h
_CAPABILITIES: Final = 64
_ITSELF: Final = (sys.executable, "-m", "tests.simulators.peer_process")


def looked_into(pid: int) -> set[str]:
    """Return which of `PRIVATE` a process of the same user can read of that one."""
    done = subprocess.run(
        [*_ITSELF, "look", str(pid)], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    return set(done.stdout.split())


def ordinary(*arguments: str) -> list[str]:
    """Return the command, for `ROOT`, of a Python program that begins without privileges."""
    return [*_ITSELF, "run", *arguments]


def _become_ordinary() -> None:
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)  # those that the kernel does not know are none
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _can_read(path: Path) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            return bool(file.read(1))
    except OSError:
        return False


if __name__ == "__main__":
    _become_ordinary()
    if sys.argv[1] == "run":
        os.execv(sys.executable, [sys.executable, *sys.argv[2:]])  # noqa: S606 - the same interpreter
    sys.stdout.write(" ".join(name for name in PRIVATE if _can_read(Path(f"/proc/{sys.argv[2]}/{name}"))))
