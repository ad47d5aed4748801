"""RTP payloads of H.264 become NAL units (RFC 6184, packetization modes 0 and 1).

Rules of this file: interleaved mode is never set up, so its packets are losses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from agent.cut.h264 import NalType, nal_type
from agent.cut.rtp_nal import Fragments, aggregated, decoded_sets, format_parameter, separated

_SINGLE_MAX, _STAP_A, _FU_A = 23, 24, 28
_FU_HEADER_BYTES = 2


def announced_sets(fmtp: str) -> list[bytes]:
    """Read the parameter sets out of an SDP's format parameters (RFC 6184 8.1); broken ones are left out."""
    sets = decoded_sets(format_parameter(fmtp, "sprop-parameter-sets"))
    return [nal for nal in sets if nal_type(nal) in (NalType.SPS, NalType.PPS)]


class H264Payload:
    """Takes the payloads of one track."""

    def __init__(self, _fmtp: str = "") -> None:
        self._fragments = Fragments()

    @property
    def is_pending(self) -> bool:
        """Whether an FU-A was begun and has not ended."""
        return self._fragments.is_pending

    def drop(self) -> None:
        """Forget the FU-A that was begun."""
        self._fragments.drop()

    def take(self, payload: bytes, *, is_marked: bool) -> Iterable[bytes | None]:  # noqa: ARG002 - as PayloadFormat has it
        """Return the NAL units that end in this payload; None where something was lost."""
        kind = payload[0] & 31 if payload else 0
        if kind != _FU_A or len(payload) < _FU_HEADER_BYTES:
            return self._unfragmented(kind, payload)
        is_start, is_end = payload[1] & 0x80 != 0, payload[1] & 0x40 != 0
        header = bytes([payload[0] & 0xE0 | payload[1] & 0x1F]) if is_start else b""
        ended = self._fragments.take(header, payload[2:], is_start=is_start, is_end=is_end)
        return (unit for nal in ended for unit in (separated(nal) if nal else (None,))) if ended else ended

    def _unfragmented(self, kind: int, payload: bytes) -> Iterator[bytes | None]:
        if payload and kind != _FU_A and self._fragments.is_pending:
            self._fragments.drop()
            yield None
        if 0 < kind <= _SINGLE_MAX:
            yield from separated(payload)
        elif kind == _STAP_A:
            yield from aggregated(payload, 1)
        elif payload:
            yield None  # STAP-B, MTAP, FU-B, or half a header
