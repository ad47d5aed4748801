"""In the child process the newest key picture is searched for QR codes, such as an installer holds to a camera."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import cv2
import numpy as np
import zxingcpp
from av.video.frame import VideoFrame

from agent.cut.clip import CutOrder, WireChunk
from agent.cut.decode import decode_units
from agent.cut.depacketize import depacketize
from agent.cut.messages import CODE_CHARACTERS_MAX, CODES_MAX
from agent.cut.paint import paint
from agent.cut.tracing import trace

_ENLARGE: Final = 2  # small codes far from the camera are read at twice their size

Gray = np.ndarray[Any, np.dtype[np.uint8]]


def read_codes(order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
    """Return the texts of the QR codes in the newest decodable key picture; empty if there is none of either."""
    units = depacketize(order.headers, chunks)
    tracing = trace(units)
    starts = [index for index, start in tracing.decode_from.items() if start == index]
    for index in sorted(starts, reverse=True):
        for _, frame in decode_units(units, tracing, [index]):
            paint(frame, order.masks)
            return read_texts(_luma(frame))
    return []


def read_texts(gray: Gray) -> list[str]:
    """Search a gray picture, first as it is, then enlarged, by two independent readers."""
    for scale in (1, _ENLARGE):
        size = (gray.shape[1] * scale, gray.shape[0] * scale)
        picture = gray if scale == 1 else cv2.resize(gray, size, interpolation=cv2.INTER_CUBIC)
        for reader in (_read_zxing, _read_opencv):
            texts = [text[:CODE_CHARACTERS_MAX] for text in reader(picture) if text]
            if texts:
                return list(dict.fromkeys(texts))[:CODES_MAX]
    return []


def _read_zxing(gray: Any) -> list[str]:  # noqa: ANN401 - cv2's arrays are untyped
    found = zxingcpp.read_barcodes(gray, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    return [result.text for result in found if result.valid]


def _read_opencv(gray: Any) -> list[str]:  # noqa: ANN401 - cv2's arrays are untyped
    _, texts, _, _ = cv2.QRCodeDetectorAruco().detectAndDecodeMulti(gray)
    return list(texts)


def _luma(frame: VideoFrame) -> Gray:
    return np.ascontiguousarray(frame.reformat(format="gray").to_ndarray())
