"""A code has the size that its text needs, whichever way it is drawn."""

from __future__ import annotations

from provisioning.qr_drawing import code_version, draw_matrix, draw_png, draw_svg

CLAIM = "H1:" + "0" * 118


def test_svg_and_matrix_show_the_same_size() -> None:
    """A version 5 code has 37 modules, 45 with its margin."""
    assert code_version(CLAIM) == 5
    assert len(draw_matrix(CLAIM)) == 37
    assert f'width="{45 * 8}"' in draw_svg(CLAIM)
    assert draw_png(CLAIM)[:8] == b"\x89PNG\r\n\x1a\n"
