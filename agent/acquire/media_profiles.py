"""A camera's list of media profiles to the one stream to record: media2 (ONVIF ver20/media) is read here.

Rules of this file: every field may be missing, negative, huge or a lie; a profile without a token or without a video
encoder is left out; what cameras call "main" is believed before what has the most pixels.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from agent.acquire.discovery import printable
from agent.acquire.encoding import CODECS, Encoding
from agent.acquire.lenient_xml import Element, children, element, text_of

PROFILES_MAX: Final = 64
TOKEN_CHARACTERS_MAX: Final = 256
PIXELS_MAX: Final = 1 << 16  # along one edge
NUMBER_MAX: Final = 1 << 31
FPS_MAX: Final = 1000.0

_MAIN: Final = re.compile(r"(?<![a-z])(?:main(?![ _-]?profile)|primary|haupt|principal)", re.IGNORECASE)
"""Not "Main profile", which is H.264's; and no numbers, since some makers count from 0 and some from 1."""
_SUB: Final = re.compile(r"(?<![a-z])(?:sub|minor|second|third|mobile|thumb)", re.IGNORECASE)
_SMART: Final = re.compile(r"\+|smart|zipstream", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Profile:
    """One media profile with its video encoder, and the token of that encoder's configuration."""

    token: str
    name: str  # printable
    encoding: Encoding
    encoder: str = ""


def read_profiles(answer: Element) -> tuple[Profile, ...]:
    """Read a media2 GetProfilesResponse: the profiles that have a video encoder, at most 64."""
    told = islice(children(answer, "Profiles"), PROFILES_MAX)
    return tuple(profile for node in told if (profile := _profile(node)) is not None)


def _profile(node: Element) -> Profile | None:
    token, encoder = node.get("token", ""), element(node, "VideoEncoder")
    if encoder is None or not is_token(token):
        return None
    name = printable(text_of(node, "Name"))
    own = encoder.get("token", "")
    return Profile(token, name, read_encoder(encoder, name), own if is_token(own) else "")


def is_token(text: str) -> bool:
    """Whether a token can be sent back: it is never shortened or mended, since then it would be another one."""
    return 0 < len(text) <= TOKEN_CHARACTERS_MAX and text.isprintable()


def read_encoder(encoder: Element, profile_name: str = "") -> Encoding:
    """Read a video encoder configuration: of media2 (attributes) as of media 1 (elements below the codec)."""
    told = printable(text_of(encoder, "Encoding"))
    return encoding_of(
        told,
        (text_of(encoder, "Width"), text_of(encoder, "Height")),
        text_of(encoder, "FrameRateLimit"),
        encoder.get("GovLength") or text_of(encoder, "GovLength"),
        text_of(encoder, "BitrateLimit"),
        f"{told} {profile_name} {text_of(encoder, 'Name')}",
    )


def encoding_of(
    codec: str, edges: tuple[object, object], fps: object, gop: object, bitrate_kbps: object, names: str = ""
) -> Encoding:
    """Make an encoding of a stranger's texts or numbers; what makes no sense becomes 0. `names` may tell of H.264+."""
    rate = _number(fps)
    return Encoding(
        codec=_codec(codec),
        width=_whole(edges[0], PIXELS_MAX),
        height=_whole(edges[1], PIXELS_MAX),
        fps=rate if rate <= FPS_MAX else 0.0,
        gop=_whole(gop, NUMBER_MAX),
        bitrate_kbps=_whole(bitrate_kbps, NUMBER_MAX),
        is_smart=bool(_SMART.search(names)),
    )


def _codec(told: str) -> str:
    plain = re.sub(r"[^A-Z0-9]", "", told.upper())
    return {"HEVC": "H265", "AVC": "H264", "MJPEG": "JPEG"}.get(plain, plain[:16])


def _number(told: object) -> float:
    try:
        number = float(told) if isinstance(told, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _whole(told: object, highest: int) -> int:
    number = _number(told)
    return int(number) if number <= highest else 0


def choose_profile(profiles: Sequence[Profile], wanted: str = "") -> Profile | None:
    """Choose what to record; None if nothing can be, or if there is none of the wanted name or token.

    What is named `wanted` comes first; else video before single pictures (JPEG), then what the camera calls main, then
    most pixels, then the first.
    """
    usable = [profile for profile in profiles if profile.encoding.codec in CODECS]
    if wanted:
        word = wanted.casefold()
        named = [profile for profile in usable if word in (profile.token.casefold(), profile.name.casefold())]
        return named[0] if named else None
    return max(usable, key=_merit, default=None)


def is_called_sub(profile: Profile) -> bool:
    """Whether the camera itself calls it a smaller stream beside the main one."""
    return any(_SUB.search(text) for text in (profile.name, profile.token))


def _merit(profile: Profile) -> tuple[bool, int, int]:
    encoding = profile.encoding
    is_main = any(_MAIN.search(text) for text in (profile.name, profile.token))
    return encoding.codec != "JPEG", is_main - is_called_sub(profile), encoding.width * encoding.height
