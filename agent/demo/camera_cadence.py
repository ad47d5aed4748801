"""A virtual camera's clock and the exact ticks at which it takes its pictures; everything it sends is timed from here.

Rules of this file: integers only; a tick is 1/90000 s since 1970 in the camera's own clock (which may be wrong, and
drift).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

from agent.clock import SECOND_NS, WallTime, Window
from agent.errors import ConfigurationError

TICKS_HZ: Final = 90_000
TICKS_PER_MS: Final = 90
_MILLION: Final = 1_000_000
_NEVER: Final = WallTime(0)
_NTP_EPOCH_S: Final = 2_208_988_800  # seconds from 1900 to 1970, RFC 5905 section 6


class CameraClock:
    """A clock that is wrong by `offset_ms` and runs fast by `drift_ppm` from then on.

    It is set once from the machine's clock, then monotonic.
    """

    def __init__(self, offset_ms: int = 0, drift_ppm: int = 0) -> None:
        self.offset_ms, self.drift_ppm = offset_ms, drift_ppm
        self._began_ns = time.monotonic_ns()
        self.set_at = WallTime(time.time_ns())

    def now_ns(self) -> int:
        """Return UTC nanoseconds since 1970 as this camera has them."""
        passed_ns = time.monotonic_ns() - self._began_ns
        return self.set_at + self.offset_ms * 1_000_000 + passed_ns + passed_ns * self.drift_ppm // _MILLION

    def now_ticks(self) -> int:
        """Return the last tick that has passed."""
        return self.now_ns() * TICKS_HZ // SECOND_NS


@dataclass(frozen=True, slots=True)
class Cadence:
    """Picture `k` is taken at `base_ticks + k * period_ticks` of a clock that is `clock_offset_ms` ahead of the hub's.

    The base stands between two milliseconds for every `k`, so no picture lies on the border of a window given in ms.
    A clock that drifts was so far ahead at `set_at` (hub time), gained `drift_ppm` ever since, and has no such borders.
    """

    base_ticks: int
    period_ticks: int
    clock_offset_ms: int = 0
    drift_ppm: int = 0
    set_at: WallTime = _NEVER

    def tick(self, number: int) -> int:
        """Return the capture tick of picture `number`."""
        return self.base_ticks + number * self.period_ticks

    def is_tick(self, ticks: int) -> bool:
        """Say whether a picture was ever taken at `ticks`."""
        return ticks >= self.base_ticks and (ticks - self.base_ticks) % self.period_ticks == 0

    def expected(self, window: Window) -> range:
        """Return the ticks of all pictures with `start <= time < end`, the window being in hub time."""
        first = max(self._number_at_or_after(window.start), 0)
        last = max(self._number_at_or_after(window.end), first)
        return range(self.tick(first), self.tick(last), self.period_ticks)

    def hub_time(self, ticks: int) -> WallTime:
        """Return when a tick was in hub time, rounded down to the nanosecond."""
        camera_ns = (ticks - self.clock_offset_ms * TICKS_PER_MS) * SECOND_NS // TICKS_HZ
        return WallTime(self.set_at + (camera_ns - self.set_at) * _MILLION // (_MILLION + self.drift_ppm))

    def _number_at_or_after(self, hub: WallTime) -> int:
        camera_ns = hub + (hub - self.set_at) * self.drift_ppm // _MILLION
        camera_tick = -(-camera_ns * TICKS_HZ // SECOND_NS) + self.clock_offset_ms * TICKS_PER_MS
        return -(-(camera_tick - self.base_ticks) // self.period_ticks)


def start_cadence(clock: CameraClock, fps: int) -> Cadence:
    """Begin a cadence just after now; raises ConfigurationError for a rate that has no exact period."""
    if fps < 1 or TICKS_HZ % fps or math.gcd(TICKS_HZ // fps, TICKS_PER_MS) == 1:
        raise ConfigurationError(f"{fps} pictures a second have no exact period", cure="use 5, 10, 15, 20, 25 or 30")
    period = TICKS_HZ // fps
    phases = math.gcd(period, TICKS_PER_MS)  # pictures lie on at most this grid against the milliseconds
    base = -(-clock.now_ticks() // phases) * phases + phases // 2
    return Cadence(base, period, clock.offset_ms, clock.drift_ppm, clock.set_at if clock.drift_ppm else _NEVER)


def ntp_of_ticks(ticks: int) -> int:
    """Write a tick as a 64-bit NTP timestamp (32.32, RFC 3550 section 4), within 0.12 ns."""
    seconds, part = divmod(ticks, TICKS_HZ)
    return ((seconds + _NTP_EPOCH_S) % (1 << 32) << 32) + ((part << 32) + TICKS_HZ // 2) // TICKS_HZ
