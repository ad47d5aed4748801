"""The text of a sealed file's header."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.deliver.age_text import (
    HEADER_BYTES_MAX,
    VERSION_LINE,
    Stanza,
    decode_base64,
    encode_base64,
    read_header,
)
from agent.errors import BadInputError

ARGUMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80)
STANZAS = st.builds(Stanza, st.lists(ARGUMENTS, min_size=1, max_size=4).map(tuple), st.binary(max_size=200))


@given(st.lists(STANZAS, min_size=1, max_size=4), st.binary(min_size=1, max_size=32))
def test_what_is_written_is_read(stanzas: list[Stanza], mac: bytes) -> None:
    """Stanzas of any size come back, and the reader stops at the payload."""
    covered = VERSION_LINE + b"".join(map(bytes, stanzas)) + b"---"
    stream = io.BytesIO(covered + b" " + encode_base64(mac).encode() + b"\npayload")
    header = read_header(stream)
    assert (list(header.stanzas), header.covered, header.mac) == (stanzas, covered, mac)
    assert stream.read() == b"payload"


@given(st.binary(max_size=100))
def test_base64_has_one_form(content: bytes) -> None:
    """Padding is refused, and so is every other way to write the same bytes."""
    text = encode_base64(content)
    assert decode_base64(text) == content
    for other in (text + "=", text + "\n", " " + text):
        with pytest.raises(BadInputError):
            decode_base64(other)


def test_base64_that_is_not_canonical_is_refused() -> None:
    """Bits behind the last byte must be zeros."""
    assert decode_base64("YQ") == b"a"
    with pytest.raises(BadInputError, match="canonical"):
        decode_base64("YR")


@pytest.mark.parametrize(
    "text",
    [
        b"age-encryption.org/v2\n-> X a\n\n--- YQ\n",
        b"age-encryption.org/v1\n--- YQ\n",
        b"age-encryption.org/v1\n-> X  a\n\n--- YQ\n",
        b"age-encryption.org/v1\n-> X a\n" + b"Y" * 65 + b"\n--- YQ\n",
        b"age-encryption.org/v1\n-> X a\n\n--- YQ",
        b"age-encryption.org/v1\n-> X a\n\nX\n",
        b"age-encryption.org/v1\n" + b"-> X a\n\n" * HEADER_BYTES_MAX,
    ],
    ids=["version", "nobody", "empty argument", "long row", "cut off", "no stanza", "endless"],
)
def test_refuses_what_is_no_header(text: bytes) -> None:
    """Another version, nobody to open it, other forms, an end in the middle and no end at all are refused."""
    with pytest.raises(BadInputError):
        read_header(io.BytesIO(text))
