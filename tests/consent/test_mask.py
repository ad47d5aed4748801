"""Several words about one camera become one: the stricter."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.consent.mask import SIDE_UNITS, join_masks

UNITS = st.integers(0, SIDE_UNITS)
MASKS = st.lists(st.lists(st.tuples(UNITS, UNITS), min_size=3, max_size=4).map(tuple), max_size=4).map(tuple)


@given(MASKS, MASKS, MASKS)
def test_joined_masks_hold_every_polygon_whatever_the_order(first: tuple, second: tuple, third: tuple) -> None:  # type: ignore[type-arg]  # drawn
    """None is lost, none is doubled, and the order of the words makes no other picture."""
    joined = join_masks(first, second, third)
    assert set(joined) == {*first, *second, *third}
    assert len(joined) == len(set(joined))
    assert joined == join_masks(third, join_masks(second, first))
    assert join_masks(joined) == joined
