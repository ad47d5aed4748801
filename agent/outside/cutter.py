"""The daemon's side of a cut: what a child is asked, and what of its answers is believed.

Rules of this file: the parts of one camera's clip may be cut by one child; no child meets the bytes of two cameras, or
of two jobs, and none that has failed is asked again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self, TypeVar

from agent.clock import WallTime, Window
from agent.consent.mask import Masks
from agent.cut.answer import read_report
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.look import NOTHING_KNOWN, Look, LookOrder, StillOrder
from agent.cut.messages import Job, Kind, Work, decode_codes, decode_look, frame, message_frame
from agent.errors import BadInputError, UnavailableError
from agent.outside.cutter_child import Child, ChildLimits, Children

_Answer = TypeVar("_Answer")
CLIP_BYTES_MAX: Final = 1024 * 1024 * 1024  # of one part
CLIP_FRAMES_MAX: Final = 100_000  # its head, a frame or two for each of 40 000 pictures
STOP_S_MAX: Final = 1.0  # a child that was killed is gone at once; its thread has a chunk to read at most
_USUAL: Final = ChildLimits()
KEPT_S_MAX: Final = 30.0
"""After so long at work a child is kept for no further part: its limit on processor time is for its whole life."""

NEVER: Final = Window(WallTime(0), WallTime(1))


class ChildCutter:
    """`ports.Cutter` by child processes. Calls block; several at once are as many children."""

    def __init__(self, limits: ChildLimits = _USUAL, worker: Sequence[str] = ("agent.cut.worker",)) -> None:
        self._children = Children(limits, worker)

    def stop(self) -> None:
        """End every child now; calls that run, and later ones, raise UnavailableError. May be called twice."""
        self._children.end(STOP_S_MAX)

    def cuts(self) -> ChildCuts:
        """Return what cuts the parts of one camera's clip."""
        return ChildCuts(self._children)

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make one part that no other follows."""
        with self.cuts() as cuts:
            return cuts.cut(order, chunks, sink)

    def read_codes(self, order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
        """Return the texts of the QR codes in the newest key picture."""
        with self._children.start() as child:
            for kind, body in child.ask(_questions(Work.READ_CODES, order, chunks)):
                if kind is not Kind.CODES:
                    raise UnavailableError("the cutter's child says more than was ordered")
                return _decoded(decode_codes, body)
        raise child.failure()

    def look(self, order: CutOrder, asked: LookOrder, chunks: Iterable[WireChunk]) -> Look:
        """Measure the first key picture, and write it as JPEG if that is asked."""
        with self._children.start() as child:
            for kind, body in child.ask(_questions(Work.LOOK, order, chunks, asked)):
                if kind is not Kind.LOOK:
                    raise UnavailableError("the cutter's child says more than was ordered")
                seen = _decoded(decode_look, body)
                if seen.signs.taken not in order.window or len(seen.signs.likeness) != len(asked.scenes):
                    raise UnavailableError("the cutter's child looked at another picture")
                if len(seen.jpeg) > asked.snapshot_bytes_max:
                    raise UnavailableError("the cutter's child made a larger snapshot than was asked")
                return seen
        raise child.failure()

    def redraw(self, picture: bytes, masks: Masks, asked: StillOrder) -> bytes:
        """Decode a JPEG of the camera's own making, and write it anew with the masks painted over."""
        order = CutOrder(NEVER, (), masks=masks)
        questions = [message_frame(Kind.JOB, Job(Work.REDRAW, order, still=asked)), frame(Kind.PICTURE, picture)]
        with self._children.start() as child:
            for kind, body in child.ask(iter([*questions, frame(Kind.END)])):
                if kind is not Kind.PICTURE or not 0 < len(body) <= asked.snapshot_bytes_max:
                    raise UnavailableError("the cutter's child says more than was ordered")
                return body
        raise child.failure()


class ChildCuts:
    """`ports.Cuts` by one child after the other, each kept for the next part as long as it does well."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self._lock = threading.Lock()
        self._kept: Child | None = None
        self._kept_s = 0.0  # how long the kept one has worked
        self._is_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make one part; its bytes go to `sink` as they come, and count only once the report is returned."""
        child, worked_s = self._take()
        began_s = time.monotonic()
        try:
            report = _cut(child, order, chunks, sink)
        except BaseException:
            child.end()
            raise
        if report is None:
            child.end()
            raise child.failure()
        self._keep(child, worked_s + time.monotonic() - began_s)
        return report

    def end(self) -> None:
        """End the child, now or as soon as the part is made that it is making."""
        with self._lock:
            self._is_ended, kept, self._kept = True, self._kept, None
        if kept:
            kept.end()

    def _take(self) -> tuple[Child, float]:
        with self._lock:
            kept, self._kept = self._kept, None
        if kept and kept.is_well:
            return kept, self._kept_s
        if kept:
            kept.end()
        return self._children.start(), 0.0

    def _keep(self, child: Child, worked_s: float) -> None:
        with self._lock:
            if child.is_well and worked_s < KEPT_S_MAX and not self._is_ended:
                self._kept, self._kept_s = child, worked_s
                return
        child.end()


def _cut(
    child: Child, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]
) -> ClipReport | None:
    """Have the child make one part; None if it ended instead."""
    written = frames = 0
    for kind, body in child.ask(_questions(Work.CUT, order, chunks)):
        if kind is Kind.REPORT:
            return _decoded(partial(read_report, order=order, written_bytes=written), body)
        written, frames = written + len(body), frames + 1
        if kind is not Kind.CLIP or not body or written > CLIP_BYTES_MAX or frames > CLIP_FRAMES_MAX:
            raise UnavailableError("the cutter's child says more than was ordered")
        sink(body)
    return None


def _questions(
    work: Work, order: CutOrder, chunks: Iterable[WireChunk], asked: LookOrder = NOTHING_KNOWN
) -> Iterator[bytes]:
    yield message_frame(Kind.JOB, Job(work, order, asked))
    for chunk in chunks:
        yield message_frame(Kind.CHUNK, chunk)
    yield frame(Kind.END)


def _decoded(decode: Callable[[bytes], _Answer], body: bytes) -> _Answer:
    try:
        return decode(body)
    except BadInputError as error:
        raise UnavailableError(f"the cutter's child gave an answer that cannot be read: {error}") from error
