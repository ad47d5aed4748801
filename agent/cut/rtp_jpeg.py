"""RTP payloads of JPEG become JPEG pictures: the headers that RFC 2435 leaves out are put back.

The Huffman tables are left out here too: a decoder takes those of ITU-T T.81 annex K, the only ones RFC 2435 allows.

Rules of this file: a picture of which a packet is missing is only named, by the marker that every picture begins with.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from agent.errors import BadInputError

PICTURE_BYTES_MAX: Final = 8 * 1024 * 1024
START_OF_IMAGE: Final = b"\xff\xd8"
_END_OF_IMAGE: Final = b"\xff\xd9"
_TABLE_BYTES: Final = 64
_WITH_RESTARTS: Final = 64  # types from here to 127 have a restart header (RFC 2435 3.1.7)
_TABLES_SENT: Final = 128  # qualities from here on have a table header (RFC 2435 3.1.8)
_NEVER_KEPT: Final = 255  # tables of this quality hold for one picture only

# ITU-T T.81 tables K.1 and K.2, in zigzag order as DQT has them.
_LUMA: Final = bytes.fromhex(
    "100b0c0e0c0a100e0d0e1211101318281a181616183123251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d717970"
    "64785c656763"
)
_CHROMA: Final = bytes.fromhex("1112121815182f1a1a2f634238426363" + "63" * 48)
_SAMPLINGS: Final = {0: 0x21, 1: 0x22}  # of luma, by type: 4:2:2, 4:2:0 (RFC 2435 4.1)


class JpegPayload:
    """Takes the payloads of one track."""

    def __init__(self, _fmtp: str = "") -> None:
        self._pieces: list[bytes] = []  # the headers, then the scan as far as it came
        self._scan_bytes = 0
        self._tables: dict[int, bytes] = {}  # sent before, by quality

    @property
    def is_pending(self) -> bool:
        """Whether a picture was begun and has not ended."""
        return bool(self._pieces)

    def drop(self) -> None:
        """Forget the picture that was begun."""
        self._pieces, self._scan_bytes = [], 0

    def take(self, payload: bytes, *, is_marked: bool) -> Iterator[bytes | None]:
        """Yield the picture that ends in this payload; None and START_OF_IMAGE alone if some of it was lost."""
        try:
            is_whole = self._add(payload)
        except (struct.error, IndexError):
            is_whole = False
        if not is_whole:
            self.drop()
            yield None
        if is_marked:
            picture = b"".join(self._pieces) or START_OF_IMAGE
            self.drop()
            if len(picture) > len(START_OF_IMAGE) and not picture.endswith(_END_OF_IMAGE):
                picture += _END_OF_IMAGE
            yield picture

    def _add(self, payload: bytes) -> bool:
        """Add a packet's part of the scan; False if it is not the next one."""
        interlacing, high, low, kind, quality, columns, rows = struct.unpack_from(">BBHBBBB", payload)
        offset, position, interval = high << 16 | low, 8, 0
        if kind & ~_WITH_RESTARTS not in _SAMPLINGS:
            return False
        if interlacing in (1, 2) or not columns or not rows:
            raise BadInputError(
                "JPEG pictures that are interlaced or larger than 2040 pixels", cure="set the stream to H.264 or H.265"
            )
        if kind & _WITH_RESTARTS:
            (interval,), position = struct.unpack_from(">H", payload, position), position + 4
        if offset == 0:
            tables, position = self._quantisation(payload, position, quality)
            if self._pieces or tables is None:
                return False
            self._pieces = [_headers(columns * 8, rows * 8, _SAMPLINGS[kind & ~_WITH_RESTARTS], interval, tables)]
        elif not self._pieces or offset != self._scan_bytes:
            return False
        self._pieces.append(payload[position:])
        self._scan_bytes += len(payload) - position
        if self._scan_bytes > PICTURE_BYTES_MAX:
            raise BadInputError(f"a JPEG picture of more than {PICTURE_BYTES_MAX} bytes")
        return True

    def _quantisation(self, payload: bytes, position: int, quality: int) -> tuple[bytes | None, int]:
        """Return DQT segments, and where the scan begins; no tables if they were sent in a packet that never came."""
        if quality < _TABLES_SENT:
            return (scaled_tables(quality) if 0 < quality < 100 else None), position  # noqa: PLR2004 - RFC 2435 4.2
        _, precision, size = struct.unpack_from(">BBH", payload, position)
        body, position = payload[position + 4 : position + 4 + size], position + 4 + size
        if not size:
            return (self._tables.get(quality) if quality != _NEVER_KEPT else None), position
        if len(body) != size:
            return None, position
        tables = sent_tables(body, precision)
        if tables is not None:
            self._tables[quality] = tables
        return tables, position


def scaled_tables(quality: int) -> bytes:
    """Write the DQT segments of a quality from 1 to 99 (RFC 2435 appendix A)."""
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality  # noqa: PLR2004 - as the appendix has it
    scaled = [bytes(min(max((q * factor + 50) // 100, 1), 255) for q in table) for table in (_LUMA, _CHROMA)]
    return b"".join(_segment(0xDB, bytes([number]) + table) for number, table in enumerate(scaled))


def sent_tables(body: bytes, precision: int) -> bytes | None:
    """Write DQT segments of the tables in a quantisation header: one for both or one each, of 8 or 16 bits."""
    tables, position = [], 0
    for number in range(2):
        is_wide = precision >> number & 1
        size = _TABLE_BYTES * (2 if is_wide else 1)
        table = body[position : position + size]
        if len(table) == size:
            tables.append(_segment(0xDB, bytes([is_wide << 4 | number]) + table))
        position += size
    if len(tables) == 1:  # luma's, for all components
        tables.append(_segment(0xDB, bytes([(precision & 1) << 4 | 1]) + tables[0][5:]))
    return b"".join(tables) or None


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _headers(width: int, height: int, sampling: int, interval: int, tables: bytes) -> bytes:
    """Write everything before the scan: tables, restart interval, frame and scan header (RFC 2435 appendix B)."""
    frame = struct.pack(">BHHB", 8, height, width, 3) + bytes([1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1])
    scan = bytes([3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0])
    restarts = _segment(0xDD, struct.pack(">H", interval)) if interval else b""
    return START_OF_IMAGE + tables + restarts + _segment(0xC0, frame) + _segment(0xDA, scan)
