"""What a camera's stream is: its name, its tracks, and the header that lets its wire bytes be read back for ever."""

from __future__ import annotations

from typing import NewType

import msgspec

from agent.errors import BadInputError

CameraId = NewType("CameraId", str)
"""1-32 characters of `a-z 0-9 -`: the camera's stable name in policies, commands, chunks and manifests."""

STREAM_HEADER_BYTES_MAX = 64 * 1024


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One track of an RTSP session that was set up: RTP comes on `channel`, its RTCP on `channel + 1`."""

    channel: int
    media: str  # "video" or "audio"
    encoding: str  # as in the SDP's rtpmap, upper case: "H264", "H265", "JPEG", "MPEG4-GENERIC", "PCMU" ...
    payload_type: int
    clock_rate_hz: int
    fmtp: str = ""  # the SDP's format parameters, as sent


class StreamHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stored (as JSON) in the ring at the head of each run and again in each new slab the run reaches."""

    camera: CameraId
    run: int  # identifies one unbroken mapping of camera time to hub time; unique on this hub, rises
    tracks: tuple[Track, ...]  # the video track first
    name: str = ""  # what the camera calls itself, for people
    sdp: str = ""  # as received

    @property
    def video(self) -> Track:
        """The video track, whose RTP clock times the chunks."""
        return self.tracks[0]


def encode_stream_header(header: StreamHeader) -> bytes:
    """Write a header as JSON of at most `STREAM_HEADER_BYTES_MAX` bytes."""
    text = msgspec.json.encode(header)
    if len(text) > STREAM_HEADER_BYTES_MAX:
        raise BadInputError(f"the stream description of {header.camera} has {len(text)} bytes")
    return text


def decode_stream_header(text: bytes) -> StreamHeader:
    """Read a header back; raises BadInputError if it is not one."""
    try:
        header = msgspec.json.decode(text, type=StreamHeader)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not a stream header: {error}") from error
    if not header.tracks or header.tracks[0].media != "video":
        raise BadInputError("a stream header without a video track first")
    return header
