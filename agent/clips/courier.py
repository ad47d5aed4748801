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
from agent.clips.upload_turns import Turn, UploadTurns
from agent.clock import SECOND_NS, Clock, Instant
from agent.command.request import UploadTarget
from agent.deliver.part import MEDIA_TYPE_CLIP, MEDIA_TYPE_MANIFEST, SealedPart
from agent.deliver.receipt import OtherBytesError, verify_receipt
from agent.deliver.turns import Freight, Urgency
from agent.errors import BadInputError, UnavailableError
from agent.ports import Audit, Journal, Outbox, Uploader
from agent.signing import SigningKey

RETRY_S_MIN: Final = 0.2
RETRY_S_MAX: Final = 60.0
RECEIPTS_MISSED_MAX: Final = 5
"""After so many in a row the store is asked what it has of the part, and is sent what it has forgotten."""

MANIFEST_PLACE: Final = 1_000_000  # behind all parts
LEFT_H_MIN: Final = 1.0
"""So long a store is tried after a restart, however old the part is: a hub that was off has not been waiting."""

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

    def __init__(  # noqa: PLR0913 - what a part needs on its way, each by name
        self,
        *,
        journal: Journal,
        outbox: Outbox,
        uploader: Uploader,
        audit: Audit,
        clock: Clock,
        hub: str,
        give_up_h: float,
        turns: UploadTurns | None = None,
    ) -> None:
        self._journal, self._outbox, self._uploader = journal, outbox, uploader
        self._audit, self._clock, self._hub = audit, clock, hub
        self.give_up_h = give_up_h
        self.turns = turns or UploadTurns(clock)

    async def bring(
        self,
        part: JobPart,
        target: UploadTarget,
        store_keys: Sequence[SigningKey],
        is_allowed: Callable[[], bool],
        urgency: Urgency,
    ) -> JobPart:
        """Bring one part from the state it is in to RECEIPTED, and return it; `urgency` says when its turn is.

        `is_allowed` is asked before every effect: as soon as it says no, the part comes back as it is and nothing more
        is sent. Raises StoreTimedOutError after the configured hours, StoreRefusedError when the store keeps answering
        nonsense.
        """
        freight = _freight(part, target, urgency)
        with self.turns.in_line(freight):
            return await self._bring(part, freight, target, store_keys, is_allowed)

    async def _bring(
        self,
        part: JobPart,
        freight: Freight,
        target: UploadTarget,
        store_keys: Sequence[SigningKey],
        is_allowed: Callable[[], bool],
    ) -> JobPart:
        give_up_at = self.give_up_at(freight.urgency)
        pause_s, lies, missed, was_sent = RETRY_S_MIN, 0, 0, False
        while part.state is not PartState.RECEIPTED:
            before = part
            async with self.turns.turn(freight, is_allowed) as turn:
                part, error = await self._take_turn(turn, part, target, store_keys, is_allowed)
            if turn.is_withdrawn:
                break
            if part is not before and not was_sent:
                pause_s = RETRY_S_MIN
            was_sent = was_sent or part.state is PartState.SENT
            if error is None:
                continue
            is_lie = isinstance(error, BadInputError)
            lies += is_lie
            if lies > LIES_MAX:
                raise StoreRefusedError(str(error)) from error
            if self.has_come(give_up_at):
                raise StoreTimedOutError(str(error)) from error
            missed = missed + 1 if part.state is PartState.SENT else 0
            if isinstance(error, OtherBytesError) or (is_lie and part.state is not PartState.SENT):
                part = self._store(replace(part, state=PartState.SEALED, location=""))
            elif missed >= RECEIPTS_MISSED_MAX:
                part, missed = self._store(replace(part, state=PartState.CREATED)), 0
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause_s = min(2 * pause_s, RETRY_S_MAX)
        return part

    async def _take_turn(
        self,
        turn: Turn,
        part: JobPart,
        target: UploadTarget,
        store_keys: Sequence[SigningKey],
        is_allowed: Callable[[], bool],
    ) -> tuple[JobPart, UnavailableError | BadInputError | None]:
        """Do one effect after the other; return how far the part has come, and what has stopped it."""

        def may_go_on() -> bool:
            return is_allowed() and not self.turns.is_over(turn)

        try:
            while part.state is not PartState.RECEIPTED:
                turn.is_withdrawn = not is_allowed()
                if turn.is_withdrawn or not turn.is_given or self.turns.is_over(turn):
                    break
                before, part = part, await self._advance(part, target, store_keys, may_go_on)
                if part is not before or self.turns.is_over(turn):
                    self.turns.note(turn, has_answered=True)
        except BadInputError as error:
            return part, error
        except UnavailableError as error:
            if part.state is not PartState.SENT:  # a receipt that is not there yet says nothing of the rest
                self.turns.note(turn, has_answered=False)
            return part, error
        return part, None

    def has_come(self, moment: Instant) -> bool:
        """Say whether it is so late."""
        return self._clock.instant() >= moment

    def give_up_at(self, urgency: Urgency) -> Instant:
        """Return until when the store is tried: by the part's age, which no restart makes younger."""
        age_h = (self._clock.now() - max(urgency.asked, urgency.window_end)) / (3600 * SECOND_NS)
        left_h = min(max(self.give_up_h - age_h, LEFT_H_MIN), self.give_up_h)
        return Instant(self._clock.instant() + int(left_h * 3600 * SECOND_NS))

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


def _freight(part: JobPart, target: UploadTarget, urgency: Urgency) -> Freight:
    place = part.number + part.is_manifest * MANIFEST_PLACE
    store = target.url.partition("://")[2].partition("/")[0]
    return Freight(part.id, part.job, store, place, part.end, part.size, urgency)
