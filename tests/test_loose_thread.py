"""Blocking calls beside the loop: their answers and errors come back, and nobody waits for the slow ones."""

from __future__ import annotations

import asyncio
import threading

import pytest

from agent.errors import UnavailableError
from agent.loose_thread import in_thread
from tests.simulators.eventually import PATIENCE_S


def test_answers_and_errors_come_back() -> None:
    """Whatever it is, it is given or raised where it was awaited."""

    def fail() -> int:
        raise UnavailableError("no")

    async def run() -> int:
        with pytest.raises(UnavailableError):
            await in_thread(fail)
        return await in_thread(lambda: 42)

    assert asyncio.run(run()) == 42


def test_a_call_that_hangs_holds_up_nothing() -> None:
    """The loop ends while it is under way, and its late answer hurts nobody."""
    is_over, has_ended = threading.Event(), threading.Event()

    def hang() -> None:
        is_over.wait(60)
        has_ended.set()

    async def run() -> None:
        await asyncio.wait({asyncio.ensure_future(in_thread(hang))}, timeout=0.1)

    asyncio.run(run())
    assert not has_ended.is_set()
    is_over.set()
    assert has_ended.wait(PATIENCE_S)
