"""JPEG as far as the cut must read it: whether a picture is there, and its size.

Rules of this file: whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from agent.cut.codec import ParameterSets, PictureForm, PictureKind
from agent.errors import BadInputError

_START_OF_IMAGE: Final = b"\xff\xd8"
_START_OF_FRAME: Final = 0xC0
_START_OF_SCAN: Final = 0xDA
_CHROMA_FORMATS: Final = {0x22: 1, 0x21: 2}  # by the sampling of luma
_HEADERS_BYTES_MAX: Final = 1024  # what the depacketizer writes before the scan has about 200


def is_picture(picture: bytes) -> bool:
    """Say whether this is a JPEG picture, or the beginning of one."""
    return picture.startswith(_START_OF_IMAGE)


def is_nothing(_picture: bytes) -> bool:
    """Say that JPEG has no parameter sets, delimiters and so on."""
    return False


def picture_kind(_pictures: Sequence[bytes]) -> PictureKind:
    """Say that every picture stands alone."""
    return PictureKind.CLOSED


def parameter_sets(_pictures: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """Return none: every picture brings its own tables."""
    return {}


def picture_form(_sets: ParameterSets, picture: bytes) -> PictureForm:
    """Read the frame header (ITU-T T.81 B.2.2)."""
    position = 2
    while position + 10 <= min(len(picture), _HEADERS_BYTES_MAX) and picture[position] == 0xFF:  # noqa: PLR2004 - a marker
        marker, size = picture[position + 1], int.from_bytes(picture[position + 2 : position + 4], "big")
        if marker == _START_OF_FRAME and position + 12 <= len(picture):
            height, width = (int.from_bytes(picture[position + n : position + n + 2], "big") for n in (5, 7))
            chroma_format = _CHROMA_FORMATS.get(picture[position + 11], 0)
            if width and height:
                return PictureForm(width, height, chroma_format, 8, True, 0, "", 0, "JPEG pictures")  # noqa: FBT003 - progressive scan
        if marker == _START_OF_SCAN:
            break
        position += 2 + size
    raise BadInputError("a JPEG picture without a frame header")
