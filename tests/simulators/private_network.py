"""A network of one's own with nothing but loopback, for programs that would speak to every network they find."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

_CLONE_NEWNET = 0x40000000
_Result = TypeVar("_Result")


def in_private_network(work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread with its own network namespace (namespaces(7)); what it starts inherits that network.

    Multicast goes to loopback there. Nothing can leave: there is no other interface. The kernel takes it down with the
    last process in it.
    """
    return in_network(enter_private_network, work)


def in_network(enter: Callable[[], object], work: Callable[[], _Result]) -> _Result:
    """Run `work` in a thread of its own that has entered another network before; raise here what it raises there."""
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            enter()
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the caller stands
            errors.append(error)

    thread = threading.Thread(target=run, name="another network")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def enter_private_network() -> None:
    """Give the calling thread, and what it will start, such a network. Fails the test where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):  # of this thread only
        why = os.strerror(ctypes.get_errno())
        pytest.fail(f"no network namespace ({why}): run as root, or as `unshare --map-root-user --net pytest ...`")
    for arguments in ("link set lo up multicast on", "route add 224.0.0.0/4 dev lo"):
        try:
            subprocess.run(["ip", *arguments.split()], check=True)
        except FileNotFoundError:
            pytest.fail("ip is missing: apt-get install iproute2")
