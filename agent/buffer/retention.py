"""What must leave the ring, and which cameras are kept apart so that they push nobody else's footage out of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.acquire.stream import CameraId
from agent.buffer.slab import Lane
from agent.clock import SECOND_NS, WallTime

RATE_TIME_S: Final = 300
"""Time constant of the rates: a camera is judged by minutes of it, not by a burst."""

_NOISY_FROM: Final = 1.25  # of the fair share
_QUIET_FROM: Final = 0.9
_SILENT: Final = 1.0  # bytes/s


def expired_slabs(
    newest_arrivals: Mapping[int, WallTime], now: WallTime, age_s_max: int, *, is_clock_trusted: bool
) -> tuple[int, ...]:
    """Return the slabs of which every chunk is older than `age_s_max`; none while the clock is not trusted.

    A slab recorded under a clock that stood far behind counts as old as soon as the clock is trusted: no window
    could find it.
    """
    if not is_clock_trusted:
        return ()
    border = now - age_s_max * SECOND_NS
    return tuple(sorted(slab for slab, newest in newest_arrivals.items() if newest < border))


class Rates:
    """How much each camera sends, in bytes/s: an exponential average with the time constant `RATE_TIME_S`.

    It begins at zero, so after a start no camera is taken for noisy before minutes have passed.
    """

    def __init__(self) -> None:
        self._rates: dict[CameraId, float] = {}
        self._new: dict[CameraId, int] = {}

    def add(self, camera: CameraId, size: int) -> None:
        """Count bytes of a camera."""
        self._new[camera] = self._new.get(camera, 0) + size

    def update(self, seconds: float) -> Mapping[CameraId, float]:
        """Take what was counted in the last `seconds` into the average and return that, without silent cameras."""
        if seconds > 0:
            weight = -math.expm1(-seconds / RATE_TIME_S)
            cameras = self._rates.keys() | self._new.keys()
            old, new = self._rates, self._new
            rates = {c: old.get(c, 0.0) * (1 - weight) + new.get(c, 0) / seconds * weight for c in cameras}
            self._rates = {camera: rate for camera, rate in rates.items() if rate >= _SILENT}
            self._new = {}
        return dict(self._rates)


def noisy_cameras(
    rates: Mapping[CameraId, float], bytes_max: int, floor_s: float, noisy: frozenset[CameraId]
) -> frozenset[CameraId]:
    """Return the cameras to keep apart, given their rates in bytes/s and those that are apart now.

    Nobody, as long as the ring holds `floor_s` of all cameras. Else it is shared fairly: no camera that needs less
    than its share gives any away, and who sends over 1.25 times the share is noisy until below 0.9 times. If that
    would be every camera, none is: there is nobody to protect.
    """
    if floor_s <= 0 or sum(rates.values()) * floor_s <= bytes_max:
        return frozenset()
    share = _fair_share(rates.values(), bytes_max / floor_s)
    found = frozenset(
        camera for camera, rate in rates.items() if rate > share * (_QUIET_FROM if camera in noisy else _NOISY_FROM)
    )
    return found if len(found) < len(rates) else frozenset()


def apart_bytes(rates: Mapping[CameraId, float], noisy: frozenset[CameraId], bytes_max: int, floor_s: float) -> int:
    """Return how much of the ring the noisy cameras may use: all but what the others' floor needs, or its fair share.

    0 if no camera is noisy, else more.
    """
    if not noisy or floor_s <= 0:
        return 0
    share = _fair_share(rates.values(), bytes_max / floor_s)
    others = sum(min(rate, share) for camera, rate in rates.items() if camera not in noisy)
    return max(1, bytes_max - math.ceil(others * floor_s))


@dataclass(frozen=True, slots=True)
class SlabUse:
    """A slab that might go."""

    number: int
    lane: Lane
    bytes: int
    is_open: bool = False  # is written to: it counts, but stays


def choose_victim(slabs: Iterable[SlabUse], apart_bytes_max: int) -> int:
    """Return the number of the slab that makes room for a new one; one of `slabs` at least must not be open.

    The oldest of the lane that is over its share: APART if it uses more than `apart_bytes_max`, else SHARED; the oldest
    of the other lane if that one has none. With 0 no camera is kept apart, and the oldest slab of all goes.
    """
    known = tuple(slabs)
    used = sum(slab.bytes for slab in known if slab.lane is Lane.APART)
    lane = Lane.APART if used > apart_bytes_max else Lane.SHARED
    closed = [slab for slab in known if not slab.is_open]
    chosen = [slab for slab in closed if slab.lane is lane] if apart_bytes_max else []
    return min(slab.number for slab in chosen or closed)


def _fair_share(rates: Iterable[float], total: float) -> float:
    """Return the level at which the rates must be capped so that they are `total` together, which they exceed."""
    left = sorted(rates, reverse=True)
    while left and left[-1] * len(left) <= total:
        total -= left.pop()
    return total / len(left) if left else math.inf
