"""Access units become a map of what depends on what: where copying may begin, and where decoding must.

Rules of this file: nothing is decoded across a loss, and nothing is copied across one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from agent.cut.codec import ParameterSets, PictureForm, PictureKind, Proof
from agent.cut.depacketize import AccessUnit
from agent.errors import BadInputError

_ENTRIES: Final = frozenset({PictureKind.CLOSED, PictureKind.OPEN})  # copying may start here
_LEADING: Final = frozenset({PictureKind.LEADING, PictureKind.SKIPPED})


class CodedSequence(Struct, frozen=True):
    """Pictures from one where copying may begin up to the next such, to a loss, or to other parameter sets."""

    begin: int
    end: int
    is_joined: bool  # it follows the one before without a loss and under the same parameter sets
    leading: frozenset[int]  # its pictures that are shown before its first one


class Tracing(Struct, frozen=True):
    """What depends on what, by index of access units."""

    sets_at: Sequence[ParameterSets]  # the parameter sets in force for each unit
    sequences: Sequence[CodedSequence]  # what may be copied
    decode_from: Mapping[int, int]  # where decoding must start for this unit; missing if it cannot be decoded


class _Start(Struct, frozen=True):
    """A picture that refers to no other."""

    index: int
    proof: Proof | None = None  # what else may be decoded from it; None: all that is shown behind it


def trace(units: Sequence[AccessUnit]) -> Tracing:
    """Find the coded sequences that may be copied, and where each decodable picture's decoding starts."""
    sets_at = _sets_in_force(units)
    is_whole = [not unit.is_torn and form_of(unit, sets) is not None for unit, sets in zip(units, sets_at, strict=True)]
    decode_from = {}
    starts: list[_Start] = []  # where decoding could begin, in the present stretch without a loss
    for index, unit in enumerate(units):
        if unit.is_key or not is_whole[index] or _is_cut(units, index):
            starts = []
        if not is_whole[index]:
            continue
        if unit.kind in _ENTRIES:
            starts.append(_Start(index))
        elif unit.kind is PictureKind.RECOVERY and unit.codec.proof:
            starts = [*_still_needed(starts), _Start(index, unit.codec.proof())]
        proven = {one.index for one in starts if one.proof is None or one.proof.take(unit.nals, sets_at[index])}
        start = _start_for(units, index, [one.index for one in starts if one.index in proven])
        if start is not None:
            decode_from[index] = start
    return Tracing(sets_at, list(_sequences(units, sets_at, is_whole)), decode_from)


def form_of(unit: AccessUnit, sets: ParameterSets) -> PictureForm | None:
    """Return the form of a picture under these sets; None if it, or a slice of it, is not understood."""
    if unit.kind is None:
        return None
    try:
        forms = [unit.codec.form(sets, nal) for nal in unit.slices]
    except BadInputError:
        return None
    return forms[0]


def undecodable(units: Sequence[AccessUnit], start: int, end: int) -> Iterator[int]:
    """Yield the units of `[start, end)` that a decoder which begins at `start` must not be given.

    They refer to what is before the start, and nothing else refers to them.
    """
    entry = start
    for index in range(start, end):
        unit = units[index]
        if unit.kind in _ENTRIES:
            entry = index
        if unit.kind is PictureKind.SKIPPED and entry == start:
            yield index


def _still_needed(starts: Sequence[_Start]) -> list[_Start]:
    """Leave out recovery points but the last: it alone serves the leading pictures of the next one."""
    return [one for one in starts if one.proof is None or one is starts[-1]]


def _start_for(units: Sequence[AccessUnit], index: int, starts: Sequence[int]) -> int | None:
    kind = units[index].kind
    if kind is PictureKind.SKIPPED:  # refers to what is before the picture that it follows
        return starts[-2] if len(starts) > 1 else None
    if kind is PictureKind.LEADING:
        return starts[-1] if starts else None
    return next((start for start in reversed(starts) if units[start].time <= units[index].time), None)


def _is_cut(units: Sequence[AccessUnit], index: int) -> bool:
    """Say whether nothing from here on can be decoded by what was before."""
    before = units[index - 1] if index else None
    return before is None or units[index].is_gap or before.codec is not units[index].codec or before.ends_sequence


def _sets_in_force(units: Sequence[AccessUnit]) -> list[ParameterSets]:
    """Return for each unit the parameter sets known when it is decoded; equal ones are the same object."""
    sets: ParameterSets = {}
    at: list[ParameterSets] = []
    for number, unit in enumerate(units):
        if number and units[number - 1].codec is not unit.codec:
            sets = {}
        try:
            new = unit.codec.parameter_sets(unit.nals)
        except BadInputError:
            new = {}  # whatever needs the broken set is refused where it is used
        if any(sets.get(key) != nal for key, nal in new.items()):
            sets = {**sets, **new}
        at.append(sets)
    return at


def _sequences(
    units: Sequence[AccessUnit], sets_at: Sequence[ParameterSets], is_whole: Sequence[bool]
) -> Iterator[CodedSequence]:
    begin: int | None = None
    is_joined = False
    for index, unit in enumerate(units):
        is_broken = not is_whole[index] or _is_cut(units, index)
        is_changed = begin is not None and sets_at[index] is not sets_at[begin]
        is_entry = is_whole[index] and unit.kind in _ENTRIES
        if not (is_broken or is_changed or is_entry):
            continue
        if begin is not None:
            yield _sequence(units, begin, index, is_joined=is_joined)
        is_joined = begin is not None and not is_broken and not is_changed
        begin = index if is_entry else None
    if begin is not None:
        yield _sequence(units, begin, len(units), is_joined=is_joined)


def _sequence(units: Sequence[AccessUnit], begin: int, end: int, *, is_joined: bool) -> CodedSequence:
    leading = frozenset(index for index in range(begin, end) if units[index].kind in _LEADING)
    return CodedSequence(begin, end, is_joined, leading)
