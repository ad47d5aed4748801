"""What the cut reads of a JPEG picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.cut.jpeg import is_picture, picture_form
from agent.errors import BadInputError
from tests.simulators.jpeg_source import JpegRecipe, encode_jpeg


def test_a_picture_says_its_size_and_that_it_is_not_copied() -> None:
    """A whole file, with segments that nobody asked for, is read as well as one from packets."""
    ((_, _, (picture,)),) = encode_jpeg(JpegRecipe(pictures=1))
    form = picture_form({}, picture)
    assert is_picture(picture)
    assert (form.width, form.height, form.chroma_format, form.why_not_copied) == (192, 112, 1, "JPEG pictures")


@given(st.binary(max_size=60))
def test_hostile_pictures_raise_bad_input_only(content: bytes) -> None:
    """Whatever the bytes are, they are read or refused."""
    for prefix in (b"", b"\xff\xd8", b"\xff\xd8\xff\xc0\0\x11\x08", b"\xff\xd8\xff\xfe\0\2"):
        try:
            form = picture_form({}, prefix + content)
        except BadInputError:
            continue
        assert form.width > 0
