"""Now and then the newest checkpoint goes to a time stamping authority, and its stamp comes back; if not, next time.

Rules of this file: only a digest leaves the hub. Nothing waits for a stamp, and no answer stops anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from agent.errors import BadInputError, UnavailableError
from agent.evidence.stamp import Stamp, ask_stamp, take_stamp

RETRY_S: Final = 3600.0
FIRST_S: Final = 60.0  # a hub that starts has better things to do

log: Final = logging.getLogger("transom.stamper")


class Stamper:
    """Has checkpoints stamped; `checkpoint` signs the log as it is, `ask` posts a request, `keep` stores what came."""

    def __init__(
        self, checkpoint: Callable[[], str], ask: Callable[[bytes], Awaitable[bytes]], keep: Callable[[Stamp], object]
    ) -> None:
        self._checkpoint, self._ask, self._keep = checkpoint, ask, keep
        self._stamped = ""

    async def run(self, every_s: float, first_s: float = FIRST_S) -> None:
        """Do so until cancelled."""
        await asyncio.sleep(first_s)
        while True:
            is_done = await self.stamp_now()
            await asyncio.sleep(every_s if is_done else min(RETRY_S, every_s))

    async def stamp_now(self) -> bool:
        """Have the newest checkpoint stamped; False if that must be tried again."""
        try:
            note = self._checkpoint()
            if _text(note) == self._stamped:
                return True  # nothing has happened since
            request, nonce = ask_stamp(note)
            self._keep(take_stamp(note, await self._ask(request), nonce))
        except (BadInputError, UnavailableError) as error:
            log.info("no time stamp: %s", error)
            return False
        self._stamped = _text(note)
        return True


def _text(note: str) -> str:
    return note.partition("\n\n")[0]
