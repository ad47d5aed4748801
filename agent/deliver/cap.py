"""How fast the hub may send, at this hour: an absolute cap, a share of the uplink, and hours with caps of their own.

Rules of this file: of two caps the lower holds; the first hours that cover a moment hold instead of the others; while
the time is not known the lowest cap of all holds; a share of an uplink that is not known yet is no cap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.clock import WallTime
from agent.consent.schedule import MINUTE_NS, Hours, minute_of_week, week_of, zone_of

KBIT_S_MIN: Final = 64
KBIT_S_MAX: Final = 10_000_000
BYTES_PER_KBIT: Final = 125

Kbits = Annotated[int, Meta(ge=KBIT_S_MIN, le=KBIT_S_MAX)]
Share = Annotated[float, Meta(ge=0.05, le=1)]


class CappedHours(Hours, frozen=True, kw_only=True):
    """Hours with caps of their own; without any, they have none."""

    kbit_s_max: Kbits | None = None  # on the wire
    uplink_share: Share | None = None  # of what the uplink was measured to take


class Caps(Struct, frozen=True, kw_only=True):
    """What the configuration says; hours are in local time of `zone`."""

    kbit_s_max: int | None = None
    uplink_share: float | None = None
    hours: tuple[CappedHours, ...] = ()
    zone: str | None = None


NO_CAPS: Final = Caps()


def cap_bytes_per_s(caps: Caps, moment: WallTime | None, uplink_bytes_per_s: float | None) -> float | None:
    """Return the cap in force in bytes a second on the wire, or None; `moment` is None while the time is not known."""
    return min(_each(_in_force(caps, moment), uplink_bytes_per_s), default=None)


def has_share(caps: Caps, moment: WallTime | None) -> bool:
    """Say whether a share of the uplink is in force, so that it must be measured."""
    return any(one.uplink_share is not None for one in _in_force(caps, moment))


def _in_force(caps: Caps, moment: WallTime | None) -> tuple[Caps | CappedHours, ...]:
    zone = zone_of(caps.zone)
    if not caps.hours or zone is None:
        return (caps,)
    if moment is None:
        return (caps, *caps.hours)
    minute = minute_of_week(moment // MINUTE_NS, zone)
    return (next((hours for hours in caps.hours if week_of((hours,))[minute]), caps),)


def _each(in_force: Iterable[Caps | CappedHours], uplink_bytes_per_s: float | None) -> Iterable[float]:
    for one in in_force:
        if one.kbit_s_max is not None:
            yield one.kbit_s_max * BYTES_PER_KBIT
        if one.uplink_share is not None and uplink_bytes_per_s is not None:
            yield max(one.uplink_share * uplink_bytes_per_s, KBIT_S_MIN * BYTES_PER_KBIT)
