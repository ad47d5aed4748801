"""A camera's grey picture becomes the texts of the QR codes in it.

Rules of this file: the readers are native code fed by a stranger's picture, so they are imported on first use and
belong in a child process with limits; a reader that fails has simply read nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CODES_PER_IMAGE_MAX: Final = 16
CODE_CHARACTERS_MAX: Final = 4296
"""What the largest QR code (version 40-L) can hold."""
IMAGE_PIXELS_MAX: Final = 32_000_000
UPSCALED_PIXELS_MAX: Final = 16_000_000
"""A 4K picture is large enough as it is: above this, the second look at twice the size is left out."""


def read_codes(gray: NDArray[np.uint8]) -> list[str]:
    """Return the texts of the QR codes in a grey picture (height x width, 8 bit), or an empty list. Never raises.

    zxing-cpp reads down to 2.5 pixels a module and takes 10 ms; at twice the size it reads what blur has swallowed.
    OpenCV's ArUco-based reader, ten times slower, is the second opinion on what zxing-cpp cannot read.
    """
    if gray.ndim != 2 or str(gray.dtype) != "uint8" or not 0 < gray.size <= IMAGE_PIXELS_MAX:  # noqa: PLR2004 - rows and columns
        return []
    return _by_zxing(gray) or _by_zxing(_upscaled(gray)) or _by_opencv(gray)


def _by_zxing(gray: NDArray[np.uint8]) -> list[str]:
    import zxingcpp  # noqa: PLC0415 - native and hostile input: loaded where a picture is read, nowhere else

    try:
        found = zxingcpp.read_barcodes(gray, formats=zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode]))
    except (ValueError, TypeError, RuntimeError):
        return []
    return _plausible([barcode.text for barcode in found])


def _by_opencv(gray: NDArray[np.uint8]) -> list[str]:
    import cv2  # noqa: PLC0415 - as above

    try:
        _, texts, _, _ = cv2.QRCodeDetectorAruco().detectAndDecodeMulti(gray)
    except (cv2.error, ValueError, UnicodeDecodeError):
        return []
    return _plausible(list(texts))


def _upscaled(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if gray.size * 4 > UPSCALED_PIXELS_MAX:
        return gray
    import cv2  # noqa: PLC0415 - as above

    return cv2.resize(gray, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype("uint8", copy=False)


def _plausible(texts: list[str]) -> list[str]:
    return [text for text in texts if 0 < len(text) <= CODE_CHARACTERS_MAX][:CODES_PER_IMAGE_MAX]
