"""A store that is away until some moment, behind the uploader's port: what it holds, and in which order it came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.clock import SECOND_NS, Clock, WallTime
from agent.command.request import UploadTarget
from agent.deliver.part import Receipt, SealedPart
from agent.deliver.receipt import sign_receipt
from agent.errors import UnavailableError
from agent.signing import SigningKey

TRIES_S = 20.0  # so long the real one tries before it says that nobody is there
SEND_S = 4.0
REQUEST_BYTES = 1_000


@dataclass
class AbsentStore:
    """`ports.Uploader`, and the store behind it. A request takes `SEND_S`, and is lost if it goes away."""

    clock: Clock
    hub: str
    key: SigningKey
    back: WallTime
    away_again: WallTime | None = None
    tries: int = 0  # made while it was away
    created: list[str] = field(default_factory=list)  # in the order in which they came
    requests: dict[str, int] = field(default_factory=dict)  # that have arrived, by part
    held: dict[str, list[bytes]] = field(default_factory=dict)

    async def create(self, part: SealedPart, _: UploadTarget) -> str:
        """Make an upload."""
        await self._meet()
        self.created.append(part.id)
        return f"https://store/{part.id}"

    async def send(self, part: SealedPart, _: UploadTarget, __: str, may_go_on: Callable[[], bool]) -> bool:
        """Take it request by request, as far as it may go."""
        while self.requests.get(part.id, 0) < max(1, part.size // REQUEST_BYTES):
            await self._meet()
            if not may_go_on():
                return False
            await asyncio.sleep(SEND_S)
            await self._meet()
            self.requests[part.id] = self.requests.get(part.id, 0) + 1
        self.held.setdefault(part.id, []).append(part.path.read_bytes())
        return True

    async def drop(self, part: SealedPart, _: UploadTarget, __: str) -> None:
        """Forget an upload of which nothing is held."""
        self.created.remove(part.id)

    async def receipt(self, part: SealedPart, _: UploadTarget) -> str:
        """Sign what is held."""
        await self._meet()
        if part.id not in self.held:
            raise UnavailableError("the store has no receipt yet")
        return sign_receipt(Receipt(part.id, part.size, part.sha256, self.back, ""), self.hub, self.key)

    async def _meet(self) -> None:
        now = self.clock.now()
        if now < self.back or (self.away_again is not None and now >= self.away_again):
            self.tries += 1
            await asyncio.sleep(TRIES_S)
            raise UnavailableError("the store could not take the part in time")


def hours(count: float) -> int:
    """Return hours in nanoseconds."""
    return round(count * 3600 * SECOND_NS)
