"""The text form of age keys."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.deliver import bech32
from agent.errors import BadInputError

VALID = [  # BIP 173, "Test vectors"; content in hex
    ("A12UEL5L", "a", ""),
    (
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
        "",
    ),
    (
        "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
        "abcdef",
        "00443214c74254b635cf84653a56d7c675be77df",
    ),
    (  # c2sp.org/age, the specification's own example
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
        "age",
        "132c442be010fbd57e72603328aa76e71fccc1503aae219327d14d9c9993f472",
    ),
]


@pytest.mark.parametrize(("text", "prefix", "content"), VALID)
def test_reads_and_writes_the_published_texts(text: str, prefix: str, content: str) -> None:
    """A published text is read as its prefix and content, and written back the same."""
    assert bech32.decode(text) == (prefix, bytes.fromhex(content))
    assert bech32.encode(prefix, bytes.fromhex(content)) == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        " 1nwldj5",  # a blank in the prefix
        "\x7f1axkwrx",
        "pzry9x0s0muk",  # no separator
        "1pzry9x0s0muk",  # empty prefix
        "x1b4n0q5v",  # a character that is not in the alphabet
        "li1dgmt3",  # checksum too short
        "A1G7SGD8",  # checksum made for a lower-case prefix
        "10a06t8",
        "1qzzfhee",
        "A12uel5l",  # mixed case
        "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk",  # one letter off
        "age1" + "q" * 5000,
        "",
        "ägé1",
    ],
)
def test_refuses_what_is_not_one(text: str) -> None:
    """A text with any fault is refused, and the error does not repeat it."""
    with pytest.raises(BadInputError) as caught:
        bech32.decode(text)
    assert not text or text not in str(caught.value)


@given(st.binary(max_size=1300), st.sampled_from(["age", "age1pq", "AGE-SECRET-KEY-"]))
def test_every_content_comes_back(content: bytes, prefix: str) -> None:
    """Whatever is written is read back, in the case of its prefix."""
    text = bech32.encode(prefix, content)
    assert bech32.decode(text) == (prefix.lower(), content)
    assert text.isupper() == prefix.isupper()


@given(st.text())
@example("a1" + "\u0131")
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but BadInputError."""
    try:
        prefix, content = bech32.decode(text)
    except BadInputError:
        return
    assert bech32.encode(prefix, content) == text.lower()
