"""A camera's description of its stream (SDP, RFC 4566) to the tracks it offers and the URLs that control them.

Rules of this file: cameras write sloppy SDP, so what cannot be read is passed over;
what is used is bounded and printable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from agent.acquire.timeline import VIDEO_CLOCK_HZ
from agent.errors import BadInputError

SDP_BYTES_MAX: Final = 32 * 1024
LINES_MAX: Final = 1000
TRACKS_MAX: Final = 16
URL_BYTES_MAX: Final = 2048
FMTP_BYTES_MAX: Final = 8 * 1024
CLOCK_RATE_HZ_MAX: Final = 10_000_000
# Payload types whose encoding RFC 3551 fixes; the video encodings the recorder can find key pictures in.
_STATIC: Final = {0: ("PCMU", 8000), 8: ("PCMA", 8000), 26: ("JPEG", 90_000)}
_RECORDABLE: Final = ("H264", "H265", "JPEG")
_MEDIA: Final = re.compile(
    r"m=([A-Za-z]{1,20})\s+\S+\s+\S+\s+([0-9]{1,3})(?!\S)"
)  # media, port, protocol, first format
_RTPMAP: Final = re.compile(r"(\d{1,3})[ \t]+([A-Za-z0-9._-]{1,40})[ \t]*/[ \t]*(\d{1,9})")
_ALLOWED_URL: Final = re.compile(
    r"[!-~]+"
)  # printable ASCII without blanks: nothing can be smuggled into a request line


@dataclass(frozen=True, slots=True)
class OfferedTrack:
    """One media section: what it carries and the absolute URL that SETUP takes."""

    media: str
    encoding: str  # upper case; empty if the camera does not say
    payload_type: int
    clock_rate_hz: int
    fmtp: str
    control_url: str


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
            if track.media == "video" and track.encoding in _RECORDABLE and track.clock_rate_hz == VIDEO_CLOCK_HZ:
                return track
        offered = ", ".join(f"{track.media} {track.encoding or 'of unknown encoding'}" for track in self.tracks)
        raise BadInputError(
            f"the camera offers no video that can be recorded (it offers {offered or 'nothing'})",
            cure="set the stream to H.264 or H.265 in the camera's own settings",
        )


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
    control_url = _resolved(_attribute(session, "control"), base_url)
    # A relative track URL is resolved against an absolute session URL if there is one, as live555 and FFmpeg do.
    tracks = (_track(section, control_url) for section in sections[:TRACKS_MAX])
    return SessionDescription(text, control_url, tuple(track for track in tracks if track is not None))


def usable_url(url: str) -> str:
    """Return `url` without userinfo if it can stand in an RTSP request line, else an empty string."""
    if len(url) > URL_BYTES_MAX or not _ALLOWED_URL.fullmatch(url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:  # a broken IPv6 address
        return ""
    if parts.scheme.lower() not in {"rtsp", "rtspu"} or not parts.netloc:
        return ""
    # A camera may echo the login of another client in its URLs; it is never sent, shown or stored.
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


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
    track = OfferedTrack(media, encoding, payload_type, clock_rate_hz, "", _resolved("", base_url))
    for line in section[1:]:
        name, _, setting = line.partition(":")
        mapped = _RTPMAP.match(setting.strip()) if name.lower() == "a=rtpmap" else None
        if mapped is not None and int(mapped[1]) == payload_type and 0 < int(mapped[3]) <= CLOCK_RATE_HZ_MAX:
            track = replace(track, encoding=mapped[2].upper(), clock_rate_hz=int(mapped[3]))
        if name.lower() == "a=fmtp" and setting.split(maxsplit=1)[:1] == [match[2]]:
            track = replace(track, fmtp=setting.strip()[len(match[2]) :].strip()[:FMTP_BYTES_MAX])
    if track.encoding == "HEVC":
        track = replace(track, encoding="H265")
    return replace(track, control_url=_resolved(_attribute(section, "control"), base_url))


def _attribute(section: list[str], name: str) -> str:
    prefix = f"a={name}:"
    return next((line[len(prefix) :].strip() for line in section if line.lower().startswith(prefix)), "")


def _resolved(control: str, base_url: str) -> str:
    """Resolve a control attribute; anything that cannot stand in a request line falls back to the base.

    Cameras mean "append to the base", also after a query string and without the slash that RFC 3986 would need.
    """
    if control in {"", "*"}:
        return base_url
    if re.match(r"[a-zA-Z]+://", control):
        return usable_url(control) or base_url
    if control.startswith("/"):
        parts = urlsplit(base_url)
        return usable_url(f"{parts.scheme}://{parts.netloc}{control}") or base_url
    return usable_url(base_url + ("" if base_url.endswith("/") else "/") + control) or base_url
