"""How far opening is, for whoever watches."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], object]
"""Told after each step how many bytes of how many are done; each part is read twice, once to check, once to open."""


class Meter:
    """Counts bytes against a total that is known before."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, size: int) -> None:
        """Count bytes that are done."""
        self._done += size
        self._progress(min(self._done, self._total), self._total)

    def finish(self) -> None:
        """Say that nothing is left to do."""
        self._progress(self._total, self._total)
