"""How fast the uplink is, by what uploads really reached: the second-fastest of the last hour's measurements.

Rules of this file: a request measures only if nothing held it back but the link, so that a cap never makes the link
look slower than it is, and then slower again; nothing is stored: after a start it is learned anew within three
requests.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from agent.clock import SECOND_NS, Instant

WINDOW_NS: Final = 3600 * SECOND_NS
MEASURE_EVERY_NS: Final = 900 * SECOND_NS  # while a share of the uplink is the cap, one request in so long is not held
BELIEVED_AFTER: Final = 3  # from so many on a single fast one is not believed
SAMPLES_MAX: Final = 64
SAMPLE_BYTES_MIN: Final = 128 * 1024  # less says more of the round trip than of the link
SAMPLE_S_MIN: Final = 1.0  # unless it took so long


class Uplink:
    """What was measured. `bytes_per_s` are of requests' bodies, from the first byte to the store's answer."""

    def __init__(self) -> None:
        self._samples: deque[tuple[Instant, float]] = deque(maxlen=SAMPLES_MAX)

    @property
    def bytes_per_s(self) -> float | None:
        """Return the measured rate; None before the first measurement."""
        rates = sorted((rate for _, rate in self._samples), reverse=True)
        return (rates[1] if len(rates) >= BELIEVED_AFTER else rates[0]) if rates else None

    def note(self, sent_bytes: int, seconds: float, now: Instant) -> None:
        """Take a request that only the link held back; `sent_bytes` is what all uploads sent meanwhile."""
        if seconds > 0 and (sent_bytes >= SAMPLE_BYTES_MIN or seconds >= SAMPLE_S_MIN):
            self._samples.append((now, sent_bytes / seconds))
            # the newest are kept however old: an hour without a measurement is no slower link
            while now - self._samples[0][0] > WINDOW_NS and len(self._samples) > BELIEVED_AFTER:
                self._samples.popleft()

    def is_due(self, now: Instant) -> bool:
        """Say whether the next request should be a measurement."""
        return len(self._samples) < BELIEVED_AFTER or now - self._samples[-1][0] > MEASURE_EVERY_NS
