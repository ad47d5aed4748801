"""A start from nothing, with few cameras: all are recorded, well within the bars for sixteen."""

from __future__ import annotations

from tests.bench.cold import COLD_CPU_S_MAX, COLD_S_MAX, measure_cold_start


def test_a_hub_that_knows_no_camera_records_all_within_seconds() -> None:
    """Search, logins, clocks, profiles, sessions and key pictures of four cameras."""
    start = measure_cold_start(4)
    assert start.cameras == 4
    assert 1 < start.seconds < COLD_S_MAX
    assert 0 < start.cpu_s < COLD_CPU_S_MAX
