"""Mounts and networks that nobody else sees, for a bench that breaks both; they end with the process."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Final

from agent.errors import UnavailableError

_CLONE_NEWNS, _CLONE_NEWNET = 0x20000, 0x40000000
_MS_REC_PRIVATE, _MS_BIND, _MNT_DETACH = 0x44000, 0x1000, 2
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def enter_own_network() -> None:
    """Give the calling thread, and what it will start, a network with nothing in it. Raises UnavailableError."""
    _or_raise(_LIBC.unshare(_CLONE_NEWNET), "no network of its own")
    run_ip("link set lo up multicast on")
    run_ip("route add 224.0.0.0/4 dev lo")


def enter_network_of(namespace: int) -> None:
    """Move the calling thread, and what it will start, into a network by its file descriptor."""
    _or_raise(_LIBC.setns(namespace, _CLONE_NEWNET), "no way into the hub's network")


def enter_own_mounts() -> None:
    """Give the calling thread, and what it starts, mounts that nobody else sees. Raises UnavailableError."""
    _or_raise(_LIBC.unshare(_CLONE_NEWNS), "no mounts of its own")
    _or_raise(_LIBC.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "no mounts of its own")


def mount_memory(folder: Path, size_bytes: int) -> None:
    """Mount a small disk in memory. Raises UnavailableError."""
    options = f"size={size_bytes},mode=0700".encode()
    _or_raise(_LIBC.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options), "no disk of its own")


def bind(folder: Path, place: Path) -> None:
    """Let a folder be seen at another place too. Raises UnavailableError."""
    _or_raise(_LIBC.mount(bytes(folder), bytes(place), None, _MS_BIND, None), "no disk of its own")


def unmount(folder: Path) -> None:
    """Take away what was mounted, whoever uses it."""
    _LIBC.umount2(bytes(folder), _MNT_DETACH)


def run_ip(words: str) -> None:
    """Run ip(8). Raises UnavailableError with what it says."""
    try:
        done = subprocess.run(("ip", *words.split()), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError("ip is missing", cure="apt-get install iproute2") from None
    if done.returncode:
        raise UnavailableError(f"ip {words}: {done.stderr.strip()}")


def _or_raise(failed: int, what: str) -> None:
    if failed:
        raise UnavailableError(f"{what} ({os.strerror(ctypes.get_errno())})", cure="run the bench as root")
