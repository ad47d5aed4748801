"""Codes are read back from pictures as a camera would take them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from provisioning.claim import Claim, make_claim
from provisioning.qr import IMAGE_PIXELS_MAX, read_codes
from provisioning.qr_drawing import draw_matrix, draw_png
from provisioning.secret import Secret

CLAIM = make_claim(Claim("hub.example", 8443, bytes(range(16)), bytes(range(32)), 2_000_000_000), Secret(b"l" * 16))


def photograph(text: str, *, module_px: float, blur_px: float, seed: int) -> NDArray[np.uint8]:
    """Take a 720p grey picture of a code: tilted by 15 degrees, unevenly lit, blurred, noisy, JPEG of quality 65."""
    random = np.random.default_rng(seed)
    modules = np.pad(np.array(draw_matrix(text)), 4)
    code = cv2.resize(np.where(modules, 30, 210).astype(np.uint8), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    side, out = code.shape[0], module_px * modules.shape[0]
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float) * out / 2
    corners[1:3] *= 0.94  # the far side of a tilted phone
    angle = np.deg2rad(15)
    turned = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + [1280 / 2, 720 / 2]
    source = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    to_large = cv2.getPerspectiveTransform(source, (turned * 4).astype(np.float32))
    large = cv2.warpPerspective(code, to_large, (1280 * 4, 720 * 4), borderValue=(110.0,))
    picture = cv2.resize(large, (1280, 720), interpolation=cv2.INTER_AREA).astype(float)
    picture *= np.linspace(random.uniform(0.7, 1), random.uniform(0.7, 1.1), 1280)[None, :]
    picture = cv2.GaussianBlur(picture, (0, 0), blur_px) + random.normal(0, 6, picture.shape)
    _, jpeg = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 65])
    return cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE).astype(np.uint8)


@pytest.mark.parametrize("module_px", [3.0, 4.5, 8.0])
def test_a_claim_is_read_down_to_three_pixels_a_module(module_px: float) -> None:
    """At the floor that the claim's size was chosen for, at least 9 of 10 pictures are read, and none wrongly."""
    read = [read_codes(photograph(CLAIM, module_px=module_px, blur_px=0.9, seed=seed)) for seed in range(10)]
    assert all(texts in ([], [CLAIM]) for texts in read)
    assert read.count([CLAIM]) >= 9


def test_a_png_and_its_mirror_image_are_read() -> None:
    """The PNG is a picture of the text; some cameras mirror theirs."""
    gray = cv2.imdecode(np.frombuffer(draw_png(CLAIM), np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.uint8)
    assert read_codes(gray) == [CLAIM]
    assert read_codes(gray[:, ::-1]) == [CLAIM]


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((0, 0), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((5000, 3), np.uint8),
        np.zeros((9, 9, 3), np.uint8),
        np.zeros((64, 64), np.float64),
        np.broadcast_to(np.uint8(0), (IMAGE_PIXELS_MAX, 2)),
        np.random.default_rng(7).integers(0, 256, (480, 640), np.uint8),
    ],
    ids=["empty", "one-pixel", "strip", "colour", "floats", "too-large", "noise"],
)
def test_a_picture_without_a_code_has_no_texts(picture: NDArray[np.uint8]) -> None:
    """Whatever the camera sends, the answer is a list."""
    assert read_codes(picture) == []
