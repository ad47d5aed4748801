"""Cut a filmed stream in this process and prove the clip against the camera's log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from agent.clock import WallTime, Window
from agent.consent.mask import Masks
from agent.cut.clip import ClipReport, CutOrder
from agent.cut.splice import make_clip
from agent.demo.camera_log import TICKS_HZ, LoggedPicture
from agent.demo.clip_proof import How, Proof, prove
from tests.simulators.logged_streams import Filmed, log_of

TICK_NS = 1_000_000_000 // TICKS_HZ  # rounded down: 11111 ns


@dataclass(frozen=True)
class Cut:
    """A clip, what its cutter says of it, and what is true."""

    clip: bytes
    report: ClipReport
    proof: Proof

    @property
    def said(self) -> tuple[int, int, int]:
        """Pictures, copied and re-encoded ones, as the cutter reports them."""
        return self.report.pictures, self.report.copied, self.report.reencoded

    @property
    def done(self) -> tuple[int, int, int]:
        """The same three, as proven."""
        copied = self.proof.count(How.COPIED) + self.proof.count(How.RENUMBERED)
        return len(self.proof.accounts), copied, self.proof.count(How.REENCODED)

    def unexplained(self, *runs: Filmed) -> list[int]:
        """Return the missing pictures for which the report has no gap.

        Of what was lost before the first and behind the last picture of which anything arrived nobody can know.
        """
        unknown = {picture.ticks for run in runs for order in (1, -1) for picture in _lost_first(run, order)}
        times = {ticks: log_of(*runs).hub_time(ticks) for ticks in self.proof.missing if ticks not in unknown}
        return [t for t, moment in times.items() if not any(g.start <= moment < g.end for g in self.report.gaps)]


def _lost_first(run: Filmed, order: int) -> Iterator[LoggedPicture]:
    return takewhile(lambda picture: picture.ticks in run.hurt, run.logged[::order])


def cut_and_prove(
    runs: Sequence[Filmed], window: Window, masks: Masks = (), *, granted: Window | None = None, has_sound: bool = False
) -> Cut:
    """Cut a window out of runs that follow each other; `granted` is what it is a part of, if it is one."""
    sound = (granted or window) if has_sound else None
    order = CutOrder(window, tuple(run.header for run in runs), sound, masks)
    pieces, report = make_clip(order, [chunk for run in runs for chunk in run.chunks])
    clip = b"".join(pieces)
    return Cut(clip, report, prove([clip] if clip else [], log_of(*runs), window, has_sound=has_sound))


def windows(filmed: Filmed) -> dict[str, Window]:
    """Return windows with every kind of border, by name."""
    times, keys = filmed.times, filmed.key_times
    inside = [moment for moment in keys if moment > times[0]] or keys
    first, last = len(times) // 4, 3 * len(times) // 4
    begin, end, step = times[first], times[last], times[first + 1] - times[first]
    shifted = {
        name: Window(WallTime(begin + ns), WallTime(end + ns))
        for name, ns in (("on pictures", 0), ("1 tick before", -TICK_NS), ("1 tick after", TICK_NS))
    }
    return shifted | {
        "key to key": Window(inside[0], inside[-1] if len(inside) > 1 else WallTime(times[-1] + 1)),
        "one picture": Window(WallTime(begin - TICK_NS), WallTime(begin + TICK_NS)),
        "between two pictures": Window(WallTime(begin + 1), times[first + 1]),
        "less than an interval": Window(WallTime(begin - step // 3), WallTime(begin + step // 3)),
        "longer than the ring": Window(WallTime(times[0] - 5 * 10**9), WallTime(times[-1] + 5 * 10**9)),
        "beside the footage": Window(WallTime(times[-1] + 1), WallTime(times[-1] + 10**9)),
        "across a key picture": Window(WallTime(inside[0] - 700_000_007), WallTime(inside[0] + 900_000_011)),
    }
