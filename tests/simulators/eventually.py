"""Waiting for what a test can see but nobody announces: in an event loop, or in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

PATIENCE_S = 20.0  # on two busy cores; whoever is right waits for milliseconds


async def eventually(is_so: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Return as soon as something holds; it is asked again and again. TimeoutError after `within_s`."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - nobody sends an event for it
            await asyncio.sleep(0.005)


def until(
    is_so: Callable[[], object], within_s: float = PATIENCE_S, state: Callable[[], object] = lambda: "it never came"
) -> None:
    """Do the same where there is no event loop; the test fails with `state()` after `within_s`."""
    ticker, deadline_s = threading.Event(), time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline_s, f"in vain for {within_s:g} s: {state()}"
        ticker.wait(0.001)
