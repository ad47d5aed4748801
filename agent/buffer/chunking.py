"""Spans of one camera to numbered chunks, each run headed by its stream description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agent.acquire.reader import Recorded
from agent.acquire.stream import StreamHeader, encode_stream_header
from agent.buffer.chunk import ChunkKind, ChunkMeta


class Chunking:
    """Numbers the chunks of one camera's runs. A number that never reaches the ring marks a gap."""

    def __init__(self) -> None:
        self._header: StreamHeader | None = None
        self._is_headed = False
        self._sequence = 0

    def begin(self, header: StreamHeader) -> None:
        """Begin a run."""
        self._header, self._is_headed, self._sequence = header, False, 0

    def chunks(self, recorded: Recorded) -> Iterator[tuple[ChunkMeta, bytes | memoryview]]:
        """Yield the span's chunk, before it the run's header until one of those was taken.

        A chunk is taken when the next one is asked for; a caller that could not store one just stops asking.
        """
        header, span = self._header, recorded.span
        if header is None:
            return
        self._sequence += 1
        media = ChunkMeta(
            camera=header.camera,
            kind=ChunkKind.MEDIA,
            is_key=span.is_key,
            run=header.run,
            sequence=self._sequence,
            first_arrival=span.first_arrival,
            last_arrival=span.last_arrival,
            first_rtp=span.first_rtp,
            last_rtp=span.last_rtp,
            anchor=recorded.anchor,
        )
        if not self._is_headed:
            head = replace(media, kind=ChunkKind.STREAM, is_key=False, sequence=0, last_rtp=span.first_rtp)
            yield head, encode_stream_header(header)
            self._is_headed = True
        yield media, span.payload
