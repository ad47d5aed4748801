"""What the child is asked about one key picture, and what it says: numbers, not pictures, unless a snapshot is asked.

Rules of this file: the child has met a camera's bytes; every number has its range and every field its size. The
sketches (`edges`, `samples`) are for the next child only: the daemon keeps them in memory and never looks inside.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.clock import WallTime

EDGE_COLUMNS: Final = 128
EDGE_ROWS: Final = 72
EDGE_BYTES: Final = EDGE_COLUMNS * EDGE_ROWS
SAMPLES: Final = 4096
SNAPSHOT_BYTES_MAX: Final = 512 * 1024
SIDE_PIXELS_MAX: Final = 16_384
_ALL: Final = 1000

Permille = Annotated[int, Meta(ge=0, le=_ALL)]
Luma = Annotated[int, Meta(ge=0, le=255)]
Edges = Annotated[bytes, Meta(min_length=EDGE_BYTES, max_length=EDGE_BYTES)]
"""How strong the edges are beside those around them, row by row: the scene's lines whatever the light."""

Samples = Annotated[bytes, Meta(min_length=SAMPLES, max_length=SAMPLES)]
"""Brightness at scattered places, exactly as decoded."""


class LookOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key picture is compared with."""

    scenes: Annotated[tuple[Edges, ...], Meta(max_length=2)] = ()  # what the camera is known to see, by day, by night
    before: Samples | None = None  # the key picture judged last
    snapshot_bytes_max: Annotated[int, Meta(ge=0, le=SNAPSHOT_BYTES_MAX)] = 0  # 0: none is made


NOTHING_KNOWN: Final = LookOrder()


class StillOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large a picture of the camera's own making may come back, and the shape of its stream (0: not known)."""

    snapshot_bytes_max: Annotated[int, Meta(ge=0, le=SNAPSHOT_BYTES_MAX)] = 0
    width: Annotated[int, Meta(ge=0, le=SIDE_PIXELS_MAX)] = 0
    height: Annotated[int, Meta(ge=0, le=SIDE_PIXELS_MAX)] = 0


NO_STILL: Final = StillOrder()


class Signs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured of one key picture."""

    taken: WallTime
    width: Annotated[int, Meta(ge=1, le=SIDE_PIXELS_MAX)]
    height: Annotated[int, Meta(ge=1, le=SIDE_PIXELS_MAX)]
    brightness: Luma  # mean
    lightest: Luma  # nine of ten parts of the picture are darker
    white: Permille  # pixels at the white end
    detail: Permille  # tenths of a luma step per pixel: nine of ten parts of the picture have no steeper lines
    sharpness: Permille | None  # how steep lines are for their height, which light does not change; None: too few lines
    colour: Luma  # mean distance from grey; a camera that sees by infrared has next to none
    edges: Edges
    samples: Samples
    likeness: tuple[Permille, ...]  # of each scene in the order: parts of the picture that show the same lines
    changed: Permille | None  # of the samples, since the picture before; None without one
    changed_within: Permille | None = None  # the same, of the part of the picture that stands in the middle by this


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The child's answer."""

    signs: Signs
    jpeg: Annotated[bytes, Meta(max_length=SNAPSHOT_BYTES_MAX)] = b""  # the owner's masks are painted over
