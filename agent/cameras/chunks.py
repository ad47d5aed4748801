"""One camera's spans to chunks in the ring, held back in memory while nobody knows whose they are.

Rules of this file: what is held reaches the ring in order and before anything newer, or never; a ring that cannot take
a chunk costs chunks, never the session.
"""

from __future__ import annotations

from agent.acquire.reader import Recorded
from agent.acquire.stream import StreamHeader
from agent.buffer.chunk import ChunkKind
from agent.buffer.chunking import Chunking
from agent.buffer.held_chunks import HeldChunks
from agent.cameras.figures import CameraFigures
from agent.errors import UnavailableError
from agent.ports import ChunkSink


class CameraChunks:
    """Stores what one camera sends, and counts it. `store` and `let_go` raise UnavailableError if the ring cannot."""

    def __init__(self, figures: CameraFigures) -> None:
        self._figures = figures
        self._chunking = Chunking()
        self._held: HeldChunks | None = None

    @property
    def is_held(self) -> bool:
        """Whether what comes is held back."""
        return self._held is not None

    @property
    def is_full(self) -> bool:
        """Whether so much is held back that no more should be read."""
        return self._held is not None and self._held.is_full

    def begin(self, header: StreamHeader) -> None:
        """Begin a run."""
        self._chunking.begin(header)
        self._figures.runs += 1

    def hold(self) -> None:
        """Hold back what comes from now on."""
        self._held = HeldChunks()

    def drop(self) -> None:
        """Forget what is held, and hold nothing back any more."""
        self._held = None

    def begin_anew(self) -> None:
        """Forget what is held; what comes is held back as before."""
        self._held = HeldChunks() if self._held is not None else None

    def store(self, recorded: Recorded, sink: ChunkSink) -> bool:
        """Take one span; say whether it is in the ring now."""
        if self._held is not None:
            for meta, payload in self._chunking.chunks(recorded):
                self._held.append(meta, payload)
            return False
        try:
            for meta, payload in self._chunking.chunks(recorded):
                sink.append(meta, payload)
        except UnavailableError:
            self._figures.chunks_lost += 1
            raise
        self._figures.stored(meta)
        return True

    def let_go(self, sink: ChunkSink) -> bool:
        """Store what was held; say whether that was anything. After an error the run needs another header: end it."""
        chunks = [] if self._held is None else self._held.take()
        self._held = None
        for number, (meta, payload) in enumerate(chunks):
            try:
                sink.append(meta, payload)
            except UnavailableError:
                self._figures.chunks_lost += len(chunks) - number
                raise
            if meta.kind is ChunkKind.MEDIA:
                self._figures.stored(meta)
        return bool(chunks)
