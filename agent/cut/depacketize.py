"""Wire chunks become access units: whole coded pictures with their hub time, whatever the codec.

Rules of this file: nothing is guessed. A picture of which a packet is missing is torn, the one behind a hole is marked;
what to do about either is decided in `pictures`. Whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field

from agent.acquire.stream import StreamHeader
from agent.acquire.timeline import VIDEO_CLOCK_HZ, Anchor, hub_time
from agent.clock import WallTime
from agent.cut.clip import WireChunk
from agent.cut.codec import Codec, PictureKind
from agent.cut.known_codecs import codec_of
from agent.cut.rtp import Packet, interleaved_frames, parse_rtp
from agent.errors import BadInputError

UNITS_MAX: Final = 40_000  # access units in one part: 5 minutes at 120 pictures a second
NALS_PER_UNIT_MAX: Final = 1024
WIRE_BYTES_MAX: Final = 512 * 1024 * 1024  # of one part


class AccessUnit(Struct, frozen=True):
    """One coded picture as it was sent, in the order it was sent (which is decode order)."""

    time: WallTime  # when it was taken, by the hub's clock
    codec: Codec
    nals: tuple[bytes, ...]  # without start codes, escapes kept; at least one slice. JPEG: the picture
    kind: PictureKind | None  # None: no decoder here understands it
    is_gap: bool  # something was lost right before it
    is_torn: bool  # something of itself was lost
    run: int
    anchor: Anchor

    @property
    def slices(self) -> list[bytes]:
        """The NAL units that carry the picture."""
        return [nal for nal in self.nals if self.codec.is_slice(nal)]

    @property
    def is_key(self) -> bool:
        """Whether neither it nor what follows refers to anything before it."""
        return self.kind is PictureKind.CLOSED

    @property
    def ends_sequence(self) -> bool:
        """Whether the camera said that decoding begins anew behind it."""
        return any(self.codec.is_end(nal) for nal in self.nals)


def depacketize(headers: Sequence[StreamHeader], chunks: Iterable[WireChunk]) -> list[AccessUnit]:
    """Turn chunks in recorded order into access units; their parameter sets start with those of the SDP.

    Raises BadInputError if the codec is not known, the framing is broken, or a limit is passed.
    """
    by_run = {header.run: header for header in headers}
    units: list[AccessUnit] = []
    assembler: _Assembler | None = None
    total = 0
    for chunk in chunks:
        total += len(chunk.wire)
        if total > WIRE_BYTES_MAX:
            raise BadInputError(f"more than {WIRE_BYTES_MAX} bytes for one part", cure="ask for shorter parts")
        if assembler is None or assembler.run != chunk.run:
            units += assembler.finish() if assembler else []
            if chunk.run not in by_run:
                raise BadInputError(f"run {chunk.run} has no stream header")
            assembler = _Assembler(by_run[chunk.run])
        units += assembler.take(chunk)
        if len(units) > UNITS_MAX:
            raise BadInputError(f"more than {UNITS_MAX} pictures for one part")
    return units + (assembler.finish() if assembler else [])


class _Unit(Struct):
    """An access unit that is still being collected."""

    timestamp: int
    anchor: Anchor
    is_gap: bool
    nals: list[bytes] = field(default_factory=list)
    is_torn: bool = False
    is_marked: bool = False  # its last packet so far had the marker: nothing more is expected
    has_slice: bool = False


class _Assembler:
    """Collects the packets of one run into access units."""

    def __init__(self, header: StreamHeader) -> None:
        self._codec = codec_of(header.video.encoding if header.tracks else "none")
        if header.video.clock_rate_hz != VIDEO_CLOCK_HZ:
            raise BadInputError(f"a video clock of {header.video.clock_rate_hz} Hz instead of {VIDEO_CLOCK_HZ}")
        self.run = header.run
        self._track = header.video
        self._payloads = self._codec.payload_format(header.video.fmtp)
        self._pending_sets = self._codec.announced_sets(header.video.fmtp)
        self._next_chunk: int | None = None
        self._next_packet: int | None = None
        self._is_gap = True  # a run begins behind a hole
        self._unit: _Unit | None = None
        self._done: list[AccessUnit] = []

    def take(self, chunk: WireChunk) -> list[AccessUnit]:
        """Take the next chunk of this run and return the units it completes."""
        if self._next_chunk is not None and chunk.sequence != self._next_chunk:
            self._lose()
        self._next_chunk = chunk.sequence + 1
        own, payload_type, anchor = self._track.channel, self._track.payload_type, chunk.anchor
        for channel, frame in interleaved_frames(chunk.wire):
            if channel == own and (packet := parse_rtp(frame, payload_type)):
                self._take_packet(packet, anchor)
        return self._take_done()

    def finish(self) -> list[AccessUnit]:
        """Return what is left at the end of the run."""
        if self._payloads.is_pending or (self._unit and not self._unit.is_marked):
            self._lose()  # nobody can tell whether more of this picture was to come
        self._close_unit()
        return self._take_done()

    def _take_done(self) -> list[AccessUnit]:
        done, self._done = self._done, []
        return done

    def _take_packet(self, packet: Packet, anchor: Anchor) -> None:
        if packet.sequence != self._next_packet and self._next_packet is not None:
            if packet.sequence == (self._next_packet - 1) % 65536:
                return  # sent twice
            self._lose(packet.timestamp)
        self._next_packet = (packet.sequence + 1) % 65536
        unit = self._unit
        if unit is None or unit.timestamp != packet.timestamp:
            if self._payloads.is_pending:
                self._lose()
            unit = self._open_unit(packet.timestamp, anchor)
        unit.is_marked = packet.is_marked
        for nal in self._payloads.take(packet.payload, is_marked=packet.is_marked):
            if nal is None:
                self._lose(packet.timestamp)  # of this very picture
            else:
                self._take_nal(nal)

    def _take_nal(self, nal: bytes) -> None:
        unit, codec = self._unit, self._codec
        if unit is None or not codec.is_known(nal):
            return
        if unit.has_slice and codec.is_leader(nal):
            # Parameter sets sent with the time stamp of the picture before them belong to the one after it.
            self._pending_sets.append(nal)
        else:
            if codec.is_slice(nal) and self._pending_sets and unit.has_slice:
                if codec.begins_picture(nal):  # two pictures with one time stamp
                    unit = self._open_unit(unit.timestamp, unit.anchor)
                else:
                    self._repeat_sets(unit)
            unit.nals.append(nal)
            unit.has_slice |= codec.is_slice(nal)
        if len(unit.nals) + len(self._pending_sets) > NALS_PER_UNIT_MAX:
            raise BadInputError(f"more than {NALS_PER_UNIT_MAX} NAL units in one picture")

    def _repeat_sets(self, unit: _Unit) -> None:
        """Take parameter sets from between the slices of one picture: GStreamer's payloader sends them before each."""
        sets = [nal for nal in self._pending_sets if self._codec.is_set(nal) and nal not in unit.nals]
        unit.nals[:0], self._pending_sets = sets, []

    def _lose(self, next_timestamp: int | None = None) -> None:
        """Note a hole here: the unit being collected is torn (unless it had ended), the next one is behind a gap."""
        unit = self._unit
        if unit and (self._payloads.is_pending or not unit.is_marked or unit.timestamp == next_timestamp):
            unit.is_torn = True
        self._payloads.drop()
        self._is_gap = True

    def _open_unit(self, timestamp: int, anchor: Anchor) -> _Unit:
        self._close_unit()
        self._unit = unit = _Unit(timestamp, anchor, self._is_gap, self._pending_sets)
        self._is_gap, self._pending_sets = False, []
        return unit

    def _close_unit(self) -> None:
        unit, self._unit, codec = self._unit, None, self._codec
        if unit is None:
            return
        if not unit.has_slice:  # parameter sets alone, or nothing whole: they lead the next unit
            self._pending_sets = [n for n in unit.nals if codec.is_leader(n)] + self._pending_sets
            self._is_gap |= unit.is_gap or unit.is_torn
            return
        slices = [nal for nal in unit.nals if codec.is_slice(nal)]
        self._done.append(
            AccessUnit(
                time=hub_time(unit.anchor, unit.timestamp),
                codec=codec,
                nals=tuple(unit.nals),
                kind=_kind_of(codec, unit.nals),
                is_gap=unit.is_gap,
                is_torn=unit.is_torn or (unit.is_gap and not codec.begins_picture(slices[0])),
                run=self.run,
                anchor=unit.anchor,
            )
        )


def _kind_of(codec: Codec, nals: Sequence[bytes]) -> PictureKind | None:
    try:
        return codec.kind(nals)
    except BadInputError:
        return None
