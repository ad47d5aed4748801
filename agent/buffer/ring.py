"""The ring's index: which chunks there are, which of them hold a window, and what must go first."""

from __future__ import annotations

from dataclasses import dataclass

from agent.buffer.chunk import StoredChunk
from agent.clock import WallTime


@dataclass(frozen=True, slots=True)
class Footage:
    """What the ring has for one camera and window.

    `chunks` are media chunks in the order they were recorded, from the last key chunk at or before the window's start
    (if there is one) to the first that lies wholly behind its end. Their anchors are resolved: the best mapping known
    for the run at that place. `headers` has one stream chunk for each run in `chunks`.
    """

    headers: tuple[StoredChunk, ...]
    chunks: tuple[StoredChunk, ...]
    newest_picture: WallTime | None  # hub time of the newest committed picture of this camera, None if there is none
