"""A camera's description of its stream (SDP, RFC 4566) to the tracks it offers and the URLs that control them.

Rules of this file: cameras write sloppy SDP, so what cannot be read is passed over;
what is used is bounded and printable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from agent.acquire.stream import CLOCK_RATE_HZ_MAX, SOUND_CHANNELS_MAX, Track
from agent.acquire.stream_url import resolved
from agent.acquire.timeline import VIDEO_CLOCK_HZ
from agent.errors import BadInputError

SDP_BYTES_MAX: Final = 32 * 1024
LINES_MAX: Final = 1000
TRACKS_MAX: Final = 16
FMTP_BYTES_MAX: Final = 8 * 1024
# Payload types whose encoding RFC 3551 fixes; the video encodings the recorder can find key pictures in.
_STATIC: Final = {0: ("PCMU", 8000), 8: ("PCMA", 8000), 26: ("JPEG", 90_000)}
_PICTURES: Final = frozenset({"H264", "H265", "JPEG"})
# G726 in the bit order of RFC 3551 section 4.5.4, and in ATM's, which the same RFC calls AAL2-.
_SOUNDS: Final = frozenset(
    {"MPEG4-GENERIC", "MP4A-LATM", "PCMU", "PCMA", "OPUS"}
    | {f"{order}G726-{kbits}" for order in ("", "AAL2-") for kbits in (16, 24, 32, 40)}
)
_G726: Final = re.compile(r"(AAL2[-_.]?)?G\.?726[-_.]?(16|24|32|40)")
_MEDIA: Final = re.compile(
    r"m=([A-Za-z]{1,20})\s+\S+\s+\S+\s+([0-9]{1,3})(?!\S)"
)  # media, port, protocol, first format
_RTPMAP: Final = re.compile(
    r"([0-9]{1,3})[ \t]+([A-Za-z0-9._-]{1,40})[ \t]*/[ \t]*([0-9]{1,9})(?:[ \t]*/[ \t]*([0-9]{1,3}))?"
)  # payload type, encoding, clock rate, sound channels


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """One media section: what it carries and the absolute URL that SETUP takes."""

    media: str
    encoding: str  # upper case; empty if the camera does not say
    payload_type: int
    clock_rate_hz: int
    fmtp: str
    control_url: str
    sound_channels: int  # 1 if the camera does not say; 0 for other media
    is_sendonly: bool

    def on(self, channel: int) -> Track:
        """Return the track as it is recorded from `channel`."""
        return Track(
            channel, self.media, self.encoding, self.payload_type, self.clock_rate_hz, self.fmtp, self.sound_channels
        )


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """What DESCRIBE brought. `control_url` is the aggregate URL that PLAY and TEARDOWN take."""

    text: str
    control_url: str
    tracks: tuple[OfferedTrack, ...]

    @property
    def video(self) -> OfferedTrack:
        """The first video track that can be recorded. Raises BadInputError, with what is offered instead."""
        for track in self.tracks:
            if track.media == "video" and track.encoding in _PICTURES and track.clock_rate_hz == VIDEO_CLOCK_HZ:
                return track
        offered = ", ".join(f"{track.media} {track.encoding or 'of unknown encoding'}" for track in self.tracks)
        raise BadInputError(
            f"the camera offers no video that can be recorded (it offers {offered or 'nothing'})",
            cure="set the stream to H.264 or H.265 in the camera's own settings",
        )

    @property
    def sound(self) -> OfferedTrack | None:
        """The first sound track that can be recorded, None if there is none.

        Dahua's and Hikvision's intercoms list their loudspeaker too, marked `sendonly` (from the client's side, ONVIF
        Streaming Specification section 5.3). A camera that marks its video so too means its own side.
        """
        is_own_side = any(track.media == "video" and track.is_sendonly for track in self.tracks)
        for track in self.tracks:
            is_loudspeaker = track.is_sendonly and not is_own_side
            if track.media == "audio" and track.encoding in _SOUNDS and track.clock_rate_hz and not is_loudspeaker:
                return track
        return None


def parse_sdp(body: bytes, base_url: str) -> SessionDescription:
    """Read an SDP; `base_url` is Content-Base, else Content-Location, else the URL asked for (RFC 2326 appendix C.1.1).

    Raises BadInputError if it is too long or no SDP at all.
    """
    if len(body) > SDP_BYTES_MAX:
        raise BadInputError(f"an SDP of {len(body)} bytes (limit {SDP_BYTES_MAX})")
    text = body.decode("utf-8", "replace").rstrip("\0\r\n \t")  # some cameras count the C string's end into the length
    lines = re.split(r"[\r\n]+", text)
    if len(lines) > LINES_MAX:
        raise BadInputError(f"an SDP of {len(lines)} lines (limit {LINES_MAX})")
    session, *sections = _sections([line.strip("\0 \t") for line in lines])
    if not any(line.startswith("v=") for line in session) and not sections:
        raise BadInputError("the camera's description of its stream is not SDP")
    control_url = resolved(_attribute(session, "control"), base_url)
    # A relative track URL is resolved against an absolute session URL if there is one, as live555 and FFmpeg do.
    tracks = (_track(section, control_url) for section in sections[:TRACKS_MAX])
    return SessionDescription(text, control_url, tuple(track for track in tracks if track is not None))


def _sections(lines: list[str]) -> list[list[str]]:
    sections: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            sections.append([])
        sections[-1].append(line)
    return sections


def _track(section: list[str], base_url: str) -> OfferedTrack | None:
    match = _MEDIA.match(section[0])
    if match is None:
        return None
    media, payload_type = match[1].lower(), int(match[2])
    encoding, clock_rate_hz = _STATIC.get(payload_type, ("", 0))
    is_sound, is_sendonly = media == "audio", "a=sendonly" in (line.lower() for line in section)
    control_url = resolved(_attribute(section, "control"), base_url)
    track = OfferedTrack(
        media, encoding, payload_type, clock_rate_hz, _fmtp(section, match[2]), control_url, int(is_sound), is_sendonly
    )
    for line in section[1:]:
        name, _, setting = line.partition(":")
        mapped = _RTPMAP.match(setting.strip()) if name.lower() == "a=rtpmap" else None
        if mapped is None or int(mapped[1]) != payload_type or not 0 < int(mapped[3]) <= CLOCK_RATE_HZ_MAX:
            continue
        channels = int(mapped[4] or 1) if is_sound else 0
        if channels <= SOUND_CHANNELS_MAX:
            track = replace(
                track,
                encoding=_encoding(mapped[2]),
                clock_rate_hz=int(mapped[3]),
                sound_channels=channels or track.sound_channels,
            )
    return track


def _encoding(name: str) -> str:
    """Return the one spelling of an encoding's name that the recorder and the export know."""
    name = name.upper()
    if g726 := _G726.fullmatch(name):
        return f"{'AAL2-' if g726[1] else ''}G726-{g726[2]}"
    return "H265" if name == "HEVC" else name


def _fmtp(section: list[str], payload_type: str) -> str:
    """Return the format parameters of a payload type.

    A section's only ones count even under another number: HIK Media Server V5 writes fmtp 97 for its payload type 104.
    """
    found = [line.partition(":")[2].strip() for line in section if line.lower().startswith("a=fmtp:")]
    parts = [text.split(maxsplit=1) for text in found]
    of_type = [part for part in parts if part[:1] == [payload_type]] or (parts if len(parts) == 1 else [])
    return of_type[-1][1].strip()[:FMTP_BYTES_MAX] if of_type and len(of_type[-1]) > 1 else ""


def _attribute(section: list[str], name: str) -> str:
    prefix = f"a={name}:"
    return next((line[len(prefix) :].strip() for line in section if line.lower().startswith(prefix)), "")
