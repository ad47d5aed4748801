"""Story two, second half: one sealed file to the store and its receipt back, through any number of crashes.

Rules of this file: the part's new state is in the journal before its next effect starts; the bytes that are sent are
always the file in the outbox; the file goes only after the store's signed receipt has been verified and stored.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.clip_job import JobPart, PartState
from agent.clock import SECOND_NS, Clock
from agent.command.request import UploadTarget
from agent.deliver.part import MEDIA_TYPE_CLIP, MEDIA_TYPE_MANIFEST, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.errors import BadInputError, UnavailableError
from agent.ports import Audit, Journal, Outbox, Uploader
from agent.signing import SigningKey

RETRY_S_MIN: Final = 0.2
RETRY_S_MAX: Final = 60.0
QUESTIONS_MAX: Final = 4
"""So often a receipt is asked for before the store is asked what it has of the part; then after twice as many.

A store that has lost what it had acknowledged gets it again, while the file is here."""

LIES_MAX: Final = 5
"""So often a store may answer nonsense about one part before the job ends as FAILED."""


class StoreRefusedError(Exception):
    """The store did not take the part, and trying on is pointless."""


class StoreTimedOutError(StoreRefusedError):
    """The store was away, or gave no receipt, for as long as the hub tries."""


def outbox_name(part: JobPart) -> str:
    """Name of the part's file in the outbox and at the store."""
    return part.id + (".json" if part.is_manifest else ".mp4.age")


class Courier:
    """Brings parts to the store. One `bring` at a time for each part; safe to call again after any crash."""

    def __init__(
        self,
        *,
        journal: Journal,
        outbox: Outbox,
        uploader: Uploader,
        audit: Audit,
        clock: Clock,
        hub: str,
        give_up_h: float,
    ) -> None:
        self._journal, self._outbox, self._uploader = journal, outbox, uploader
        self._audit, self._clock, self._hub = audit, clock, hub
        self.give_up_h = give_up_h

    async def bring(
        self,
        part: JobPart,
        target: UploadTarget,
        store_keys: Sequence[SigningKey],
        is_allowed: Callable[[], bool],
    ) -> JobPart:
        """Bring one part from the state it is in to RECEIPTED, and return it.

        `is_allowed` is asked before every effect: as soon as it says no, the part comes back as it is and nothing more
        is sent. Raises StoreTimedOutError after the configured hours, StoreRefusedError when the store keeps answering
        nonsense.
        """
        give_up_at = self._clock.instant() + int(self.give_up_h * 3600 * SECOND_NS)
        pause_s, lies, questions, look_at = RETRY_S_MIN, 0, 0, QUESTIONS_MAX
        while part.state is not PartState.RECEIPTED and is_allowed():
            try:
                part = await self._advance(part, target, store_keys, is_allowed)
            except (UnavailableError, BadInputError) as error:
                lies += isinstance(error, BadInputError)
                if lies > LIES_MAX:
                    raise StoreRefusedError(str(error)) from error
                if self._clock.instant() >= give_up_at:
                    raise StoreTimedOutError(str(error)) from error
                questions += part.state is PartState.SENT
                if isinstance(error, BadInputError):
                    part = self._store(replace(part, state=PartState.SEALED, location=""))
                elif part.state is PartState.SENT and questions == look_at:
                    part, look_at = self._store(replace(part, state=PartState.CREATED)), 2 * look_at
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                pause_s = min(2 * pause_s, RETRY_S_MAX)
            else:
                pause_s = pause_s if questions else RETRY_S_MIN
        return part

    async def _advance(
        self, part: JobPart, target: UploadTarget, store_keys: Sequence[SigningKey], is_allowed: Callable[[], bool]
    ) -> JobPart:
        """Do the one effect that the part's state asks for, and store where that leads."""
        sealed = self._sealed(part)
        match part.state:
            case PartState.SEALED:
                location = await self._uploader.create(sealed, target)
                return self._store(replace(part, state=PartState.CREATED, location=location))
            case PartState.CREATED:
                is_sent = await self._uploader.send(sealed, target, part.location, is_allowed)
                return self._store(replace(part, state=PartState.SENT)) if is_sent else part
            case _:
                token = await self._uploader.receipt(sealed, target)
                receipt = verify_receipt(token, store_keys, sealed, self._hub)
                detail: dict[str, str | int] = {"part": part.id, "sha256": receipt.sha256, "size": receipt.size}
                self._audit.append("receipt", part.job, detail)
                part = self._store(replace(part, state=PartState.RECEIPTED, receipt=token))
                self._outbox.discard(outbox_name(part))
                return part

    async def drop(self, part: JobPart, target: UploadTarget) -> None:
        """Ask the store to drop what it has of a part that must not go any further; it may be asked again."""
        if part.state is PartState.CREATED:
            await self._uploader.drop(self._sealed(part), target, part.location)

    def _sealed(self, part: JobPart) -> SealedPart:
        return SealedPart(
            id=part.id,
            path=self._outbox.path(outbox_name(part)),
            size=part.size,
            sha256=part.sha256,
            media_type=MEDIA_TYPE_MANIFEST if part.is_manifest else MEDIA_TYPE_CLIP,
        )

    def _store(self, part: JobPart) -> JobPart:
        self._journal.put_part(part)
        return part
