"""The bench of stated times: it counts what is outside a bound, and nothing is."""

from __future__ import annotations

from tests.bench.clocks import NETWORKS, drawn


def test_drawn_hours_are_told_with_their_errors_and_bounds() -> None:
    """A quarter of an hour on a network with some jitter: the error is under the bound, and both are milliseconds."""
    what, camera = NETWORKS[1]
    row = drawn(what, camera, 0.25)
    assert (row.what, row.outside) == (what, 0)
    assert row.pictures > 1500
    assert 0 < row.error_max < row.bound_median <= row.bound_max < 150
