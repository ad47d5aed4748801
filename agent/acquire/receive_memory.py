"""Where received bytes lie while they are read and sealed: one piece of memory for all cameras of a thread.

It is as large for sixty cameras as for one, and what a camera's bytes are read into is still in the processor's cache
from the camera before.

Rules of this file: one borrower at a time; whoever has it keeps a copy of what it still needs before the next one gets
it. Nothing here knows what the bytes mean.
"""

from __future__ import annotations

from mmap import MAP_PRIVATE, mmap
from typing import Protocol


class Borrower(Protocol):
    """Somebody who reads bytes in this memory."""

    def put_aside(self) -> None:
        """Copy what is still needed: another one has the memory from now on."""


class ReceiveMemory:
    """`octets`, and a `view` of its first `size` bytes; the `margin` behind these may be read but never believed."""

    def __init__(self, size: int, margin: int) -> None:
        # Its pages take no memory before bytes reach them.
        self.octets = mmap(-1, size + margin, flags=MAP_PRIVATE)
        self.view = memoryview(self.octets)[:size]
        self._borrower: Borrower | None = None

    def lend(self, borrower: Borrower) -> bool:
        """Give the memory to `borrower`; return whether another one had it since, so that nothing of it is left."""
        last = self._borrower
        if last is borrower:
            return False
        if last is not None:
            last.put_aside()
        self._borrower = borrower
        return True
