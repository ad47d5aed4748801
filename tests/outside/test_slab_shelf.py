"""What the ring has, for the writer and any reader at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.buffer.chunk import StoredChunk
from agent.buffer.slab import Lane, SlabHeader, wrap_key
from agent.errors import UnavailableError
from agent.outside.slab_shelf import OPENERS_MAX, SlabShelf
from tests.simulators.ring_content import CAMERA, START, media, stream
from tests.simulators.ring_log import EVERYTHING, KEK
from tests.vectors.buffer.make import DATA_KEY, slab_header


def header(number: int) -> SlabHeader:
    """Return the header of a slab."""
    blank = replace(slab_header(), number=number, id=number, created=START, lane=Lane.SHARED)
    return wrap_key(blank, DATA_KEY, KEK, bytes(12))


def filled(numbers: range) -> SlabShelf:
    """Return a shelf with slabs in the slots of ten times their numbers, a chunk in each."""
    shelf = SlabShelf(KEK)
    for number in numbers:
        shelf.put(10 * number, header(number))
        shelf.publish(
            [StoredChunk(stream()[0], number, 4096, 300), StoredChunk(media(number), number, 4396, 20_176)],
        )
    return shelf


def test_a_slab_is_found_until_it_is_forgotten() -> None:
    """Its chunks go first, at once, for everybody."""
    shelf = filled(range(1, 4))
    assert [chunk.meta.sequence for chunk in shelf.footage(CAMERA, EVERYTHING).chunks] == [1, 2, 3]
    assert shelf.slot(2) == 20
    shelf.forget(20)
    shelf.forget(20)
    assert [chunk.meta.sequence for chunk in shelf.footage(CAMERA, EVERYTHING).chunks] == [1, 3]
    assert sorted(shelf.headers()) == [10, 30]
    with pytest.raises(UnavailableError, match="left the ring"):
        shelf.opener(2)
    assert shelf.usage()[CAMERA].bytes == 2 * 20_476
    assert [span.camera for span in shelf.spans()] == [CAMERA]
    assert shelf.last_run == 1


def test_a_slot_with_another_slab_opens_the_other_one_only() -> None:
    """Keys that are kept for the next read are never those of a slab that has left."""
    shelf = filled(range(1, 3))
    old = shelf.opener(1)[1]
    shelf.forget(10)
    shelf.put(10, header(9))
    slot, opener = shelf.opener(9)
    assert slot == 10
    assert opener is not old
    with pytest.raises(UnavailableError):
        shelf.opener(1)


def test_only_some_keys_are_kept() -> None:
    """The newest used ones."""
    shelf = filled(range(1, OPENERS_MAX + 3))
    first = shelf.opener(1)[1]
    for number in range(2, OPENERS_MAX + 1):
        shelf.opener(number)
    assert shelf.opener(1)[1] is first
    shelf.opener(OPENERS_MAX + 1)
    shelf.opener(OPENERS_MAX + 2)
    assert shelf.opener(1)[1] is first
    second = shelf.opener(2)[1]
    assert shelf.opener(2)[1] is second


def test_numbers_rise() -> None:
    """Also from one attempt to the next."""
    shelf = SlabShelf(KEK)
    assert [shelf.take_number(), shelf.take_number()] == [1, 2]


def test_an_empty_slab_is_as_old_as_its_making() -> None:
    """It can expire too."""
    shelf = filled(range(1, 2))
    shelf.put(7, header(5))
    assert shelf.newest_arrivals() == {1: media(1).last_arrival, 5: START}
    assert [(use.number, use.is_open) for use in shelf.uses({7})] == [(1, False), (5, True)]
