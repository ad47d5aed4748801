"""Which pictures behind a recovery point are proven to need nothing before it: streams written bit by bit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agent.cut.bits import se_code, ue_code, with_trailing_bits
from agent.cut.h264 import NalType, parameter_sets
from agent.cut.h264_references import ReferenceProof
from agent.cut.h264_slice import SliceKind, read_slice
from agent.errors import BadInputError

KINDS = {"P": 0, "B": 1, "I": 2}


def sets_of(references: int, order_type: int = 0) -> dict[tuple[int, int], bytes]:
    """Write parameter sets of CAVLC, 4 bits of frame numbers and 8 of order."""
    codes = [0, 0, order_type, *([4] if order_type == 0 else []), references]
    sps = "".join(map(ue_code, codes)) + "0" + ue_code(3) + ue_code(3) + "1100"
    pps = ue_code(0) + ue_code(0) + "00" + ue_code(0) * 3 + "000" + se_code(0) * 3 + "000"
    return parameter_sets([b"\x67\x42\x00\x1e" + with_trailing_bits(sps), b"\x68" + with_trailing_bits(pps)])


@dataclass(frozen=True)
class Picture:
    """A picture of one slice."""

    kind: str
    number: int
    order: int
    active: tuple[int, ...] = (1, 1)
    changes: tuple[tuple[tuple[int, int], ...], ...] = ((), ())
    marks: tuple[tuple[int, ...], ...] | None = None
    is_reference: bool = True

    def nal(self, order_type: int = 0) -> bytes:
        """Write it, with a few bits of picture behind the header."""
        bits = ue_code(0) + ue_code(KINDS[self.kind]) + ue_code(0) + format(self.number % 16, "04b")
        bits += format(self.order, "08b") if order_type == 0 else ""
        bits += "1" if self.kind == "B" else ""
        lists = {"P": 1, "B": 2, "I": 0}[self.kind]
        bits += ("1" + "".join(ue_code(count - 1) for count in self.active[:lists])) if lists else ""
        for changes in self.changes[:lists]:
            codes = "".join(ue_code(number) for change in changes for number in change)
            bits += f"1{codes}{ue_code(3)}" if changes else "0"
        if self.is_reference:
            codes = "".join(ue_code(number) for mark in self.marks or () for number in mark)
            bits += "0" if self.marks is None else f"1{codes}{ue_code(0)}"
        return bytes([0x41 if self.is_reference else 0x01]) + with_trailing_bits(bits + se_code(0) + "1011")


START = Picture("I", 6, 40)
P7 = Picture("P", 7, 48)
P8 = Picture("P", 8, 56)


def proven(*pictures: Picture, references: int = 4, order_type: int = 0) -> list[bool]:
    """Take a recovery point and these pictures; say which of these are proven."""
    proof, sets = ReferenceProof(), sets_of(references, order_type)
    return [proof.take([picture.nal(order_type)], sets) for picture in (START, *pictures)][1:]


def two(first: Picture) -> Picture:
    """Let a picture use two references of its first list."""
    return Picture(first.kind, first.number, first.order, (2, 1), first.changes, first.marks, first.is_reference)


B7 = Picture("B", 8, 44, is_reference=False)  # between START and P7
EARLY = Picture("B", 7, 36)  # shown before START, a reference
RELEASING = Picture("I", 8, 48, marks=((1, 0),))
STREAMS = [
    ("one reference each", (P7, P8), [True, True]),
    ("two references, one of them older", (two(P7), P8), [False, False]),
    ("two references, both here", (P7, two(P8)), [True, True]),
    ("the second of two by name", (P7, Picture("P", 8, 56, (1,), (((0, 1),),))), [True, True]),
    ("an older one by name", (P7, Picture("P", 8, 56, (1,), (((0, 2),),))), [True, False]),
    ("the same one twice by name", (P7, Picture("P", 8, 56, (2,), (((0, 0), (0, 15)),))), [True, True]),
    ("between two", (P7, B7), [True, True]),
    ("between two, two backwards", (P7, Picture("B", 8, 44, (1, 2), is_reference=False)), [True, True]),
    ("between two, two forwards", (P7, two(B7)), [True, False]),
    ("before the start", (EARLY, Picture("P", 8, 48)), [False, False]),
    ("behind one before the start, by name", (EARLY, Picture("P", 8, 48, (1,), (((0, 1),),))), [False, True]),
    ("behind one that was released", (EARLY, RELEASING, two(Picture("P", 9, 56))), [False, True, True]),
    ("only earlier ones, in an exchanged list", (Picture("B", 7, 48),), [False]),
    ("the same with two of them", (P7, Picture("B", 8, 56, (2, 2))), [True, False]),
    ("a gap in numbers", (P7, Picture("P", 9, 56), Picture("P", 10, 64)), [True, False, False]),
    ("a long-term reference", (Picture("P", 7, 48, marks=((6, 0),)), P8), [False, False]),
    ("no long-term references any more", (Picture("P", 7, 48, marks=((4, 0),)), P8), [True, True]),
    ("an older one is released", (Picture("P", 7, 48, marks=((1, 3),)), P8), [True, True]),
    ("the start is released", (Picture("P", 7, 48, marks=((1, 0),)), P8, two(Picture("P", 9, 64))), [True, True, True]),
    ("the only one is released", (Picture("P", 7, 48, marks=((1, 0),)), two(P8)), [True, False]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pictures", "expected"), [stream[1:] for stream in STREAMS], ids=[name for name, *_ in STREAMS]
)
def test_what_may_refer_to_older_pictures_is_not_proven(pictures: tuple[Picture, ...], expected: list[bool]) -> None:
    """Nor is what refers to it."""
    assert proven(*pictures) == expected


def test_when_all_room_is_taken_no_older_picture_is_left() -> None:
    """With two references there can be no third; then lists are known to their ends."""
    assert proven(P7, two(B7), references=4) == [True, False]
    assert proven(P7, two(B7), references=2) == [True, True]
    assert proven(P7, P8, two(Picture("P", 9, 64)), references=1) == [True, True, False]


def test_orders_go_on_when_their_numbers_begin_anew() -> None:
    """Of 8 bits of order and 4 of frame numbers, a minute has many rounds."""
    stream = [Picture("P", 7 + n, (48 + 8 * n) % 256) for n in range(40)]
    between = Picture("B", 47, (40 + 8 * 39) % 256, is_reference=False)
    assert proven(*stream, between) == [True] * 41
    assert proven(*stream, Picture("B", 47, (40 + 8 * 36) % 256, (2, 1), is_reference=False)) == [True] * 41


def test_pictures_without_an_order_of_their_own_are_shown_as_sent() -> None:
    """So a B picture there would be something new; it ends the proof."""
    assert proven(P7, P8, order_type=2) == [True, True]
    assert proven(P7, Picture("B", 8, 0), P8, order_type=2) == [True, False, False]


def test_a_start_must_refer_to_nothing() -> None:
    """Whatever the camera promises about it."""
    proof, sets = ReferenceProof(), sets_of(4)
    assert not proof.take([P7.nal()], sets)
    assert not proof.take([START.nal()], sets)


def test_a_decoder_is_told_to_hold_what_the_proof_holds() -> None:
    """It forgets what it invented, gets the start for each early reference, and releases nothing that it never had."""
    proof, sets = ReferenceProof(), sets_of(4)
    early_b = Picture("B", 8, 38, is_reference=False)
    late = Picture("P", 8, 48, (1,), (((0, 1),),), marks=((1, 3), (1, 0)))
    given = [proof.adapt([picture.nal()], sets) for picture in (START, EARLY, early_b, late)]
    start, instead, nothing, behind = [[read_slice(nal, sets) for nal in nals] for nals in given]
    assert [one.marks for one in start] == [((1, 0), (1, 1), (1, 2), (1, 3))]
    assert [(one.kind, one.frame_number, one.order_low, one.marks) for one in instead] == [(SliceKind.I, 7, 36, None)]
    assert nothing == []
    assert [(one.kind, one.changes[0], one.marks) for one in behind] == [(SliceKind.P, ((0, 1),), ((1, 0),))]
    with pytest.raises(BadInputError, match="nothing is proven"):
        proof.adapt([Picture("P", 3, 60).nal()], sets)


def test_new_parameter_sets_end_the_proof() -> None:
    """What was read under the old ones says nothing about pictures under others."""
    proof, sets = ReferenceProof(), sets_of(4)
    assert proof.take([START.nal()], sets)
    assert proof.take([P7.nal()], dict(sets))
    assert not proof.take([P8.nal()], {**sets, (NalType.SPS, 1): b"\x67"})
