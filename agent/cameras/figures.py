"""What one camera's recording has come to, counted as it goes on and put together when somebody asks.

Rules of this file: plain numbers, since some change with every tick; counts never fall, whatever session ends.
"""

from __future__ import annotations

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.rates import RateMeter, WireTotals
from agent.acquire.reader import Reader
from agent.buffer.chunk import ChunkMeta
from agent.clock import SECOND_NS, Instant, WallTime


class CameraFigures:
    """Counters of one camera. `reader` in its methods is the session that runs now, None between two."""

    def __init__(self) -> None:
        self.runs = self.chunks_lost = self.reconnects = 0
        self.bytes_received = 0
        self.last_byte: tuple[WallTime, Instant] | None = None
        self._chunks = 0
        self._newest: ChunkMeta | None = None  # of this session
        self._newest_key: ChunkMeta | None = None
        self._key_interval_s: float | None = None
        self._reports_ignored = 0  # of the sessions that are over
        self._ended, self._lost = WireTotals(), 0  # of the sessions that are over; of all
        self._rates = RateMeter()

    def stored(self, meta: ChunkMeta) -> None:
        """Count a chunk that the ring has taken."""
        self._chunks += 1
        self._newest = meta
        if meta.is_key:
            if self._newest_key is not None and self._newest_key.run == meta.run:
                self._key_interval_s = (meta.first_picture - self._newest_key.first_picture) / SECOND_NS
            self._newest_key = meta

    def session_ended(self, reader: Reader | None) -> None:
        """Take over what a session has counted."""
        self._ended = self._totals(reader)
        self._reports_ignored += reader.reports_ignored if reader else 0
        self._newest = self._newest_key = None

    def health(
        self, stream: CameraStream, state: CameraState, error: str, reader: Reader | None, now: Instant
    ) -> CameraHealth:
        """Put together how the camera does; what its connection alone knows is left as it is by default."""
        last_byte, last_byte_at = self.last_byte or (None, None)
        totals, newest, clock = self._totals(reader), self._newest, stream.clock
        rates = self._rates.note(now, totals)
        return CameraHealth(
            camera=stream.camera,
            state=state,
            last_byte=last_byte,
            last_byte_at=last_byte_at,
            bytes_received=totals.bytes,
            bytes_per_s=rates.bytes_per_s,
            pictures=totals.pictures,
            pictures_per_s=rates.pictures_per_s,
            packets=totals.packets,
            packets_lost=totals.packets_lost,
            loss_share=rates.loss_share,
            runs=self.runs,
            chunks=self._chunks,
            chunks_lost=self.chunks_lost,
            key_interval_s=self._key_interval_now(),
            reconnects=self.reconnects,
            reports_ignored=self._reports_ignored + (reader.reports_ignored if reader else 0),
            clock_offset_ns=clock.estimate_ns if clock else None,
            clock_offset_error_ns=clock.error_ns if clock else 0,
            time_source=newest.anchor.source if newest else None,
            time_error_ns=newest.anchor.error_ns if newest else None,
            error=error,
        )

    def _totals(self, reader: Reader | None) -> WireTotals:
        """Count what came in all sessions; what was late and taken for lost stays counted as lost."""
        ended, before = self._ended, self._lost
        if reader is None:
            return WireTotals(self.bytes_received, ended.pictures, ended.packets, before)
        counts = reader.counts
        self._lost = max(before, ended.packets_lost + counts.video_packets_lost)
        return WireTotals(
            self.bytes_received, ended.pictures + counts.pictures, ended.packets + counts.video_packets, self._lost
        )

    def _key_interval_now(self) -> float | None:
        """Return the time between key pictures; one that is overdue counts as far as it is."""
        newest, key = self._newest, self._newest_key
        if newest is None or key is None or newest.run != key.run:
            return self._key_interval_s
        return max(self._key_interval_s or 0.0, (newest.first_picture - key.first_picture) / SECOND_NS) or None
