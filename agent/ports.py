"""The whole conversation between the stories and the world, on one page.

Each protocol is implemented once in `outside/`; simulators and tests implement the far side of the wire, not these.
Errors: `BadInputError` (the bytes lie), `UnavailableError` (try later), anything else is a bug.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkMeta, StoredChunk
from agent.buffer.ring import Footage
from agent.clock import Window
from agent.command.request import UploadTarget
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.deliver.part import SealedPart

Wire = bytes | bytearray | memoryview


class ChunkSink(Protocol):
    """Where the recorder puts chunks; both calls come from the recorder's thread and never wait for a disk."""

    def append(self, meta: ChunkMeta, payload: Wire) -> None:
        """Take one chunk into the batch in memory; copies `payload`."""

    def commit(self) -> None:
        """Hand the batch to the writer thread: one write, one sync; then the index names its chunks."""


class ChunkLog(ChunkSink, Protocol):
    """The encrypted ring on disk; these calls come from any thread."""

    def footage(self, camera: CameraId, window: Window) -> Footage:
        """Return what is committed for a window."""

    def read(self, chunk: StoredChunk) -> bytes:
        """Read and decrypt one chunk's payload. Raises UnavailableError if it is gone or damaged."""


class Cutter(Protocol):
    """The only way to libav: one short-lived, confined child process per call."""

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make one part; its MP4 bytes go to `sink` as they come. Blocking: call it in a worker thread.

        Raises BadInputError if the camera's bitstream cannot be cut, UnavailableError if the child failed.
        """

    def read_codes(self, order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
        """Decode the newest key picture and return the texts of the QR codes in it."""


class Uploader(Protocol):
    """Brings one sealed part to the store and comes back with the store's receipt."""

    async def create(self, part: SealedPart, target: UploadTarget) -> str:
        """Create the upload and return its URL, for the journal."""

    async def send(self, part: SealedPart, target: UploadTarget, location: str) -> None:
        """Send what the store does not have yet, from its offset to the end. Resumable."""

    async def receipt(self, part: SealedPart, target: UploadTarget) -> str:
        """Fetch the store's signed receipt; raises UnavailableError while there is none."""
