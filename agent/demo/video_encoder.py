"""A virtual camera's settings to the encoder it films with: H.264 or H.265."""

from __future__ import annotations

from typing import Final, Protocol

from agent.demo.h264_rtp import AccessUnit, EncoderSettings, H264Encoder, parameter_sets
from agent.demo.h265_rtp import H265Encoder, h265_parameter_sets
from agent.demo.scene import Planes

CODECS: Final = ("H264", "H265")


class Sets(Protocol):
    """A stream's parameter sets."""

    @property
    def fmtp(self) -> str:
        """The SDP's format parameters."""


class Encoder(Protocol):
    """Takes pictures, gives access units."""

    def encode(self, planes: Planes, ticks: int, *, is_key: bool = False) -> list[AccessUnit]:
        """Take one picture; return the access units that are now complete."""


def make_encoder(settings: EncoderSettings) -> Encoder:
    """Make the encoder of `settings.codec`."""
    return H265Encoder(settings) if settings.codec == "H265" else H264Encoder(settings)


def make_sets(settings: EncoderSettings) -> Sets:
    """Find out the parameter sets that such an encoder will send."""
    return h265_parameter_sets(settings) if settings.codec == "H265" else parameter_sets(settings)
