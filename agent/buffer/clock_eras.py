"""Which runs were recorded under which of the hub's clocks, and how far off their times may be for that.

Run numbers rise over everything (`acquire.reader.RunNumbers`), so an era is where one begins. A chunk's times stay as
they were recorded; what an era adds is a bound, or that nothing is known.

Rules of this file: values only; what is joined for room is as bad as the worst of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Final, NamedTuple

import msgspec

from agent.clock import SIGNED_ERROR_NS_MAX, TimeSource, WallTime, Window
from agent.errors import BadInputError

ERAS_MAX: Final = 256
UNKNOWN: Final = -1
MOVED_NS_MIN: Final = 50_000_000  # steps too small for one are noted when they have come to so much


class ClockEra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the run `first_run` on, until the next era."""

    first_run: Annotated[int, msgspec.Meta(ge=0)]
    source: TimeSource
    error_ns: int = 0  # of every time in it, beside the bound against the hub's clock; `UNKNOWN`
    since: int = 0  # what its clock showed when it began, and when it ended; 0: that was not noted
    until: int = 0
    off_ns: int = 0  # so much later than it showed it was, by the clock that proved it wrong
    boot: str = ""  # the start of the machine in which the next was read; empty: it was not
    offset_ns: int = 0  # what its clock showed, less the time since boot
    is_doubted: bool = False  # the clock was set to a time that no clock had shown before, and nothing has confirmed

    def is_same(self, other: ClockEra) -> bool:
        """Whether both are the same era, whatever has been found out about it."""
        return (self.first_run, self.since, self.source) == (other.first_run, other.since, other.source)

    @property
    def is_contradicted(self) -> bool:
        """Whether somebody vouched for its times and another clock, which is vouched for too, has proved them wrong."""
        return self.error_ns == UNKNOWN and self.source is not TimeSource.NONE


class ClockWord(Enum):
    """What the hub's clock is worth for a job, at this moment."""

    GOOD = "good"
    DOUBTED = "doubted"  # it was set just now: wait until it is right again, or has stood for a while
    TORN = "torn"  # it was set since the job was received, and stayed so: neither clock's pictures may be believed


class ClockChange(NamedTuple):
    """The recorder goes by another clock from a run on, or by the same one, which was set."""

    number: int  # counts from 1
    first_run: int
    source: TimeSource
    is_step: bool = False


Eras = tuple[ClockEra, ...]
_DECODER: Final = msgspec.json.Decoder(Eras)


def begun(eras: Eras, first_run: int, source: TimeSource, since: int = 0, *, is_doubted: bool = False) -> Eras:
    """Add an era; one in which no run was recorded gives way."""
    kept = tuple(era for era in eras if era.first_run < first_run)
    if kept and kept[-1].source is source and kept[-1].error_ns == 0 and not is_doubted:
        return kept
    unknown = UNKNOWN if source is TimeSource.NONE else 0
    new = (*kept, ClockEra(first_run, source, unknown, since, is_doubted=is_doubted))
    while len(new) > ERAS_MAX:
        first, second, *rest = new
        worse = UNKNOWN if UNKNOWN in {first.error_ns, second.error_ns} else max(first.error_ns, second.error_ns)
        new = (ClockEra(first.first_run, first.source, worse), *rest)
    return new


def judged(eras: Eras, which: ClockEra, error_ns: int, off_ns: int) -> Eras:
    """Say how far off the times of an era are, and in which direction; without it, change nothing."""
    place = next((place for place, era in enumerate(eras) if era.is_same(which)), None)
    if place is None:
        return eras
    found = bounded(eras[: place + 1], error_ns)
    return (*found[:-1], msgspec.structs.replace(found[-1], off_ns=off_ns), *eras[place + 1 :])


def read_as(eras: Eras, boot: str, offset_ns: int) -> Eras:
    """Note how the newest era's clock stands beside the machine's own, so that a restart knows whether it was set."""
    if not eras or not boot or (eras[-1].boot and abs(offset_ns - eras[-1].offset_ns) < MOVED_NS_MIN):
        return eras
    return (*eras[:-1], msgspec.structs.replace(eras[-1], boot=boot, offset_ns=offset_ns))


def ended(eras: Eras, until: int) -> Eras:
    """Note what the newest era's clock shows as it ends."""
    return (*eras[:-1], msgspec.structs.replace(eras[-1], until=until)) if eras else eras


def wrong_spans(eras: Eras) -> tuple[Window, ...]:
    """Return when, by the clocks that proved it, the hub's clock was wrong though somebody vouched for it."""
    return tuple(
        Window(WallTime(era.since + era.off_ns), WallTime(era.until + era.off_ns))
        for era in eras
        if era.is_contradicted and 0 < era.since < era.until
    )


def is_torn(eras: Eras, moment: WallTime) -> bool:
    """Say whether something of this moment is of another clock than the doubted one of now: none knows which is right.

    What was received while the earlier one ran was meant by that; what is recorded now has the times of the other.
    """
    if not eras or not eras[-1].is_doubted:
        return False
    spans = [era for era in eras[:-1] if era.source is not TimeSource.NONE and era.since <= moment <= era.until]
    return bool(spans) and all(era.is_contradicted for era in spans)


def era_of(eras: Eras, run: int) -> ClockEra | None:
    """Return the era that a run belongs to; None: it is from before the first."""
    return next((era for era in reversed(eras) if era.first_run <= run), None)


def bounded(eras: Eras, error_ns: int) -> Eras:
    """Say how far off the newest era's times are; beyond what a clock may be trusted with, they are not known."""
    error_ns = error_ns if 0 <= error_ns <= SIGNED_ERROR_NS_MAX else UNKNOWN
    return (*eras[:-1], msgspec.structs.replace(eras[-1], error_ns=error_ns))


def error_of(eras: Eras, run: int) -> int | None:
    """Return how far off the times of a run may be, None if that is not known; 0 before any era was kept."""
    era = era_of(eras, run)
    error_ns = era.error_ns if era else 0
    return None if error_ns == UNKNOWN else error_ns


def encode_eras(eras: Eras) -> str:
    """Write them as JSON."""
    return msgspec.json.encode(eras).decode()


def decode_eras(text: str) -> Eras:
    """Read them back. Raises BadInputError."""
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadInputError("not the eras of a clock") from error
