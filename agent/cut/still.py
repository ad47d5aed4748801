"""In the child process a JPEG of the camera's own making becomes one of ours: decoded, masked, coded anew.

Rules of this file: not a byte of what came goes out; where the owner has masks, a picture of another shape than the
stream's may show another part of the scene, so it is refused; whatever the bytes are, only BadInputError is raised.
"""

from __future__ import annotations

from typing import Final

import av
import cv2
from av.error import FFmpegError
from av.video.frame import VideoFrame

from agent.consent.mask import Masks
from agent.cut.look import SIDE_PIXELS_MAX, StillOrder
from agent.cut.measure import snapshot
from agent.cut.paint import paint
from agent.errors import BadInputError

SHAPE_PERMILLE_MAX: Final = 20  # by which width to height may differ: odd numbers of lines
_ALL: Final = 1000


def redraw(picture: bytes, masks: Masks, asked: StillOrder) -> bytes:
    """Return the picture as a JPEG of at most so many bytes, the owner's masks painted over. Raises BadInputError."""
    cv2.setNumThreads(1)
    frame = _decoded(picture)
    if masks and not _has_shape(frame, asked):
        raise BadInputError("the camera's own picture has another shape than its stream, so masks may not fit it")
    paint(frame, masks)
    jpeg = snapshot(frame, asked.snapshot_bytes_max)
    if not jpeg:
        raise BadInputError("the camera's own picture does not fit")
    return jpeg


def _decoded(picture: bytes) -> VideoFrame:
    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.options = {"err_detect": "explode"}
    try:
        frames = [*decoder.decode(av.Packet(picture)), *decoder.decode(None)]
    except (FFmpegError, ValueError) as error:
        raise BadInputError("the camera's own picture cannot be decoded") from error
    if not frames or frames[0].is_corrupt or max(frames[0].width, frames[0].height) > SIDE_PIXELS_MAX:
        raise BadInputError("the camera's own picture cannot be decoded")
    return frames[0]


def _has_shape(frame: VideoFrame, asked: StillOrder) -> bool:
    ours, streams = frame.width * asked.height, asked.width * frame.height
    return streams > 0 and abs(ours - streams) * _ALL <= SHAPE_PERMILLE_MAX * streams
