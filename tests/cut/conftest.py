"""Says at the end of a run how many cells of the cut's matrix were proven in it."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests of the matrix recorded, on whatever worker they ran."""
    passed = terminalreporter.getreports("passed")
    cells = sum(int(str(count)) for report in passed for name, count in report.user_properties if name == "cut_cells")
    if cells:
        terminalreporter.write_line(f"cut matrix: {cells} cells, each proven picture by picture and byte by byte")
