"""A codec and the form of a clip's pictures become an encoder whose pictures sit beside the camera's.

Rules of this file: one key picture, then only pictures that refer to the one before;
nothing of the encoder's own, such as its name and settings, is written into the stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, cast

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from agent.clock import SECOND_NS
from agent.cut.codec import ClipForm, PictureForm
from agent.cut.decode import THREADS
from agent.cut.mp4 import TIMESCALE_HZ

_QUALITY_CRF: Final = 20
_LARGE_PIXELS: Final = 2560 * 1440  # pictures over this size are encoded with less effort
_PROFILES: Final = {66: "baseline", 77: "main"}
_FORMATS: Final = {
    (1, 8): ("yuv420p", "yuvj420p"),
    (2, 8): ("yuv422p", "yuvj422p"),
    (3, 8): ("yuv444p", "yuvj444p"),
    (1, 10): ("yuv420p10le",),
    (2, 10): ("yuv422p10le",),
    (3, 10): ("yuv444p10le",),
}
"""libav's names by chroma format and bit depth; the second is of full range."""


def fitted(frame: VideoFrame, form: PictureForm) -> VideoFrame:
    """Return the frame in the clip's size and pixel format, untouched if it has them."""
    names = _FORMATS.get((form.chroma_format, form.bit_depth), _FORMATS[1, 8])
    name = frame.format.name
    if name not in names:
        name = names[-1] if name.startswith("yuvj") else names[0]
    if (frame.width, frame.height, frame.format.name) == (form.width, form.height, name):
        return frame
    return frame.reformat(form.width, form.height, name)


def open_encoder(
    clip: ClipForm, form: PictureForm, like: VideoFrame, step_ns: int, peak_kbit: int
) -> VideoCodecContext:
    """Make an encoder for frames like this one, `step_ns` apart: profile, level, colours and buffer are the source's.

    `peak_kbit` caps a second, 0 nothing: how much a camera sends tells what moves under a mask, and what a cap does
    depends on the threads' timing.
    Raises FFmpegError if there is none.
    """
    try:
        return _open(clip, form, like, step_ns, peak_kbit, form.level)
    except FFmpegError:  # cameras state levels that their pictures do not keep to
        return _open(clip, form, like, step_ns, peak_kbit, "")


def _open(
    clip: ClipForm, form: PictureForm, like: VideoFrame, step_ns: int, peak_kbit: int, level: str
) -> VideoCodecContext:
    encoder = cast(VideoCodecContext, av.CodecContext.create(clip.encoder, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = like.width, like.height, like.format.name
    encoder.time_base = Fraction(1, TIMESCALE_HZ)
    encoder.framerate = Fraction(SECOND_NS, max(step_ns, 1)).limit_denominator(1001)
    encoder.thread_count = THREADS
    encoder.color_range, encoder.colorspace = like.color_range, like.colorspace
    encoder.color_primaries, encoder.color_trc = like.color_primaries, like.color_trc
    peak = {"vbv-maxrate": str(peak_kbit), "vbv-bufsize": str(2 * peak_kbit)} if peak_kbit else {}
    encoder.options = _OPTIONS[clip.encoder](form, like, level, peak)
    encoder.open()
    return encoder


def _x264_options(form: PictureForm, like: VideoFrame, level: str, peak: Mapping[str, str]) -> dict[str, str]:
    # Each picture of lookahead takes 6 MiB of memory in 1080p and makes the edge no smaller.
    parameters = {**_EVERY, **peak, "keyint": "infinite", "rc-lookahead": "2", "sync-lookahead": "0"}
    # Finer motion and more references make an edge 4 % smaller, and take a quarter more time until its first byte.
    parameters |= {"sliced-threads": "0", "subme": "1", "me": "dia", "ref": "1", "weightp": "0"}
    if level:
        parameters["level"] = level
    if form.references_max:  # an equal picture buffer: no decoder may drop pictures where the SPS changes (C.4.4)
        parameters["dpb-size"] = str(form.references_max)
    preset = "veryfast" if like.width * like.height <= _LARGE_PIXELS else "superfast"
    options = {"preset": preset, "crf": str(_QUALITY_CRF), "x264-params": _joined(parameters)}
    if like.format.name in _FORMATS[1, 8]:
        options["profile"] = _PROFILES.get(form.profile, "high")
    return options


def _x265_options(_form: PictureForm, _like: VideoFrame, level: str, peak: Mapping[str, str]) -> dict[str, str]:
    """Choose what costs the least memory, for pictures of 4K: no lookahead, one reference, one picture at a time."""
    parameters = {**_EVERY, **peak, "keyint": "-1", "open-gop": "0", "rc-lookahead": "0", "cutree": "0", "ref": "1"}
    parameters |= {"frame-threads": "1", "pools": str(THREADS), "info": "0", "log-level": "none"}
    if level:
        parameters["level-idc"] = level
    return {"preset": "superfast", "crf": str(_QUALITY_CRF), "x265-params": _joined(parameters)}


_EVERY: Final = {"scenecut": "0", "bframes": "0", "repeat-headers": "1"}
_OPTIONS: Final = {"libx264": _x264_options, "libx265": _x265_options}
"""By the encoder's name in libav."""


def _joined(parameters: Mapping[str, str]) -> str:
    return ":".join(f"{name}={value}" for name, value in parameters.items())
