"""Where the owner wants nothing to be seen: polygons over a camera's picture, burned into whatever of it leaves.

Rules of this file: whole numbers only, so that a mask is the same in every program that reads it; masks are joined,
never cut: of two words about one camera the stricter holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from agent.acquire.stream import CameraId

SIDE_UNITS: Final = 10_000
"""The picture is this wide and this high, whatever its pixels; 0,0 is the upper left corner."""

POLYGONS_MAX: Final = 16  # of one camera in one policy
POINTS_MAX: Final = 32  # of one polygon

Coordinate = Annotated[int, Meta(ge=0, le=SIDE_UNITS)]
Point = tuple[Coordinate, Coordinate]
"""From the left and from the top, in ten-thousandths of the picture's width and height."""

Polygon = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=POINTS_MAX)]
"""Corners in order; the last is joined to the first. Whatever its border winds around is inside; a rectangle has 4."""

Masks = tuple[Polygon, ...]
"""All polygons of one camera."""

CameraMasks = Mapping[CameraId, Masks]


def join_masks(*words: Masks) -> Masks:
    """Return every polygon of several words about one camera, once each, in an order that does not depend on theirs."""
    return tuple(sorted({polygon for masks in words for polygon in masks}))
