"""Every sample of a clip decoded by itself, past any player: which capture times are drawn in what comes out.

Rules of this file: what the decoder gives counts, damaged or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from agent.demo import block_code
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedTrack

Colours = NDArray[np.uint8]
_DECODERS: Final = {"h264": "h264", "h265": "hevc", "jpeg": "mjpeg"}
_PLANAR: Final = ("yuv4", "yuvj4", "gray", "nv12")  # formats whose first plane is luma of 8 bits


def drawn_ticks(content: bytes, codec: str, track: BoxedTrack) -> Mapping[int, list[int | None]]:
    """Decode a track's samples in order; return the ticks drawn in each sample's pictures (None: unreadable)."""
    decoder = av.CodecContext.create(_DECODERS[codec], "r")
    if not isinstance(decoder, VideoCodecContext):
        raise TypeError(f"{codec} is not video")
    decoder.extradata = track.configuration or None
    decoder.thread_count = 1
    decoder.options = {"flags": "+output_corrupt", "flags2": "+showall", "strict": "1"}
    shown: dict[int, list[int | None]] = defaultdict(list)
    for number, sample in enumerate(track.samples):
        packet = av.Packet(content[sample.begin : sample.end])
        packet.pts = packet.dts = number
        packet.time_base = Fraction(1, 1)
        _note(decoder, packet, shown)
    _note(decoder, None, shown)
    return shown


def _note(decoder: VideoCodecContext, packet: av.Packet[Any] | None, shown: dict[int, list[int | None]]) -> None:
    with suppress(av.FFmpegError):  # what it refuses gives no picture, and that is what counts
        for frame in decoder.decode(packet):
            shown[int(frame.pts or 0)].append(block_code.read(luma(frame)))


def shown_pictures(video: Path) -> tuple[Colours, Colours]:
    """Play a video as players do; return the first and the last picture (height x width x blue, green, red).

    Raises BadInputError if there is none.
    """
    first = last = None
    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                first, last = first or frame, frame
    except (av.FFmpegError, IndexError, OSError) as error:
        raise BadInputError(f"{video.name} cannot be played: {type(error).__name__}") from error
    if first is None or last is None:
        raise BadInputError(f"{video.name} shows no picture")
    return _colours(first), _colours(last)


def _colours(frame: VideoFrame) -> Colours:
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def luma(frame: VideoFrame) -> block_code.Luma:
    """Return a decoded picture's brightness (height x width)."""
    if frame.format.name.startswith(_PLANAR) and frame.format.components[0].bits == 8:  # noqa: PLR2004 - one byte each
        plane = frame.planes[0]
        brightness: block_code.Luma = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[
            :, : frame.width
        ]
        return brightness
    return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
