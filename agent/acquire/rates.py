"""What a camera has sent in all, noted now and then, to what it sends at present.

Rules of this file: a few small numbers per camera; nothing here runs for every packet or picture.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from agent.clock import SECOND_NS, Instant

SAMPLE_S: Final = 2
RATE_S: Final = 10  # long enough for some groups of pictures: a key picture is ten times the others
LOSS_S: Final = 60


class WireTotals(NamedTuple):
    """Counts of one camera over all its sessions; none of them ever falls."""

    bytes: int = 0
    pictures: int = 0
    packets: int = 0  # of video, received
    packets_lost: int = 0


class WireRates(NamedTuple):
    """How much comes now."""

    bytes_per_s: float = 0.0  # of the last `RATE_S`
    pictures_per_s: float = 0.0
    loss_share: float = 0.0  # of the packets sent in the last `LOSS_S`, 0 to 1


class RateMeter:
    """Keeps at most `LOSS_S / SAMPLE_S` samples; a camera that was away for a minute has sent nothing."""

    def __init__(self) -> None:
        self._samples: deque[tuple[Instant, WireTotals]] = deque()
        self._rates = WireRates()

    def note(self, now: Instant, totals: WireTotals) -> WireRates:
        """Take the counts as they are now; return the rates, which are reckoned anew every `SAMPLE_S`."""
        samples = self._samples
        if samples and now - samples[-1][0] < SAMPLE_S * SECOND_NS:
            return self._rates
        samples.append((now, totals))
        while len(samples) > 1 and now - samples[1][0] >= LOSS_S * SECOND_NS:
            samples.popleft()
        began, before = next(
            (sample for sample in reversed(samples) if now - sample[0] >= RATE_S * SECOND_NS), samples[0]
        )
        if now > began:
            seconds = (now - began) / SECOND_NS
            oldest = samples[0][1]
            lost = totals.packets_lost - oldest.packets_lost
            sent = totals.packets - oldest.packets + lost
            self._rates = WireRates(
                (totals.bytes - before.bytes) / seconds,
                (totals.pictures - before.pictures) / seconds,
                lost / sent if sent else 0.0,
            )
        return self._rates
