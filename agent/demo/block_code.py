"""A picture's capture time, drawn into the picture so that a machine can read it back after any re-encoding.

The code is 80 square cells in two rows of 40, dark for 0 and bright for 1: 64 bits of time in 90 kHz ticks since 1970,
most significant first, then their CRC-16 (CCITT, start 0xFFFF). It stands at the lower left, in luma only. A cell's
side is 1/80 of the picture's width: so the code survives scaling and falls on whole transform blocks at 640 pixels.
"""

from __future__ import annotations

import binascii
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

TIME_BITS: Final = 64
CHECK_BITS: Final = 16
ROWS: Final = 2
COLUMNS: Final = (TIME_BITS + CHECK_BITS) // ROWS
CELLS_PER_WIDTH: Final = 80
LEFT_CELLS: Final = 2  # cells of margin at the left
BOTTOM_CELLS: Final = 3  # cells from the code's top to the lower edge
DARK: Final = 32
BRIGHT: Final = 216
_CONTRAST_MIN: Final = 48.0  # below this difference there is no code, only a dark corner


def draw(image: Luma, ticks: int) -> None:
    """Draw `ticks` into a luma plane (height x width, in place); its width must be a multiple of 80."""
    time = ticks.to_bytes(TIME_BITS // 8, "big")
    written = time + _checksum(time).to_bytes(CHECK_BITS // 8, "big")
    bits = np.unpackbits(np.frombuffer(written, np.uint8)).reshape(ROWS, COLUMNS)
    cell = image.shape[1] // CELLS_PER_WIDTH
    levels = np.where(bits, BRIGHT, DARK).astype(np.uint8)
    top, left = image.shape[0] - BOTTOM_CELLS * cell, LEFT_CELLS * cell
    image[top : top + ROWS * cell, left : left + COLUMNS * cell] = levels.repeat(cell, axis=0).repeat(cell, axis=1)


def read(gray: Luma) -> int | None:
    """Read the ticks out of a decoded luma plane of any size; None if there is no code or its checksum fails."""
    cell = gray.shape[1] / CELLS_PER_WIDTH
    top, left = round(gray.shape[0] - BOTTOM_CELLS * cell), round(LEFT_CELLS * cell)
    code = gray[top : top + round(ROWS * cell), left : left + round(COLUMNS * cell)]
    if top < 0 or min(code.shape) < ROWS:
        return None
    # Four samples a cell, the outer ones thrown away: ringing and smear live at the borders of a cell.
    sampled = cv2.resize(code, (COLUMNS * 4, ROWS * 4), interpolation=cv2.INTER_AREA)
    inner = sampled.reshape(ROWS, 4, COLUMNS, 4)[:, 1:3, :, 1:3].astype(np.float32).mean(axis=(1, 3))
    darkest, brightest = float(inner.min()), float(inner.max())
    if brightest - darkest < _CONTRAST_MIN:
        return None
    written = np.packbits(inner.ravel() > (darkest + brightest) / 2).tobytes()
    time, check = written[: TIME_BITS // 8], written[TIME_BITS // 8 :]
    if _checksum(time) != int.from_bytes(check, "big"):
        return None
    return int.from_bytes(time, "big")


def _checksum(time: bytes) -> int:
    return binascii.crc_hqx(time, 0xFFFF)
