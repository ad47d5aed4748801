"""A decoded picture is painted over where the owner's masks cover it, before a coder or a code reader sees it.

Rules of this file: every plane of every picture, and in a copy, since the decoder still looks at the original; a
format whose samples are not understood is refused, never passed on unpainted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from agent.consent.mask import Masks
from agent.cut.masks import BLOCK_PIXELS, covered_blocks
from agent.errors import BadInputError

_BITS_OF_A_BYTE: Final = 8
_BITS_MAX: Final = 16


def paint(frame: VideoFrame, masks: Masks) -> None:
    """Fill the covered blocks with the middle of each component's range: a flat grey, full range or not, YUV or RGB.

    Raises BadInputError if the format is not planar, one plane for each component, 8 to 16 bits in native order.
    """
    if not masks:
        return
    layout = frame.format
    if not _is_understood(layout):
        raise BadInputError(f"pictures of format {layout.name} cannot be masked", cure="choose H.264 at the camera")
    frame.make_writable()
    rows = covered_blocks(masks, frame.width, frame.height)
    for component in layout.components:
        plane = frame.planes[component.plane]
        step_x, step_y = _steps(layout, is_chroma=component.is_chroma)
        _fill(plane, component.bits, _blocks(rows, step_x, step_y))


def _blocks(rows: Sequence[Sequence[tuple[int, int]]], step_x: int, step_y: int) -> Iterator[tuple[range, range]]:
    """Yield lines and columns of a plane that are covered, also beyond its edges."""
    for row, runs in enumerate(rows):
        for begin, end in runs:
            yield range(row * step_y, (row + 1) * step_y), range(begin * step_x, end * step_x)


def _fill(plane: VideoPlane, bits: int, blocks: Iterable[tuple[range, range]]) -> None:
    sample_bytes = 1 if bits <= _BITS_OF_A_BYTE else 2
    middle = (1 << (bits - 1)).to_bytes(sample_bytes, sys.byteorder)
    octets = memoryview(plane).cast("B")
    for lines, columns in blocks:
        grey = middle * (min(columns.stop, plane.width) - columns.start)
        for line in lines[: max(0, plane.height - lines.start)]:
            at = line * plane.line_size + columns.start * sample_bytes
            octets[at : at + len(grey)] = grey


def _is_understood(layout: VideoFormat) -> bool:
    bits = [component.bits for component in layout.components]
    return (
        len({component.plane for component in layout.components}) == len(layout.components) > 0
        and all(_BITS_OF_A_BYTE <= count <= _BITS_MAX for count in bits)
        and not (layout.has_palette or layout.is_big_endian or layout.is_bit_stream)
    )


def _steps(layout: VideoFormat, *, is_chroma: bool) -> tuple[int, int]:
    """Return the samples of a plane in one block, across and down: 16, 8 or 4."""
    if not is_chroma:
        return BLOCK_PIXELS, BLOCK_PIXELS
    return layout.chroma_width(BLOCK_PIXELS), layout.chroma_height(BLOCK_PIXELS)
