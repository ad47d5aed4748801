"""A hundred hostile and odd answers: every good camera is found, nothing hangs, grows or raises a foreign error.

`./bench hostile` measures as many as one likes.
"""

from __future__ import annotations

from tests.bench.hostile import measure_hostile
from tests.simulators.hostile_network import LATE_S_MAX, Figures

MEMORY_MORE_MAX = 24 * 1024 * 1024  # one answer may have 4 MiB, and 16 are read at once


def test_a_hostile_network_hides_no_camera_and_costs_little() -> None:
    """Fuzzed and malformed datagrams and SOAP, entities, bombs, drips, 100 MB, redirects; in a process of its own."""
    figures = Figures(**measure_hostile(100))  # type: ignore[arg-type] - whole numbers are written as such
    assert (figures.good_found, figures.good_examined) == (figures.good, figures.good)
    assert figures.foreign_errors == 0
    assert figures.late_s_max < LATE_S_MAX
    assert figures.memory_after - figures.memory_before < MEMORY_MORE_MAX
