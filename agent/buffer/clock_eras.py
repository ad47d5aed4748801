"""Which runs were recorded under which of the hub's clocks, and how far off their times may be for that.

Run numbers rise over everything (`acquire.reader.RunNumbers`), so an era is where one begins. A chunk's times stay as
they were recorded; what an era adds is a bound, or that nothing is known.

Rules of this file: values only; what is joined for room is as bad as the worst of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from agent.clock import SIGNED_ERROR_NS_MAX, TimeSource
from agent.errors import BadInputError

ERAS_MAX: Final = 256
UNKNOWN: Final = -1


class ClockEra(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From the run `first_run` on, until the next era."""

    first_run: Annotated[int, msgspec.Meta(ge=0)]
    source: TimeSource
    error_ns: int = 0  # of every time in it, beside the bound against the hub's clock; `UNKNOWN`


class ClockChange(NamedTuple):
    """The recorder goes by another clock from a run on."""

    number: int  # counts from 1
    first_run: int
    source: TimeSource


Eras = tuple[ClockEra, ...]
_DECODER: Final = msgspec.json.Decoder(Eras)


def begun(eras: Eras, first_run: int, source: TimeSource) -> Eras:
    """Add an era; one in which no run was recorded gives way."""
    kept = tuple(era for era in eras if era.first_run < first_run)
    if kept and kept[-1].source is source and kept[-1].error_ns == 0:
        return kept
    new = (*kept, ClockEra(first_run, source, UNKNOWN if source is TimeSource.NONE else 0))
    while len(new) > ERAS_MAX:
        first, second, *rest = new
        worse = UNKNOWN if UNKNOWN in {first.error_ns, second.error_ns} else max(first.error_ns, second.error_ns)
        new = (ClockEra(first.first_run, first.source, worse), *rest)
    return new


def bounded(eras: Eras, error_ns: int) -> Eras:
    """Say how far off the newest era's times are; beyond what a clock may be trusted with, they are not known."""
    error_ns = error_ns if 0 <= error_ns <= SIGNED_ERROR_NS_MAX else UNKNOWN
    return (*eras[:-1], msgspec.structs.replace(eras[-1], error_ns=error_ns))


def error_of(eras: Sequence[ClockEra], run: int) -> int | None:
    """Return how far off the times of a run may be, None if that is not known; 0 before any era was kept."""
    error_ns = next((era.error_ns for era in reversed(eras) if era.first_run <= run), 0)
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
