"""Sound packets become blocks of coded sound, each with its hub time (RFC 3551, RFC 3640, RFC 7587).

Rules of this file: nothing is guessed. A block of which a part is missing is left out, and the next one is behind a
hole; whatever the bytes are, only BadInputError is raised, and that for what the SDP says, not for a packet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from agent.clock import SECOND_NS, WallTime
from agent.cut.bits import BitReader
from agent.cut.sound_clock import SoundClock
from agent.cut.sound_rtp import SoundPacket
from agent.errors import BadInputError

UNIT_BYTES_MAX: Final = 64 * 1024
AAC_BLOCK_SAMPLES: Final = 1024
_AAC_PARAMETERS: Final = ("sizelength", "indexlength", "indexdeltalength")
_AAC_HBR: Final = {"sizelength": 13, "indexlength": 3, "indexdeltalength": 3}
_AAC_UNKNOWN: Final = (
    "ctsdeltalength", "dtsdeltalength", "randomaccessindication", "streamstateindication", "auxiliarydatasizelength",
)  # fmt: skip
_FIELD_BITS_MAX: Final = 16


class SoundUnit(Struct, frozen=True):
    """One block of coded sound: an AAC access unit, or a packet's worth of another codec."""

    time: WallTime | None  # of its first sample; None: it has no time, and only prepares the decoder
    payload: bytes
    is_after_loss: bool


def packet_units(packets: list[SoundPacket], clock: SoundClock) -> Iterator[SoundUnit]:
    """Take each packet as one block: G.711, G.726 (RFC 3551 4.5) and Opus (RFC 7587 4.2)."""
    for packet in packets:
        yield SoundUnit(clock.time_of(packet, packet.rtp), packet.payload, packet.is_after_loss)


def format_parameters(fmtp: str) -> dict[str, str]:
    """Read an SDP's format parameters: names in lower case to values as they stand."""
    pairs = (parameter.partition("=") for parameter in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def aac_units(packets: list[SoundPacket], clock: SoundClock, fmtp: str, rate_hz: int) -> Iterator[SoundUnit]:
    """Take the access units out of `mpeg4-generic` packets (RFC 3640 3.2): several in one, or one over several.

    `rate_hz` is the sampling rate. Raises BadInputError for parameters that are not those of the AAC modes.
    """
    layout = _Layout.of(fmtp)
    fragments: list[bytes] = []
    wanted, started_at, is_lost = 0, 0, False
    for packet in packets:
        is_lost |= packet.is_after_loss
        if fragments and (packet.is_after_loss or packet.rtp != started_at):
            fragments, is_lost = [], True
        split = layout.split(packet.payload)
        if split is None:
            fragments, is_lost = [], True
            continue
        sizes, body = split
        if fragments or (len(sizes) == 1 and sizes[0] > len(body)):
            if fragments and sizes != [wanted]:
                fragments, is_lost = [], True
                continue
            fragments.append(body)
            wanted, started_at = sizes[0], packet.rtp
            if sum(map(len, fragments)) < wanted:
                continue
            body, fragments = b"".join(fragments), []
        if sum(sizes) != len(body):
            is_lost = True
            continue
        position = 0
        first = clock.time_of(packet, packet.rtp)
        for number, size in enumerate(sizes):
            late_ns = number * AAC_BLOCK_SAMPLES * SECOND_NS // rate_hz
            time = None if first is None else WallTime(first + late_ns)
            yield SoundUnit(time, body[position : position + size], is_lost)
            position, is_lost = position + size, False


class _Layout(Struct, frozen=True):
    """How many bits the fields of an AU header have."""

    size: int
    index: int
    index_delta: int

    @classmethod
    def of(cls, fmtp: str) -> _Layout:
        """Read it from the format parameters; what is not said is as in the mode AAC-hbr."""
        said = format_parameters(fmtp)
        if any(said.get(name, "0") not in ("", "0") for name in _AAC_UNKNOWN):
            raise BadInputError("the camera's AAC packets have header fields that are not known")
        bits = []
        for name in _AAC_PARAMETERS:
            text = said.get(name, str(_AAC_HBR[name]))
            if not (text.isascii() and text.isdigit() and len(text) <= 2 and int(text) <= _FIELD_BITS_MAX):  # noqa: PLR2004 - digits
                raise BadInputError(f"the camera says {name}={text[:16]!r} for its AAC")
            bits.append(int(text))
        if not bits[0]:
            raise BadInputError("the camera's AAC packets do not say how long their blocks are")
        return cls(*bits)

    def split(self, payload: bytes) -> tuple[list[int], bytes] | None:
        """Return the sizes that the headers state, and what is behind them; None if it is no whole packet of this kind.

        Interleaved blocks (an index that is not zero) are refused: nobody asked for them (RFC 3640 3.2.3.2).
        """
        length = int.from_bytes(payload[:2], "big")  # of all headers, in bits
        begin = 2 + (length + 7) // 8
        if len(payload) < begin:
            return None
        reader, left, sizes = BitReader(payload[2:begin]), length, list[int]()
        while left > 0:
            index_bits = self.index_delta if sizes else self.index
            left -= self.size + index_bits
            if left < 0:
                return None
            sizes.append(reader.bits(self.size))
            if reader.bits(index_bits) or not 0 < sizes[-1] <= UNIT_BYTES_MAX:
                return None
        return (sizes, payload[begin:]) if sizes else None
