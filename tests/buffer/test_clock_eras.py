"""Which run belongs to which clock, and what its times are worth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.buffer.clock_eras import ERAS_MAX, UNKNOWN, Eras, begun, bounded, decode_eras, encode_eras, error_of
from agent.clock import SIGNED_ERROR_NS_MAX, TimeSource
from agent.errors import BadInputError

MS = 1_000_000


def test_a_run_is_as_good_as_the_clock_it_began_under() -> None:
    """Before any era nothing was noted, and nothing is said; then the era it lies in decides."""
    eras = begun(begun(begun((), 10, TimeSource.NONE), 20, TimeSource.SIGNED), 30, TimeSource.NETWORK)
    eras = (eras[0], *bounded(eras[1:2], 40 * MS), eras[2])
    assert [error_of(eras, run) for run in (9, 10, 19, 20, 29, 30, 99)] == [0, None, None, 40 * MS, 40 * MS, 0, 0]


def test_an_era_without_a_run_gives_way() -> None:
    """The clock changed twice before anything was recorded under it."""
    eras = begun(begun((), 10, TimeSource.NONE), 10, TimeSource.NETWORK)
    assert error_of(eras, 10) == 0
    assert len(eras) == 1


def test_starts_under_a_good_clock_are_one_era() -> None:
    """A hub that starts every day needs no room for it."""
    eras: Eras = ()
    for run in range(1000):
        eras = begun(eras, run, TimeSource.NETWORK)
    assert len(eras) == 1


def test_what_is_further_off_than_a_clock_may_be_is_not_known() -> None:
    """Up to the limit it is a bound."""
    eras = begun((), 1, TimeSource.NONE)
    assert error_of(bounded(eras, SIGNED_ERROR_NS_MAX), 1) == SIGNED_ERROR_NS_MAX
    assert error_of(bounded(eras, SIGNED_ERROR_NS_MAX + 1), 1) is None


@given(st.lists(st.tuples(st.sampled_from(TimeSource), st.booleans()), max_size=2 * ERAS_MAX))
def test_what_is_joined_for_room_is_never_said_to_be_better(history: list[tuple[TimeSource, bool]]) -> None:
    """Whatever a hub's clock went through: of each run the bound that is kept is no less than the one it had."""
    eras: Eras = ()
    true: dict[int, int | None] = {}
    for run, (source, is_found) in enumerate(history):
        eras = begun(eras, run, source)
        if is_found and source is not TimeSource.NETWORK:
            eras = bounded(eras, run * MS)
        true[run] = error_of(eras, run)
    assert len(eras) <= ERAS_MAX
    for run, error_ns in true.items():
        kept = error_of(eras, run)
        assert kept is None or (error_ns is not None and kept >= error_ns)


def test_they_can_be_read_back() -> None:
    """And what is none is refused."""
    eras = begun(begun((), 10, TimeSource.NONE), 20, TimeSource.SIGNED)
    assert decode_eras(encode_eras(eras)) == eras
    assert eras[0].error_ns == UNKNOWN
    for text in ("", "{}", '[{"first_run":-1,"source":"none"}]', '[{"first_run":1,"source":"sundial"}]'):
        with pytest.raises(BadInputError):
            decode_eras(text)
