"""In the child process a decoded key picture becomes the few numbers by which the daemon judges a camera's health.

Rules of this file: it measures and does not judge; whatever the picture's size, the work is done on
960 by 540 pixels; nothing is random, so the same picture gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import cv2
import numpy as np
from av.video.frame import VideoFrame

from agent.clock import WallTime
from agent.consent.mask import Masks
from agent.cut.clip import CutOrder, WireChunk
from agent.cut.decode import decode_units
from agent.cut.depacketize import depacketize
from agent.cut.look import EDGE_COLUMNS, EDGE_ROWS, SAMPLES, Look, LookOrder, Signs
from agent.cut.paint import paint
from agent.cut.tracing import trace
from agent.errors import BadInputError

_FINE: Final = (960, 540)
_COARSE: Final = (160, 90)  # what a lens that lost its focus smears is finer than a pixel of this
_COLUMNS, _ROWS = 16, 9  # cells
_MOST: Final = 0.9  # of the cells: what covers the others is a caption, a lamp, a window
_WHITE: Final = 245
_EDGE_MIN: Final = 3.0  # luma steps from one coarse pixel to the next
_CELL: Final = 8  # of the edge map, both ways
_PLAY: Final = 1  # edge map pixels that a mast may sway
_TEXTURE_MIN: Final = 12.0  # standard deviation of a cell with lines worth comparing
_SAME_MIN: Final = 0.5  # correlation of two cells that show the same lines
_CELLS_MIN: Final = 12  # fewer with lines tell nothing
_EQUAL_STEPS: Final = 1  # a frozen picture that is coded again comes out this much different
_PRIME: Final = 2_654_435_761  # scatters the samples (Knuth's multiplicative hash)
_QUALITIES: Final = (85, 70, 50, 30)
_SNAPSHOT_COLUMNS: Final = (1920, 1280, 640)

Gray = np.ndarray[Any, np.dtype[np.uint8]]
Field = np.ndarray[Any, np.dtype[np.float32]]


def look(order: CutOrder, asked: LookOrder, chunks: Iterable[WireChunk]) -> Look:
    """Measure the first key picture of the chunks. Raises BadInputError if none of it can be decoded."""
    cv2.setNumThreads(1)
    units = depacketize(order.headers, chunks)
    tracing = trace(units)
    starts = sorted(index for index, start in tracing.decode_from.items() if start == index)
    for index in starts[:1]:
        for _, frame in decode_units(units, tracing, [index]):
            signs = measure(frame, units[index].time, asked)
            return Look(signs, _masked_snapshot(frame, order.masks, asked.snapshot_bytes_max))
    raise BadInputError("no key picture could be decoded")


def measure(frame: VideoFrame, taken: WallTime, asked: LookOrder) -> Signs:
    """Measure one picture and compare it with what is known."""
    gray = np.ascontiguousarray(frame.reformat(format="gray").to_ndarray())
    fine = _resized(gray, *_FINE)
    soft = np.asarray(cv2.GaussianBlur(fine, (3, 3), 0), np.uint8)
    samples, edges = _samples(gray), _edges(fine)
    steep = _steepest(_slopes(soft))
    changes = None if asked.before is None else _changes(samples, asked.before)
    return Signs(
        taken=taken,
        width=frame.width,
        height=frame.height,
        brightness=round(float(fine.mean())),
        lightest=round(_ranked(_in_cells(fine).mean(2), _MOST)),
        white=_permille(float((fine >= _WHITE).mean())),
        detail=min(1000, round(_ranked(steep, _MOST) * 10)),
        sharpness=_sharpness(steep, _steepest(_slopes(_resized(soft, *_COARSE)))),
        colour=_colour(frame),
        edges=edges.tobytes(),
        samples=samples.tobytes(),
        likeness=tuple(_likeness(edges, scene) for scene in asked.scenes),
        changed=None if changes is None else _permille(float(changes.mean())),
        changed_within=None if changes is None else _permille(_ranked(_by_part(changes, gray), 0.5)),
    )


def snapshot(frame: VideoFrame, bytes_max: int) -> bytes:
    """Write a picture as JPEG, smaller and coarser until it fits; empty if it cannot."""
    picture = frame.reformat(format="bgr24").to_ndarray()
    for columns in _SNAPSHOT_COLUMNS:
        columns_now = min(columns, frame.width)
        shrunk = _resized(picture, columns_now, max(1, frame.height * columns_now // frame.width))
        for quality in _QUALITIES:
            _, jpeg = cv2.imencode(".jpg", shrunk, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(jpeg) <= bytes_max:
                return jpeg.tobytes()
    return b""


def _resized(picture: Any, columns: int, rows: int) -> Any:  # noqa: ANN401 - cv2's arrays are untyped
    is_smaller = columns < picture.shape[1]
    return cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR)


def _slopes(gray: Gray) -> Field:
    """Return how much brightness changes from pixel to pixel."""
    across = cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(cv2.magnitude(across, down), np.float32)


def _masked_snapshot(frame: VideoFrame, masks: Masks, bytes_max: int) -> bytes:
    """Write a picture with the owner's masks in its pixels; empty if this format cannot be masked."""
    if not bytes_max:
        return b""
    try:
        paint(frame, masks)
    except BadInputError:
        return b""
    return snapshot(frame, bytes_max)


def _in_cells(field: Any) -> Any:  # noqa: ANN401 - cv2's arrays are untyped
    """Return rows x columns x values: a caption or a window fills few cells, a lens fills them all."""
    high, wide = field.shape[0] // _ROWS, field.shape[1] // _COLUMNS
    return field.reshape(_ROWS, high, _COLUMNS, wide).swapaxes(1, 2).reshape(_ROWS, _COLUMNS, high * wide)


def _ranked(values: Any, share: float) -> float:  # noqa: ANN401 - of any kind of number
    """Return the value that this share of them does not pass. numpy.percentile loads code, which nothing may by now."""
    place = int((values.size - 1) * share)
    return float(np.partition(values, place, axis=None)[place])


def _steepest(slopes: Field) -> Field:
    """Return how steep the steepest twentieth of each cell is, at least."""
    cells = _in_cells(slopes)
    place = cells.shape[2] * 19 // 20
    return np.asarray(np.partition(cells, place, axis=2)[:, :, place], np.float32)


def _sharpness(fine: Field, coarse: Field) -> int | None:
    """Compare slopes with those of a coarse picture, which show how high the edges are, where there are any."""
    has_edges = coarse >= _EDGE_MIN
    if has_edges.sum() < _CELLS_MIN:
        return None
    return _permille(_ranked(fine[has_edges] / coarse[has_edges], 0.5))


def _edges(fine: Gray) -> Gray:
    """Return how strong each edge is beside those around it, at `EDGE_ROWS` by `EDGE_COLUMNS`."""
    small = cv2.GaussianBlur(_resized(fine, EDGE_COLUMNS * 2, EDGE_ROWS * 2), (3, 3), 0)
    slopes = cv2.resize(_slopes(small), (EDGE_COLUMNS, EDGE_ROWS), interpolation=cv2.INTER_AREA)
    around = cv2.blur(slopes, (17, 17))
    return np.asarray(np.clip(slopes / (around + 1.0) * 64, 0, 255), np.uint8)


def _likeness(edges: Gray, scene: bytes) -> int:
    """Return how many parts of a known scene, of those that have lines, still show them; 1000 if too few have any."""
    known = np.frombuffer(scene, np.uint8).reshape(EDGE_ROWS, EDGE_COLUMNS)
    same = compared = 0
    for top in range(_PLAY, EDGE_ROWS - _CELL - _PLAY + 1, _CELL):
        for left in range(_PLAY, EDGE_COLUMNS - _CELL - _PLAY + 1, _CELL):
            cell = known[top : top + _CELL, left : left + _CELL]
            if cell.std() < _TEXTURE_MIN:
                continue
            near = edges[top - _PLAY : top + _CELL + _PLAY, left - _PLAY : left + _CELL + _PLAY]
            compared += 1
            same += float(cv2.matchTemplate(near, cell, cv2.TM_CCOEFF_NORMED).max()) >= _SAME_MIN
    return _permille(same / compared) if compared >= _CELLS_MIN else 1000


def _samples(gray: Any) -> Any:  # noqa: ANN401 - cv2's arrays are untyped
    return gray.reshape(-1)[_places(gray.size)]


def _places(pixels: int) -> Any:  # noqa: ANN401 - numpy's types of numbers say nothing here
    scattered = np.arange(1, SAMPLES + 1, dtype=np.uint64) * _PRIME % (1 << 32)
    return (scattered * pixels >> np.uint64(32)).astype(np.int64)


def _changes(samples: Any, before: bytes) -> Any:  # noqa: ANN401 - as above
    """Return which samples are others than before, as numbers 0 and 1."""
    steps = np.abs(samples.astype(np.int16) - np.frombuffer(before, np.uint8))
    return (steps > _EQUAL_STEPS).astype(np.float32)


def _by_part(changes: Any, gray: Any) -> Any:  # noqa: ANN401 - as above
    """Return the share that has changed of each cell of the picture: a clock in it changes few of them."""
    rows, columns = np.divmod(_places(gray.size), gray.shape[1])
    cells = rows * _ROWS // gray.shape[0] * _COLUMNS + columns * _COLUMNS // gray.shape[1]
    parts = _COLUMNS * _ROWS
    counts = np.bincount(cells, minlength=parts)
    return np.bincount(cells, changes, parts)[counts > 0] / counts[counts > 0]


def _colour(frame: VideoFrame) -> int:
    small = frame.reformat(width=64, height=36, format="yuv444p").to_ndarray()
    return round(float(np.abs(small[1:].astype(np.int16) - 128).mean()))


def _permille(share: float) -> int:
    return min(1000, max(0, round(share * 1000)))
