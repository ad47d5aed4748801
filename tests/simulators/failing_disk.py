"""Disks that fail: real errors of the kernel, given to one process by strace, and mounts that only its children see."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

OWN_MOUNTS: Final = ("unshare", "--user", "--map-root-user", "--mount")
"""What starts a program that may mount what it likes, without being root, and nobody else sees it."""

WRITES: Final = "pwrite64,fdatasync,fsync,fallocate"


def need_own_mounts() -> None:
    """Skip the test, and say why, where the kernel does not let ordinary users have mounts of their own."""
    tried = subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(
            f"DISK FAULTS ARE NOT TESTED HERE: {tried.stderr.strip()}. Allow user namespaces: sysctl"
            " kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
        )


class FailingCalls:
    """While it is entered, system calls of a process fail: `calls` as strace names them, on `path` only if given.

    `error` is a name like EIO; `when` says which calls, as in `strace -e inject` ("3" the third, "2+" from the second).
    """

    def __init__(self, pid: int, calls: str, error: str = "EIO", *, when: str = "", path: Path | None = None) -> None:
        self._argv = [*_strace(), "-f", "-p", str(pid), "-o", "/dev/null", "-e", f"trace={calls}"]
        self._argv += ["-e", f"inject={calls}:error={error}" + (f":when={when}" if when else "")]
        self._argv += ["-P", str(path)] if path else []

    def __enter__(self) -> Self:
        self._strace = subprocess.Popen(self._argv, stderr=subprocess.PIPE, text=True)
        assert self._strace.stderr
        line = self._strace.stderr.readline()
        while line and "attached" not in line:
            line = self._strace.stderr.readline()
        if not line:
            self._strace.communicate()
            pytest.skip(
                "DISK FAULTS ARE NOT TESTED HERE: strace may not trace; allow it: sysctl kernel.yama.ptrace_scope=1"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._strace.terminate()
        self._strace.communicate()


def _strace() -> Sequence[str]:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("DISK FAULTS ARE NOT TESTED HERE: install strace")
    return [found]
