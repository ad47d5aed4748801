"""The codecs that cameras send and an exact cut understands."""

from __future__ import annotations

from typing import Final

from agent.cut import h264, h265, jpeg, rtp_h264, rtp_h265, rtp_jpeg
from agent.cut.bits import annex_b
from agent.cut.codec import Codec
from agent.cut.h264_ids import AVC
from agent.cut.h264_references import ReferenceProof
from agent.cut.h265_ids import HEVC
from agent.errors import BadInputError

H264: Final = Codec(
    name="h264",
    encoding="H264",
    decoder="h264",
    payload_format=rtp_h264.H264Payload,
    announced_sets=rtp_h264.announced_sets,
    is_known=h264.is_known,
    is_slice=h264.is_slice,
    is_set=h264.is_parameter_set,
    is_leader=h264.is_leader,
    is_kept=h264.is_kept,
    is_end=h264.is_end,
    begins_picture=h264.begins_picture,
    kind=h264.picture_kind,
    parameter_sets=h264.parameter_sets,
    form=h264.picture_form,
    stream=annex_b,
    proof=ReferenceProof,
    clip=AVC,
)
H265: Final = Codec(
    name="h265",
    encoding="H265",
    decoder="hevc",
    payload_format=rtp_h265.H265Payload,
    announced_sets=rtp_h265.announced_sets,
    is_known=h265.is_known,
    is_slice=h265.is_slice,
    is_set=h265.is_parameter_set,
    is_leader=h265.is_leader,
    is_kept=h265.is_kept,
    is_end=h265.is_end,
    begins_picture=h265.begins_picture,
    kind=h265.picture_kind,
    parameter_sets=h265.parameter_sets,
    form=h265.picture_form,
    stream=annex_b,
    clip=HEVC,
)
JPEG: Final = Codec(
    name="jpeg",
    encoding="JPEG",
    decoder="mjpeg",
    payload_format=rtp_jpeg.JpegPayload,
    announced_sets=lambda _fmtp: [],
    is_known=jpeg.is_picture,
    is_slice=jpeg.is_picture,
    is_set=jpeg.is_nothing,
    is_leader=jpeg.is_nothing,
    is_kept=jpeg.is_nothing,
    is_end=jpeg.is_nothing,
    begins_picture=jpeg.is_picture,
    kind=jpeg.picture_kind,
    parameter_sets=jpeg.parameter_sets,
    form=jpeg.picture_form,
    stream=b"".join,
)
_BY_ENCODING: Final = {codec.encoding: codec for codec in (H264, H265, JPEG)}


def codec_of(encoding: str) -> Codec:
    """Return the codec of an SDP's encoding name. Raises BadInputError for one that cannot be cut."""
    codec = _BY_ENCODING.get(encoding.upper())
    if codec is None:
        raise BadInputError(
            f"codec not supported: {encoding[:32]}", cure="set the camera's recorded stream to H.264 or H.265"
        )
    return codec
