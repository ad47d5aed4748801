"""Streams of cameras that want to harm whoever decodes them, each from a seed: the same number is the same poison."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from agent.acquire.stream import StreamHeader, Track
from agent.acquire.timeline import Anchor
from agent.consent.mask import Masks
from agent.cut.bits import bytes_of, escape, ue_code
from agent.cut.clip import CutOrder, WireChunk
from tests.simulators.clips import window_of
from tests.simulators.h264_source import CAMERA, Recipe, Source, film, rtp_frame

SLICES: Final = 10_000
LARGE_SIDE: Final = 16_384  # beyond the limit
LARGEST_SIDE: Final = 8192  # just within it: 100 MB a picture, and 16 of them to refer to
SEI_BYTES: Final = 300_000
_MTU: Final = 1200
_TICKS: Final = 3600
_CHUNK_BYTES: Final = 1_000_000
_RTP_HEADER_BYTES: Final = 12
_FU_A: Final = 28
_MASK: Final[Masks] = (((0, 5000), (9999, 5000), (9999, 9999), (0, 9999)),)
_GOOD: Final = (
    Recipe(pictures=40),
    Recipe(pictures=40, b_frames=2, gop=15),
    Recipe(pictures=40, profile="baseline", gop=12, slices=3),
    Recipe(pictures=40, b_frames=3, gop=20, x264="open-gop=1:b-pyramid=none"),
    Recipe(pictures=40, x264="interlaced=1"),
    Recipe(pictures=40, profile="high10", pix_fmt="yuv420p10le"),
    Recipe(pictures=40, profile="high422", pix_fmt="yuv422p", x264="cabac=0"),
)

Nals = Sequence[bytes]


@dataclass(frozen=True)
class Poison:
    """One case: what is wrong with it, what is ordered of it, and what the camera sent."""

    kind: str
    order: CutOrder
    chunks: tuple[WireChunk, ...]
    is_code_search: bool


def poison(number: int, seed: int = 0) -> Poison:
    """Make case `number` of a seed."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable damage
    kind = KINDS[number % len(KINDS)]
    source = film(chance.choice(_GOOD))
    header, chunks = _KINDS[kind](source, chance)
    start = chance.choice((0, 0.1, 0.5))
    masks = _MASK if chance.random() < 0.3 else ()
    order = CutOrder(
        window_of(start, start + chance.uniform(0.3, 1.5)), (header,), masks=masks, may_copy=chance.random() < 0.8
    )
    return Poison(kind, order, chunks, chance.random() < 0.1)


# ------------------------------------------------------------------ bytes changed in what a real camera sent
def _mutated(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Change bytes of NAL units; the packets stay what they are."""
    share = chance.choice((0.01, 0.05, 0.5))
    units = []
    for unit in source.units:
        nals = []
        for nal in unit:
            raw = bytearray(nal)
            if chance.random() < share:
                for _ in range(chance.randrange(1, 8)):
                    place = min(int(chance.expovariate(0.05)), len(raw) - 1) if chance.random() < 0.5 else None
                    raw[chance.randrange(len(raw)) if place is None else place] = chance.randrange(256)
            nals.append(bytes(raw))
        units.append(nals)
    return source.header, _sent(source, units)


def _swapped(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Mix NAL units of two cameras: slices under parameter sets that were never meant for them."""
    other = film(chance.choice(_GOOD))
    units = [list(unit) for unit in source.units]
    for _ in range(chance.randrange(1, 60)):
        victim, giver = chance.choice(units), chance.choice((other, source)).units
        victim[chance.randrange(len(victim))] = chance.choice(chance.choice(giver))
    return source.header, _sent(source, units)


def _truncated(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """End NAL units in their middle."""
    share = chance.choice((0.05, 0.3, 1))
    units = [
        [nal[: chance.randrange(1, len(nal) + 1)] if chance.random() < share else nal for nal in unit]
        for unit in source.units
    ]
    return source.header, _sent(source, units)


# ------------------------------------------------------------------ parameter sets
def sps(width: int, height: int, *, profile: int = 100, references: int = 1, level: int = 62, number: int = 0) -> bytes:
    """Write a sequence parameter set for pictures of this size (H.264 7.3.2.1.1)."""
    bits = f"{profile:08b}{0:08b}{level:08b}" + ue_code(number)
    if profile >= 100:
        bits += ue_code(1) + ue_code(0) + ue_code(0) + "00"
    bits += ue_code(0) + ue_code(2) + ue_code(references) + "0"
    bits += ue_code(width // 16 - 1) + ue_code(height // 16 - 1) + "1100"
    return b"\x67" + escape(_closed(bits))


def pps(number: int = 0, of: int = 0) -> bytes:
    """Write a picture parameter set (H.264 7.3.2.2)."""
    bits = ue_code(number) + ue_code(of) + "00" + ue_code(0) + ue_code(0) + ue_code(0) + "000"
    return b"\x68" + escape(_closed(bits + ue_code(0) * 3 + "000"))


def idr_slice(first_macroblock: int = 0, macroblocks: int = 4) -> bytes:
    """Write an IDR slice of grey macroblocks in a byte each: Intra_16x16, predicted from the mean, no residual."""
    bits = ue_code(first_macroblock) + ue_code(7) + ue_code(0) + "0000" + ue_code(0) + "00" + ue_code(0)
    return b"\x65" + escape(_closed(bits + "00100111" * macroblocks))


def still_slice(number: int, macroblocks: int) -> bytes:
    """Write a P slice that repeats the picture before it, however large it is, in a few bytes."""
    bits = ue_code(0) + ue_code(5) + ue_code(0) + f"{number % 16:04b}" + "000" + ue_code(0) + ue_code(macroblocks)
    return b"\x41" + escape(_closed(bits))


def _huge(_: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    side = chance.choice((LARGE_SIDE, LARGEST_SIDE, LARGEST_SIDE, 4096, 65_536))
    return huge_pictures(
        side, chance.choice((1, 4, 16)), level=chance.choice((10, 52, 62)), share=chance.choice((1, 1, 2))
    )


def huge_pictures(
    side: int, references: int, *, level: int = 62, share: int = 1
) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Announce pictures of which a few fill any memory; send 30, of the first one part in `share`, in a few bytes."""
    sets = [sps(side, side, references=references, level=level), pps()]
    count = (side // 16) ** 2 if side <= LARGEST_SIDE else 9
    units = [[*sets, idr_slice(macroblocks=count // share)]]
    units += [[still_slice(number, count)] for number in range(1, 30)]
    return _header(sets), _sent_units(units)


def _nonsense_sets(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Send parameter sets of noise, in the SDP and between the pictures."""

    def noise() -> bytes:
        kind = chance.choice((0x67, 0x68, 0x68, 0x6F, 0x6D))
        return bytes([kind]) + chance.choice((b"", b"\x64\0\x1f")) + chance.randbytes(chance.randrange(1, 60))

    units = [[*(noise() for _ in range(chance.randrange(4))), *unit] for unit in source.units]
    return _header([noise() for _ in range(3)]), _sent(source, units)


# ------------------------------------------------------------------ too much of something
def _many_slices(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    return many_slices(source, chance.choice((900, 1023, SLICES)), are_good=chance.random() < 0.5)


def many_slices(source: Source, count: int, *, are_good: bool) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Cut the first picture into so many slices: a whole one again and again, or all for the same few macroblocks."""
    first = source.units[0]
    sets = [nal for nal in first if nal[0] & 31 in (7, 8)]
    good = [nal for nal in first if nal[0] & 31 == 5]
    slices = good * count if are_good else [idr_slice(number % 84) for number in range(count)]
    return source.header, _sent_units([[*sets, *slices], *source.units[1:]])


def _endless_sei(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Send SEI that never ends: a size of 255 after the other, or one message after the other."""
    kinds = (b"\xff" * SEI_BYTES, b"\x05" + b"\xff" * SEI_BYTES, b"\x06\x01\x80" * (SEI_BYTES // 3), b"\x04\0" * 2000)
    long = b"\x06" + chance.choice(kinds)
    many = chance.choice((1, 1, 50))
    units = [[*[long] * (many if place % 10 == 0 else 0), *unit] for place, unit in enumerate(source.units)]
    return source.header, _sent(source, units)


# ------------------------------------------------------------------ below the pictures
def _broken_rtp(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Change headers of packets: numbers, markers, padding, extensions, lengths, fragments that never end."""
    chunks = []
    for chunk in source.chunks:
        wire, position, out = chunk.wire, 0, b""
        while position < len(wire):
            size = 4 + int.from_bytes(wire[position + 2 : position + 4], "big")
            out += _broken_frame(bytearray(wire[position : position + size]), chance)
            position += size
        chunks.append(msgspec.structs.replace(chunk, wire=out))
    return source.header, tuple(chunks)


def _broken_frame(frame: bytearray, chance: random.Random) -> bytes:
    if chance.random() > 0.1:
        return bytes(frame)
    match chance.randrange(7):
        case 0:
            return b""
        case 1:
            return bytes(frame * 2)
        case 2:
            frame[4] = chance.randrange(256)  # version, padding, extension, sources
        case 3:
            frame[5:8] = chance.randbytes(3)  # marker, type, number
        case 4:
            frame[8:12] = chance.randbytes(4)  # time
        case 5 if len(frame) > 4 + _RTP_HEADER_BYTES:
            frame[4 + _RTP_HEADER_BYTES] = chance.choice((24, 25, 26, 28, 29, 0x7C, chance.randrange(256)))
        case _:
            cut = frame[: chance.randrange(4, len(frame) + 1)]
            cut[2:4] = (len(cut) - 4).to_bytes(2, "big")
            return bytes(cut)
    return bytes(frame)


def _noise_wire(source: Source, chance: random.Random) -> tuple[StreamHeader, tuple[WireChunk, ...]]:
    """Change any bytes of the wire, its framing too."""
    chunks = []
    for chunk in source.chunks:
        wire = bytearray(chunk.wire)
        for _ in range(chance.choice((0, 1, 30))):
            wire[chance.randrange(len(wire))] = chance.randrange(256)
        chunks.append(msgspec.structs.replace(chunk, wire=bytes(wire)))
    return source.header, tuple(chunks)


_KINDS: Final[dict[str, Callable[[Source, random.Random], tuple[StreamHeader, tuple[WireChunk, ...]]]]] = {
    "changed bytes": _mutated,
    "swapped units": _swapped,
    "truncated units": _truncated,
    "huge pictures": _huge,
    "nonsense sets": _nonsense_sets,
    "10,000 slices": _many_slices,
    "endless SEI": _endless_sei,
    "broken RTP": _broken_rtp,
    "noise on the wire": _noise_wire,
}
KINDS: Final = tuple(_KINDS)


# ------------------------------------------------------------------ on its way
def _sent(source: Source, units: Sequence[Nals]) -> tuple[WireChunk, ...]:
    return _sent_units(units, source.order)


def _sent_units(units: Sequence[Nals], order: Sequence[int] = ()) -> tuple[WireChunk, ...]:
    """Send access units as RTP; the pictures' times are those of the film."""
    anchor = _anchor()
    chunks: list[WireChunk] = []
    wire, sequence = bytearray(), 0
    for place, nals in enumerate(units):
        timestamp = anchor.rtp + (order[place] if order else place) * _TICKS
        payloads = [payload for nal in nals if nal for payload in _payloads(nal)]
        for number, payload in enumerate(payloads):
            wire += rtp_frame(sequence, timestamp, payload, marker=number == len(payloads) - 1)
            sequence += 1
            if len(wire) > _CHUNK_BYTES:
                chunks.append(WireChunk(1, len(chunks), anchor, bytes(wire)))
                wire.clear()
    return (*chunks, WireChunk(1, len(chunks), anchor, bytes(wire)))


def _payloads(nal: bytes) -> list[bytes]:
    if len(nal) <= _MTU:
        return [nal]
    parts = [nal[begin : begin + _MTU] for begin in range(1, len(nal), _MTU)]
    ends = [0x80, *[0] * (len(parts) - 2), 0x40]
    return [bytes([nal[0] & 0xE0 | _FU_A, end | nal[0] & 31]) + part for end, part in zip(ends, parts, strict=True)]


@lru_cache(maxsize=1)
def _plain() -> Source:
    return film(_GOOD[0])


def _anchor() -> Anchor:
    return _plain().chunks[0].anchor


def _header(sets: Nals) -> StreamHeader:
    sprop = ",".join(base64.b64encode(nal).decode() for nal in sets)
    track = Track(0, "video", "H264", 96, 90_000, f"packetization-mode=1; sprop-parameter-sets={sprop}")
    return StreamHeader(CAMERA, 1, (track,), "virtual")


def _closed(bits: str) -> bytes:
    bits += "1"
    return bytes_of(bits + "0" * (-len(bits) % 8))
