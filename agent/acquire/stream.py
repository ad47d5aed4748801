"""What a camera's stream is: its name, its tracks, and the header that lets its wire bytes be read back for ever."""

from __future__ import annotations

from typing import Final, NewType

import msgspec

from agent.errors import BadInputError

CameraId = NewType("CameraId", str)
"""1-32 characters of `a-z 0-9 -`: the camera's stable name in policies, commands, chunks and manifests."""

STREAM_HEADER_BYTES_MAX = 64 * 1024
TRACKS_MAX: Final = 2  # the video, and one of sound
CHANNEL_MAX: Final = 254  # of RTP; its RTCP comes on the next one
PAYLOAD_TYPE_MAX: Final = 127
CLOCK_RATE_HZ_MAX: Final = 10_000_000
SOUND_CHANNELS_MAX: Final = 8


class Track(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One track of an RTSP session that was set up: RTP comes on `channel`, its RTCP on `channel + 1`."""

    channel: int
    media: str  # "video" or "audio"
    encoding: str  # as in the SDP's rtpmap, upper case: "H264", "H265", "JPEG", "MPEG4-GENERIC", "PCMU" ...
    payload_type: int
    clock_rate_hz: int
    fmtp: str = ""  # the SDP's format parameters, as sent
    sound_channels: int = 0  # of an "audio" track: 1 mono, 2 stereo ... 8; 0 for video, and where nobody noted it


class StreamHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stored (as JSON) in the ring at the head of each run and again in each new slab the run reaches."""

    camera: CameraId
    run: int  # identifies one unbroken mapping of camera time to hub time; unique on this hub, rises
    tracks: tuple[Track, ...]  # the video track first, then at most one of sound
    name: str = ""  # what the camera calls itself, for people
    sdp: str = ""  # as received

    @property
    def video(self) -> Track:
        """The video track, whose RTP clock times the chunks."""
        return self.tracks[0]


def encode_stream_header(header: StreamHeader) -> bytes:
    """Write a header as JSON; raises BadInputError if it could not be read back, or is too long."""
    _check(header)
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
    _check(header)
    return header


def _check(header: StreamHeader) -> None:
    tracks = header.tracks
    if not tracks or tracks[0].media != "video":
        raise BadInputError("a stream header without a video track first")
    if len(tracks) > TRACKS_MAX or any(track.media != "audio" for track in tracks[1:]):
        raise BadInputError("a stream header with more than a video track and one of sound")
    is_within_limits = all(
        0 <= track.channel <= CHANNEL_MAX
        and 0 <= track.payload_type <= PAYLOAD_TYPE_MAX
        and 0 < track.clock_rate_hz <= CLOCK_RATE_HZ_MAX
        and 0 <= track.sound_channels <= SOUND_CHANNELS_MAX
        for track in tracks
    )
    if not is_within_limits:
        raise BadInputError("a stream header with a track beyond the limits")
    if share_channel(tracks):
        raise BadInputError("a stream header whose tracks share a channel")


def share_channel(tracks: tuple[Track, ...]) -> bool:
    """Whether any two tracks want the same channel for their RTP or RTCP."""
    taken = [channel for track in tracks for channel in (track.channel, track.channel + 1)]
    return len(set(taken)) < len(taken)
