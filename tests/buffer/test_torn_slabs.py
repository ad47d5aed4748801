"""Slabs that the real writer made, torn in a hundred ways: exactly the chunks whose bytes are whole are found.

`./bench torn` does the same a thousand times.
"""

from __future__ import annotations

from random import Random

import pytest

from agent.buffer.slab import BLOCK_BYTES, Lane
from tests.bench.torn import DAMAGES, Torn, case, judge
from tests.simulators.ring_image import RingImage, check_image, make_ring


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> RingImage:
    """Return a ring after laps, restarts and a crash."""
    return make_ring(tmp_path_factory.mktemp("ring"), 5)


def test_the_ring_is_what_the_others_think_it_is(image: RingImage) -> None:
    """Left and open slabs, both lanes, several sessions in a slab, stale bytes of an earlier lap."""
    check_image(image)
    assert {slab.header.lane for slab in image.slabs} == set(Lane)
    assert {slab.index is None for slab in image.slabs} == {True, False}
    assert any(len({chunk.key[1] for chunk in slab.chunks}) > 1 for slab in image.slabs)
    assert any(slab.stale[:BLOCK_BYTES] != slab.raw[:BLOCK_BYTES] for slab in image.slabs)
    whole = judge(Torn(image), "none")
    assert whole.is_exact
    assert whole.found == whole.written


@pytest.mark.parametrize("number", range(100))
def test_exactly_the_valid_chunks_are_found(image: RingImage, number: int) -> None:
    """None that is whole is missed, none that nobody wrote is invented, and none that was found is written over."""
    verdict = case(image, Random(number))  # noqa: S311 - repeatable damage
    assert verdict.is_exact, verdict


@pytest.mark.parametrize("kind", sorted(DAMAGES))
def test_each_kind_of_damage_changes_bytes(image: RingImage, kind: str) -> None:
    """A damage that does none would prove nothing."""
    slot = next(at for at, slab in enumerate(image.slabs) if (slab.index is None) == (kind == "torn tail"))
    changed = 0
    for number in range(5):
        torn = Torn(image)
        DAMAGES[kind](torn, slot, Random(number))  # noqa: S311 - repeatable damage
        changed += torn.raws[slot] != image.slabs[slot].raw
    assert changed > 1


def test_every_case_is_another_one(image: RingImage) -> None:
    """The same seed tears in the same way, another number in another."""
    one, again, other = (case(image, Random(number)) for number in (1, 1, 2))  # noqa: S311 - repeatable damage
    assert one == again
    assert one != other
