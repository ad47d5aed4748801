"""Waiting in an event loop for what a test can see but nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def eventually(is_so: Callable[[], object], within_s: float = 20.0) -> None:
    """Return as soon as something holds; it is asked again and again. TimeoutError after `within_s`."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110 - nobody sends an event for it
            await asyncio.sleep(0.005)
