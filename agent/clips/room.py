"""What happens while the outbox has no room: footage is held, consent is asked again, and a job gives up in time.

Rules of this file: a job for which there is no room ends as one whose store is away, not earlier and not later.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from agent.clips.courier import Courier, StoreTimedOutError
from agent.clips.errand import Errand
from agent.clock import Clock
from agent.cut.plan import CutPlan
from agent.deliver.turns import Rank, rank_at
from agent.errors import UnavailableError
from agent.ports import Outbox

OUTBOX_FULL_S: Final = 10.0
CONSENT_LOOK_S: Final = 1.0


class Room:
    """Says whether a part finds room in the outbox, and waits for some."""

    def __init__(self, outbox: Outbox, courier: Courier, clock: Clock) -> None:
        self._outbox, self._courier, self._clock = outbox, courier, clock

    async def is_there(self, errand: Errand, plan: CutPlan) -> bool:
        """Say whether a part may be cut now; if there is no room for it, its footage is held from then on.

        Raises StoreTimedOutError.
        """
        needed = sum(chunk.length for chunk in plan.chunks)
        rank = rank_at(errand.urgency(), plan.window.end, self._clock.now())
        if not needed or needed <= self._outbox.room(is_live=rank is Rank.LIVE):
            return True
        self._give_up_in_time(errand)
        if not errand.is_held:
            with suppress(UnavailableError):  # a disk that fails is told by the hub's health; it is tried again
                await errand.hold()
                errand.is_held = True
        return False

    async def wait(self, errand: Errand) -> bool:
        """Wait until it is worth looking again, or until the job may not go on: False. Raises StoreTimedOutError."""
        left_s = OUTBOX_FULL_S
        while left_s > 0 and errand.is_allowed():
            self._give_up_in_time(errand)
            await asyncio.sleep(CONSENT_LOOK_S)
            left_s -= CONSENT_LOOK_S
        return errand.is_allowed()

    def _give_up_in_time(self, errand: Errand) -> None:
        errand.give_up_at = errand.give_up_at or self._courier.give_up_at(errand.urgency())
        if self._courier.has_come(errand.give_up_at):
            raise StoreTimedOutError("the outbox had no room for as long as the store is tried")
