"""RTP payloads of H.265 become NAL units (RFC 7798, one stream, no interleaving).

Rules of this file: a decoding order number is skipped where the SDP announces it, for packets sent in decoding order
over one connection do not need it; PACI packets are losses, no camera sends them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from agent.cut.h265 import is_parameter_set
from agent.cut.rtp_nal import Fragments, aggregated, decoded_sets, format_parameter

_AP, _FU, _SINGLE_MAX = 48, 49, 47
_HEADER_BYTES: Final = 2
_SETS: Final = ("sprop-vps", "sprop-sps", "sprop-pps")


def announced_sets(fmtp: str) -> list[bytes]:
    """Read the parameter sets out of an SDP's format parameters (RFC 7798 7.1); broken ones are left out."""
    sets = [nal for name in _SETS for nal in decoded_sets(format_parameter(fmtp, name))]
    return [nal for nal in sets if len(nal) > _HEADER_BYTES and is_parameter_set(nal)]


class H265Payload:
    """Takes the payloads of one track."""

    def __init__(self, fmtp: str = "") -> None:
        has_order = format_parameter(fmtp, "sprop-max-don-diff").strip() not in ("", "0")
        self._donl_bytes, self._dond_bytes = (2, 1) if has_order else (0, 0)
        self._fragments = Fragments()

    @property
    def is_pending(self) -> bool:
        """Whether a fragmentation unit was begun and has not ended."""
        return self._fragments.is_pending

    def drop(self) -> None:
        """Forget the fragmentation unit that was begun."""
        self._fragments.drop()

    def take(self, payload: bytes, *, is_marked: bool) -> Iterable[bytes | None]:  # noqa: ARG002 - as PayloadFormat has it
        """Return the NAL units that end in this payload; None where something was lost."""
        if not payload:
            return ()
        kind = payload[0] >> 1 & 63 if len(payload) > _HEADER_BYTES else _SINGLE_MAX + 1 + _FU
        if kind != _FU:
            return self._unfragmented(kind, payload)
        is_start, is_end = payload[2] & 0x80 != 0, payload[2] & 0x40 != 0
        header = bytes([payload[0] & 0x81 | (payload[2] & 63) << 1, payload[1]])
        begin = 3 + (self._donl_bytes if is_start else 0)
        return self._fragments.take(header, payload[begin:], is_start=is_start, is_end=is_end)

    def _unfragmented(self, kind: int, payload: bytes) -> Iterator[bytes | None]:
        if self._fragments.is_pending:
            self._fragments.drop()
            yield None
        if kind <= _SINGLE_MAX:
            yield payload[:_HEADER_BYTES] + payload[_HEADER_BYTES + self._donl_bytes :]
        elif kind == _AP:
            yield from aggregated(payload, _HEADER_BYTES, (self._donl_bytes, self._dond_bytes))
        else:
            yield None
