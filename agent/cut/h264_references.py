"""Pictures of H.264 from a recovery point on become a proof for each that it refers to nothing before that point.

A recovery point is only the camera's promise, and a decoder that misses a reference takes another picture instead and
says nothing. So the reference lists of every slice are built here as the decoder builds them (H.264 8.2.4, 8.2.5).

Rules of this file:
- Not all references of the recovery point's own past are known; wherever one of them could stand in a list, it does.
- What is not understood ends the proof: long-term references, gaps in frame numbers, a new SPS.
- A picture is sound if every entry of its lists that it may use is sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from agent.cut.codec import ParameterSets
from agent.cut.h264 import Sps, is_slice
from agent.cut.h264_slice import Marks, SliceHeader, SliceKind, in_place_of, read_slice, with_marks
from agent.errors import BadInputError

_SUBTRACT, _ADD = 0, 1  # operations on a list, with the distance between picture numbers less 1 (table 7-7)
_RELEASE: Final = 1  # operations on the memory (table 7-9): a picture is no longer a reference
_NO_LONG_TERM: Final = (4, 0)  # no long-term references from here on


class _Held(Struct, frozen=True):
    """A picture that the decoder holds as a reference."""

    frame_number: int
    order: int  # in which it is shown
    is_sound: bool


_UNKNOWN: Final = None  # a reference from before the recovery point
_List = list[_Held | None]


class ReferenceProof(Struct):
    """What a decoder holds that began at a recovery point, picture by picture in decode order."""

    _held: list[_Held] = field(default_factory=list)  # in decode order
    _has_older: bool = True  # the camera's own decoder may hold pictures from before
    _sps: Sps | None = None
    _is_over: bool = False
    _reference: int = 0  # frame number of the last reference
    _order: tuple[int, int] = (0, 0)  # most and least significant part of the last reference's order (8.2.1.1)
    _numbers: tuple[int, int] = (0, 0)  # last frame number and what was added to it (8.2.1.2)
    _sets: ParameterSets = field(default_factory=dict)
    _first: tuple[tuple[bytes, SliceHeader], ...] = ()  # slices of the first picture taken
    _released: Marks = ()  # the last picture's operations on what is held here

    def adapt(self, nals: Sequence[bytes], sets: ParameterSets) -> tuple[bytes, ...]:
        """Take the next picture, and return what a decoder that began at the first must get to hold what is held here.

        Nothing if no other picture refers to it and it is not proven. Raises BadInputError once nothing is proven.
        """
        is_first = self._sps is None
        is_sound = self.take(nals, sets)
        if self._is_over:
            raise BadInputError("pictures of which nothing is proven")
        slices = [(nal, read_slice(nal, sets)) for nal in nals if is_slice(nal)]
        header = slices[0][1]
        if is_first:
            self._first = tuple(slices)
            return *(nal for nal in nals if not is_slice(nal)), *(
                with_marks(*one, _forgotten(one[1])) for one in slices
            )
        if not is_sound and header.is_reference:
            return tuple(in_place_of(*one, header, self._released) for one in self._first)
        if not is_sound or header.marks in (None, self._released):
            return tuple(nals) if is_sound else ()
        return tuple(with_marks(*one, self._released) for one in slices)

    def take(self, nals: Sequence[bytes], sets: ParameterSets) -> bool:
        """Say whether this picture, the next in decode order, is proven to need nothing from before the first taken."""
        if self._is_over:
            return False
        try:
            return self._take([read_slice(nal, sets) for nal in nals if is_slice(nal)], sets)
        except BadInputError:
            self._is_over = True
            return False

    def _take(self, slices: Sequence[SliceHeader], sets: ParameterSets) -> bool:
        first = slices[0]
        if self._sps is None:
            self._sets = sets
            if any(one.kind is not SliceKind.I for one in slices) or not first.is_reference:
                raise BadInputError("a start that refers to others")
            self._sps, self._order = first.sps, (0, first.order_low)
        elif first.frame_number != (self._reference + 1) % self._numbers_max:
            raise BadInputError("a gap in frame numbers")
        if sets is not self._sets and sets != self._sets:
            raise BadInputError("new parameter sets")
        if any(_of_picture(one) != _of_picture(first) for one in slices):
            raise BadInputError("slices that do not belong together")
        order = self._next_order(first)
        is_sound = all(self._is_sound(one, order) for one in slices)
        if first.is_reference:
            self._keep(first, _Held(first.frame_number, order, is_sound))
        return is_sound

    @property
    def _numbers_max(self) -> int:
        return 1 << self._sps.frame_number_bits if self._sps else 1

    @property
    def _held_max(self) -> int:
        return max(self._sps.references_max, 1) if self._sps else 1

    def _next_order(self, header: SliceHeader) -> int:
        """Return when the picture is shown, counted from the first one taken (H.264 8.2.1)."""
        if header.sps.order_type:
            before, offset = self._numbers
            offset += self._numbers_max if header.frame_number < before else 0
            self._numbers = header.frame_number, offset
            return 2 * (offset + header.frame_number) - (not header.is_reference)
        (high, low), half = self._order, 1 << header.sps.order_bits - 1
        if header.order_low < low and low - header.order_low >= half:
            high += 2 * half
        elif header.order_low > low and header.order_low - low > half:
            high -= 2 * half
        if header.is_reference:
            self._order = high, header.order_low
        return high + header.order_low + min(header.order_bottom, 0)

    def _is_sound(self, header: SliceHeader, order: int) -> bool:
        if header.kind is SliceKind.I:
            return True
        lists = self._initial_b(order) if header.kind is SliceKind.B else (self._initial_p(), [])
        for initial, active, changes in zip(lists, header.active, header.changes, strict=True):
            used = self._changed(initial, changes, header.frame_number)[:active]
            if len(used) < active or not all(one is not _UNKNOWN and one.is_sound for one in used):
                return False
        return True

    def _initial_p(self) -> _List:
        """List references from the newest on; those from before the first one taken are older (H.264 8.2.4.2.1)."""
        return [*reversed(self._held), *self._older()]

    def _initial_b(self, order: int) -> tuple[_List, _List]:
        """List references by how far they are in order; older ones are shown earlier, too (H.264 8.2.4.2.3)."""
        earlier = sorted((one for one in self._held if one.order < order), key=lambda one: -one.order)
        later = sorted((one for one in self._held if one.order > order), key=lambda one: one.order)
        forward: _List = [*earlier, *self._older(), *later]
        backward: _List = [*later, *earlier, *self._older()]
        if not earlier or not later:  # the lists may be the same; then the second one's first two change places
            backward[:2] = [_UNKNOWN] * 2 if self._has_older else backward[1::-1]
        return forward, backward

    def _older(self) -> _List:
        """Stand for references from before the first one taken: there may be some, or none."""
        return [_UNKNOWN] * self._held_max if self._has_older else []

    def _changed(self, initial: _List, changes: Sequence[tuple[int, int]], frame_number: int) -> _List:
        """Move references to the front as a slice says (H.264 8.2.4.3.1)."""
        entries, predicted = list(initial), frame_number
        for place, (operation, distance) in enumerate(changes):
            if operation not in (_SUBTRACT, _ADD):
                raise BadInputError("long-term references")
            predicted += distance + 1 if operation == _ADD else -distance - 1
            wanted = self._find(predicted % self._numbers_max)
            rest = entries[place:]
            if wanted is not _UNKNOWN:
                rest = [one for one in rest if one is not wanted]
            entries = [*entries[:place], wanted, *rest]
        return entries

    def _find(self, frame_number: int) -> _Held | None:
        return next((one for one in self._held if one.frame_number == frame_number), _UNKNOWN)

    def _keep(self, header: SliceHeader, picture: _Held) -> None:
        """Make room as the slice says, or by the oldest, and keep the picture (H.264 8.2.5)."""
        if header.marks is None and len(self._held) >= self._held_max:
            del self._held[0]
        self._released = ()
        for mark in header.marks or ():
            if mark[0] == _RELEASE:
                released = self._find((header.frame_number - mark[1] - 1) % self._numbers_max)
                if released is _UNKNOWN:
                    continue
                self._held.remove(released)
            elif mark != _NO_LONG_TERM:
                raise BadInputError("long-term references")
            self._released = (*self._released, mark)
        self._held.append(picture)
        self._reference = header.frame_number
        if len(self._held) > self._held_max:
            raise BadInputError("more references than there may be")
        self._has_older = self._has_older and len(self._held) < self._held_max


def _of_picture(header: SliceHeader) -> tuple[object, ...]:
    """Return what all slices of a picture share."""
    return header.sps, header.is_reference, header.frame_number, header.order_low, header.order_bottom, header.marks


def _forgotten(header: SliceHeader) -> Marks:
    """Release what libav invents before its first picture: one for each number before its own, if there is room."""
    return tuple((_RELEASE, distance) for distance in range(min(header.frame_number, header.sps.references_max)))
