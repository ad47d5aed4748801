"""Texts become QR codes for labels and phones: modules, SVG or PNG."""

from __future__ import annotations

import io
from typing import Final

import segno

QUIET_ZONE_MODULES: Final = 4
"""The white margin that readers need (ISO/IEC 18004)."""


def draw_svg(text: str, *, module_px: int = 8) -> str:
    """Draw a code as a stand-alone SVG document."""
    out = io.BytesIO()
    _code(text).save(out, kind="svg", scale=module_px, border=QUIET_ZONE_MODULES, light="white")
    return out.getvalue().decode()


def draw_png(text: str, *, module_px: int = 8) -> bytes:
    """Draw a code as a black and white PNG."""
    out = io.BytesIO()
    _code(text).save(out, kind="png", scale=module_px, border=QUIET_ZONE_MODULES)
    return out.getvalue()


def draw_matrix(text: str) -> list[list[bool]]:
    """Draw a code as rows of modules, True for dark, without the quiet zone."""
    return [[bool(module) for module in row] for row in _code(text).matrix]


def code_version(text: str) -> int:
    """Return the version (1 to 40: the size) of the code that `text` needs."""
    return int(_code(text).version)


def _code(text: str) -> segno.QRCode:
    # Level L on purpose: at the same printed size, more error correction means smaller modules and fewer reads.
    return segno.make(text, error="l", boost_error=False, micro=False)
