"""XML as cameras send it: read when it can be, refused when it lies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.lenient_xml import element, elements, local_name, parse_xml, text_of
from agent.errors import BadInputError


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (b"<a><b>x</b></a>", "x"),
        (b'<?xml version="1.0" encoding="gb2312"?><a><b>x</b></a>', "x"),
        (b"\xef\xbb\xbf<a><b> x </b></a>", "x"),
        (b"<a><n:b>x</n:b></a>", "x"),
        (b"<a><b>x\x01</b>", "x"),
        (b"<a><b>\xe9</b></a>", "\u00e9"),
        (b"<a><b>&lt;&#65;&unknown;</b></a>", "<A"),
    ],
)
def test_broken_documents_are_mended(document: bytes, text: str) -> None:
    """Wrong encodings, undeclared prefixes, control characters and missing ends do not hide the text."""
    assert text_of(parse_xml(document, 1000), "b") == text


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"   ",
        b"rubbish",
        b"<!DOCTYPE a><a/>",
        b"<! doctype a><a/>",
        b"<a><!ENTITY x 'y'></a>",
        b"<a/>" + b" " * 1000,
    ],
)
def test_what_is_no_plain_xml_is_refused(document: bytes) -> None:
    """Nothing, rubbish, DTDs in any spelling, and too much."""
    with pytest.raises(BadInputError):
        parse_xml(document, 1000)


def test_elements_are_found_by_local_name() -> None:
    """Paths go down through anything; what is missing is empty."""
    root = parse_xml(b"<x:a xmlns:x='u'><x:b><c>1</c></x:b><c>2</c></x:a>", 1000)
    assert local_name(root) == "a"
    assert [found.text for found in elements(root, "c")] == ["1", "2"]
    assert element(root, "b", "missing", "c") is None
    assert text_of(root, "missing") == ""
    assert text_of(parse_xml(b"<a>12345</a>", 100), characters_max=3) == "123"


@given(st.binary(max_size=300) | st.text(alphabet="<>/!?&;ab:=\"' \n", max_size=300).map(str.encode))
def test_no_bytes_raise_anything_but_bad_input(document: bytes) -> None:
    """Random bytes and random markup are read or refused."""
    try:
        root = parse_xml(document, 1000)
    except BadInputError:
        return
    assert all(isinstance(local_name(found), str) for found in root.iter())
