"""A filmed stream cut into several parts, as a hub does with a running window, and joined again by the opener."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from agent.clock import WallTime, Window
from agent.cut.clip import ClipReport
from agent.opening.clip_boxes import take_apart
from agent.opening.decrypt import write_joined
from agent.opening.joining import JoinPlan, OpenedPart
from tests.simulators.logged_streams import Filmed
from tests.simulators.proven_cuts import Cut, cut_and_prove


@dataclass(frozen=True)
class Parted:
    """The parts of one window, each proven by itself."""

    window: Window
    cuts: list[Cut]

    @property
    def clips(self) -> list[bytes]:
        """The parts' files."""
        return [cut.clip for cut in self.cuts]

    @property
    def reports(self) -> list[ClipReport]:
        """What the cutter says of each."""
        return [cut.report for cut in self.cuts]


def cut_in_parts(filmed: Filmed, shares: Sequence[float]) -> Parted:
    """Cut a stream at these shares of its pictures, a nanosecond behind each border's picture."""
    times = filmed.times
    borders = [WallTime(times[int(share * (len(times) - 1))] + 1) for share in shares]
    windows = [Window(start, end) for start, end in pairwise(borders)]
    return Parted(Window(borders[0], borders[-1]), [cut_and_prove([filmed], window) for window in windows])


def opened(clip: bytes, report: ClipReport) -> OpenedPart:
    """Read a part's boxes."""
    return OpenedPart(take_apart(clip), report.first_picture)


def joined(plan: JoinPlan, clips: Sequence[bytes]) -> bytes:
    """Write the movie that a plan of all these clips makes."""
    out = io.BytesIO()
    write_joined(plan, ClearParts(clips), out)
    return out.getvalue()


class ClearParts:
    """Parts in memory, read as decrypted ones are: in pieces."""

    def __init__(self, clips: Sequence[bytes], piece_bytes: int = 64 * 1024) -> None:
        self._clips, self._piece_bytes = clips, piece_bytes

    @contextmanager
    def clear(self, number: int) -> Iterator[Iterator[bytes]]:
        """Give out a part's pieces."""
        clip, size = self._clips[number], self._piece_bytes
        yield (clip[at : at + size] for at in range(0, len(clip), size))
