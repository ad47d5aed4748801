"""One planned part from the ring through the cutter and the sealer into the outbox; clear pictures touch no disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent.acquire.stream import decode_stream_header
from agent.consent.mask import Masks
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.plan import CutPlan
from agent.deliver.seal import AgeWriter, Sealed
from agent.errors import UnavailableError
from agent.ports import ChunkSource, Cutter, Outbox


class PartSealer:
    """Cuts and seals in one stream: what the cutter's child process writes is sealed before the next byte is read."""

    def __init__(self, ring: ChunkSource, cutter: Cutter, outbox: Outbox) -> None:
        self._ring, self._cutter, self._outbox = ring, cutter, outbox

    def seal(self, plan: CutPlan, name: str, masks: Masks, *, may_copy: bool = True) -> tuple[ClipReport, Sealed]:
        """Make the sealed file `name` of a plan; blocking, for a worker thread. A report without pictures has no file.

        `masks` are painted over in every picture, and then nothing is copied; nor is it with `may_copy=False`.

        Raises BadInputError if this footage cannot be cut, OutboxFullError if there is no room for it, and
        UnavailableError if the child or the ring failed.
        """
        headers = tuple(decode_stream_header(self._ring.read(chunk)) for chunk in plan.headers)
        order = CutOrder(plan.window, headers, masks, may_copy)
        recipients = [recipient.age for recipient in plan.grant.command.recipients]

        def fill(append: Callable[[bytes], object]) -> tuple[ClipReport, Sealed]:
            writer = AgeWriter(recipients, append)
            report = self._cutter.cut(order, self._wire(plan), writer.write)
            return report, writer.finish()

        report, sealed = self._outbox.write(name, fill)
        if not report.pictures:
            self._outbox.discard(name)
        return report, sealed

    def _wire(self, plan: CutPlan) -> Iterator[WireChunk]:
        """Read and decrypt chunk by chunk; one that is gone is left out, and the missing number tells the cutter so."""
        for chunk in plan.chunks:
            try:
                wire = self._ring.read(chunk)
            except UnavailableError:
                continue
            yield WireChunk(chunk.meta.run, chunk.meta.sequence, chunk.meta.anchor, wire)
