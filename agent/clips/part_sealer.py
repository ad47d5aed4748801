"""One planned part from the ring through the cutter and the sealer into the outbox; clear pictures touch no disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec

from agent.acquire.stream import StreamHeader, decode_stream_header
from agent.consent.mask import Masks
from agent.consent.owner_copy import NO_COPY, OwnerCopy
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.plan import CutPlan, explained
from agent.cut.rtp import only_channels
from agent.deliver.seal import AgeWriter, Sealed
from agent.errors import UnavailableError
from agent.ports import ChunkSource, Cuts, Outbox


class PartSealer:
    """Cuts and seals in one stream: what the cutter's child process writes is sealed before the next byte is read."""

    def __init__(self, ring: ChunkSource, outbox: Outbox) -> None:
        self._ring, self._outbox = ring, outbox

    async def seal_beside(
        self, cuts: Cuts, plan: CutPlan, name: str, masks: Masks, *, may_copy: bool, copy: OwnerCopy
    ) -> tuple[ClipReport, Sealed]:
        """Do as `seal` does, in a worker thread. Cancelled, the thread goes on, and leaves no file."""
        given_up = threading.Event()
        try:
            return await asyncio.to_thread(
                self.seal, cuts, plan, name, masks, may_copy=may_copy, copy=copy, is_given_up=given_up.is_set
            )
        finally:
            given_up.set()

    def seal(
        self,
        cuts: Cuts,
        plan: CutPlan,
        name: str,
        masks: Masks,
        *,
        may_copy: bool = True,
        copy: OwnerCopy = NO_COPY,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> tuple[ClipReport, Sealed]:
        """Make the sealed file `name` of a plan; blocking, for a worker thread. A report without pictures has no file.

        It is sealed to the command's recipients, and to the owner as `copy` says. `masks` are painted over in every
        picture, and then nothing is copied; nor is it with `may_copy=False`.

        Raises BadInputError if this footage cannot be cut, OutboxFullError if there is no room for it, and
        UnavailableError if the child or the ring failed.
        """
        headers = tuple(decode_stream_header(self._ring.read(chunk)) for chunk in plan.headers)
        order = CutOrder(plan.window, headers, plan.sound, masks, may_copy)
        recipients = [recipient.age for recipient in plan.grant.command.recipients]
        if copy.recipient and copy.recipient not in recipients:
            recipients.append(copy.recipient)

        def fill(append: Callable[[bytes], object]) -> tuple[ClipReport, Sealed]:
            writer = AgeWriter(recipients, append)
            report = cuts.cut(order, self._wire(plan, headers), writer.write)
            if is_given_up():
                raise UnavailableError("nobody waits for this part any more")
            return report, writer.finish()

        report, sealed = self._outbox.write(name, fill)
        if not report.pictures or is_given_up():
            self._outbox.discard(name)
            return report, sealed
        gaps = explained(report.gaps, plan)
        own = {"clear_sha256": sealed.clear_sha256, "owner_copy": copy.word, "gaps": gaps}
        return msgspec.structs.replace(report, **own), sealed

    def _wire(self, plan: CutPlan, headers: Sequence[StreamHeader]) -> Iterator[WireChunk]:
        """Read and decrypt chunk by chunk; one that is gone is left out, and the missing number tells the cutter so.

        Sound that was not granted is not told to the child. What leads the sound goes without its pictures, but for
        the last chunk, whose pictures say when its sound came.
        """
        tracks = {header.run: header.tracks for header in headers}
        for number, chunk in enumerate((*plan.sound_lead, *plan.chunks), 1 - len(plan.sound_lead)):
            try:
                wire = self._ring.read(chunk)
            except UnavailableError:
                continue
            video, *sounds = tracks.get(chunk.meta.run, ()) or (None,)
            if video and sounds and plan.sound is None:
                wire = only_channels(wire, (video.channel, video.channel + 1))
            elif video and number < 0:
                wire = only_channels(wire, {video.channel + 1} | {s.channel + n for s in sounds for n in (0, 1)})
            yield WireChunk(chunk.meta.run, chunk.meta.sequence, chunk.meta.anchor, wire)
