"""What an exact cut must know of a codec, as one table of functions: H.264, H.265 and JPEG each fill it in.

Rules of this file: types only. A function here that reads a camera's bytes raises BadInputError and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Protocol

from msgspec import Struct

ParameterSets = Mapping[tuple[int, int], bytes]
"""NAL units of parameter sets by (NAL type, id)."""

Renumbering = Mapping[tuple[int, int], int]
"""New id by (NAL type, old id)."""


class PictureKind(Enum):
    """What a picture may refer to."""

    CLOSED = auto()  # to nothing; nothing behind it refers to what is before it. H.264: IDR; H.265: IDR, BLA; JPEG: all
    OPEN = auto()  # to nothing; its SKIPPED pictures may refer to what is before it. H.265: CRA
    RECOVERY = auto()  # to nothing; nor does, says the camera, what is shown behind it. H.264: recovery point
    LEADING = auto()  # shown before the CLOSED or OPEN picture it follows, refers to nothing before that. H.265: RADL
    SKIPPED = auto()  # the same, but refers to what is before that picture, too. H.265: RASL
    OTHER = auto()


class PictureForm(Struct, frozen=True):
    """What the active parameter sets say about a picture."""

    width: int  # cropped, in pixels
    height: int
    chroma_format: int  # 0: none, 1: 4:2:0, 2: 4:2:2, 3: 4:4:4
    bit_depth: int  # of luma
    is_progressive: bool
    profile: int
    level: str  # as encoders take it, "4.1"; empty if there is none
    references_max: int  # pictures the decoder must be able to hold; 0 if unknown
    why_not_copied: str = ""  # empty if pictures of this form may stand in a clip as they are

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """What all pictures of one clip must share to be copied: size, chroma format and luma depth."""
        return self.width, self.height, self.chroma_format, self.bit_depth


class Proof(Protocol):
    """Follows pictures in decode order from a RECOVERY picture on."""

    def take(self, nals: Sequence[bytes], sets: ParameterSets) -> bool:
        """Say whether the next picture is proven to need nothing from before the first one taken."""

    def adapt(self, nals: Sequence[bytes], sets: ParameterSets) -> tuple[bytes, ...]:
        """Take the next picture, and return what a decoder that began at the first must get in its place.

        Perhaps nothing. Raises BadInputError once nothing is proven.
        """


class PayloadFormat(Protocol):
    """Takes RTP payloads of one track apart (RFC 6184, 7798, 2435)."""

    @property
    def is_pending(self) -> bool:
        """Whether the beginning of something came, and its end is still to come."""

    def take(self, payload: bytes, *, is_marked: bool) -> Iterable[bytes | None]:
        """Give the NAL units (or JPEG pictures) that end in this payload; None where something was lost.

        Raises BadInputError if a limit is passed.
        """

    def drop(self) -> None:
        """Forget what is pending: packets are missing."""


class ClipForm(Struct, frozen=True):
    """How pictures of a codec stand in a clip, and what the hub does with them there (ISO/IEC 14496-15)."""

    sample_entry: bytes  # "avc1"
    configuration_box: bytes  # "avcC"
    configuration: Callable[[ParameterSets], bytes]  # that box's content for these sets
    repeats_sets: bool  # all sets stand before every sync sample too
    encoder: str  # libav's name
    fresh_ids: Callable[[Iterable[tuple[int, int]], ParameterSets], Renumbering]
    renumber_set: Callable[[bytes, Renumbering], bytes]
    renumber_slice: Callable[[bytes, Renumbering], bytes]
    as_first: Callable[[Sequence[bytes]], tuple[bytes, ...]]  # NAL units of a picture with which a copied run begins


class Codec(Struct, frozen=True):
    """A codec that cameras send."""

    name: str  # as reports have it
    encoding: str  # as SDP has it (RFC 4855)
    decoder: str  # libav's name
    payload_format: Callable[[str], PayloadFormat]  # made of the SDP's format parameters
    announced_sets: Callable[[str], list[bytes]]  # of the SDP's format parameters
    is_known: Callable[[bytes], bool]  # a NAL unit to keep; others are nobody's
    is_slice: Callable[[bytes], bool]
    is_set: Callable[[bytes], bool]
    is_leader: Callable[[bytes], bool]  # behind a slice, this NAL unit begins the next picture
    is_kept: Callable[[bytes], bool]  # a NAL unit that a clip may hold
    is_end: Callable[[bytes], bool]  # a NAL unit after which decoding begins anew
    begins_picture: Callable[[bytes], bool]  # a slice
    kind: Callable[[Sequence[bytes]], PictureKind]  # of the NAL units of a whole picture
    parameter_sets: Callable[[Iterable[bytes]], dict[tuple[int, int], bytes]]
    form: Callable[[ParameterSets, bytes], PictureForm]  # of a slice under these sets
    stream: Callable[[Iterable[bytes]], bytes]  # NAL units as libav's decoder takes them
    proof: Callable[[], Proof] | None = None  # None: no picture of it is RECOVERY
    clip: ClipForm | None = None  # None: cannot stand in a clip, must be re-encoded
