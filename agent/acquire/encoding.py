"""How a camera encodes a stream, as it says itself: what it costs the disk, and what is amiss with it for exact cuts.

Rules of this file: 0 means that the camera does not say; a warning names what is wrong and the command that mends it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from agent.errors import BadInputError

KEY_INTERVAL_S_MAX: Final = 4.0
"""Key pictures further apart make cuts expensive: up to so much is encoded anew at each end of a clip."""

CODECS: Final = ("H264", "H265", "JPEG")  # that are recorded and cut
VARIABLE_RATIO_MIN: Final = 1.5  # measured to stated interval: from here on the camera stretches its groups of pictures
ENCODING_BYTES_MAX: Final = 4096


class Encoding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One video encoder's settings."""

    codec: str = ""  # "H264", "H265", "JPEG"; anything else is not recorded
    width: int = 0
    height: int = 0
    fps: float = 0.0
    gop: int = 0  # pictures from one key picture to the next
    bitrate_kbps: int = 0  # the limit
    is_smart: bool = False  # H.264+, H.265+, Smart Codec, Zipstream: key pictures come when the camera likes

    @property
    def key_interval_s(self) -> float:
        """Seconds from one key picture to the next as set; 0 if the camera does not say."""
        return 0.0 if self.codec == "JPEG" or not self.fps else self.gop / self.fps

    def __str__(self) -> str:
        told = [self.codec or "unknown codec", f"{self.width}x{self.height}" if self.width else ""]
        told += [f"{self.fps:g} fps" if self.fps else "", f"{self.bitrate_kbps} kbit/s" if self.bitrate_kbps else ""]
        told += [f"key picture every {self.key_interval_s:.1f} s" if self.key_interval_s else ""]
        return ", ".join(filter(None, told))


def encode_encoding(encoding: Encoding | None) -> str:
    """Write it for the book of cameras; empty for none."""
    return msgspec.json.encode(encoding).decode() if encoding is not None else ""


def decode_encoding(text: str) -> Encoding | None:
    """Read it back; None for an empty text. Raises BadInputError."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text[:ENCODING_BYTES_MAX], type=Encoding)
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise BadInputError(f"not an encoding: {error}") from error


def encoding_warnings(encoding: Encoding, measured_key_interval_s: float | None = None) -> tuple[str, ...]:
    """Say what is amiss with a stream; `measured_key_interval_s` is between two key pictures that came."""
    stated_s = encoding.key_interval_s
    interval_s = max(stated_s, measured_key_interval_s or 0.0)
    warnings = []
    if interval_s > KEY_INTERVAL_S_MAX:
        warnings.append(
            f"its key pictures are {interval_s:.1f} s apart, so clips cost much work to cut: "
            "`transom cameras tune CAMERA --key-interval 2`"
        )
    is_stretched = stated_s > 0 and (measured_key_interval_s or 0.0) > stated_s * VARIABLE_RATIO_MIN
    if encoding.is_smart or is_stretched:
        warnings.append(
            "it varies the distance of its key pictures (H.264+, H.265+, Smart Codec, Zipstream): switch that off in "
            "the camera's settings"
        )
    return tuple(warnings)


def plan_warning(encodings: Iterable[Encoding], ring_bytes: int, age_max_h: int) -> str:
    """Say if the cameras' bitrates together fill the ring before the footage is as old as it may become."""
    kbps = sum(encoding.bitrate_kbps for encoding in encodings)
    if not kbps:
        return ""
    hours = ring_bytes * 8 / (kbps * 1000) / 3600
    if hours >= age_max_h:
        return ""
    return (
        f"{kbps} kbit/s of all cameras together fill the ring in {hours:.1f} h, and {age_max_h} h are planned: lower "
        f"the cameras' bitrates (together {ring_bytes * 8 // (age_max_h * 3_600_000)} kbit/s fit), or give more disk"
    )
