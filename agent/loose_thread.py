"""Calls that the world can hold up, beside the event loop: in threads that nobody waits for when the hub stops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

_Answer = TypeVar("_Answer")


async def in_thread(call: Callable[[], _Answer]) -> _Answer:
    """Run a blocking call; what it raises is raised here. Cancelled, the call runs on and its answer is dropped."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Answer] = loop.create_future()

    def settle(deliver: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the hub has stopped
            loop.call_soon_threadsafe(lambda: None if answer.done() else deliver())

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised where it was awaited
            failure = error
            settle(lambda: answer.set_exception(failure))
        else:
            settle(lambda: answer.set_result(result))

    threading.Thread(target=work, name="loose", daemon=True).start()
    return await answer
