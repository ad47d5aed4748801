"""What cameras send as XML, read so that a broken camera still works and a hostile one gets nothing but an error.

Rules of this file: no entity is expanded, no DTD accepted, no file or network opened, everything bounded by the caller;
elements are found by local name, because prefixes and namespaces are wrong on real devices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from agent.errors import BadInputError

Element = etree._Element  # noqa: SLF001 - lxml publishes its element type under this name only

_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_FORBIDDEN = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_NOT_XML_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def parse_xml(document: bytes, bytes_max: int) -> Element:
    """Read a document of at most `bytes_max` bytes in UTF-8 (or else Latin-1), mending what libxml2 can mend.

    Raises BadInputError for anything that is no XML, too long, or brings a DTD.
    """
    if len(document) > bytes_max:
        raise BadInputError(f"an XML document of {len(document)} bytes (limit {bytes_max})")
    text = _NOT_XML_CHARACTERS.sub("", _DECLARATION.sub("", _decoded(document), count=1)).strip()
    if _FORBIDDEN.search(text):
        raise BadInputError("an XML document with a DTD")
    parser = etree.XMLParser(
        encoding="utf-8",
        recover=True,
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root: Element | None = etree.fromstring(text.encode(), parser)
    except (etree.LxmlError, ValueError) as error:
        raise BadInputError("not XML") from error
    if root is None:
        raise BadInputError("not XML")
    return root


def _decoded(document: bytes) -> str:
    try:
        return document.decode("utf-8-sig")
    except UnicodeDecodeError:
        return document.decode("latin-1")  # older firmware writes names in Latin-1 and calls it UTF-8


def local_name(element: Element) -> str:
    """Return the tag without namespace or prefix; empty for what is not an element."""
    tag = element.tag
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def elements(root: Element, *names: str) -> Iterator[Element]:
    """Yield `root` and everything below it that bears one of the local names, in document order."""
    return (element for element in root.iter() if local_name(element) in names)


def children(root: Element, name: str) -> Iterator[Element]:
    """Yield the children that bear a local name: for lists, which a device could else nest until they cost seconds."""
    return (child for child in root if local_name(child) == name)


def element(root: Element, *path: str) -> Element | None:
    """Follow a path of local names, each the first of its name anywhere below the one before; None if it ends."""
    found: Element | None = root
    for name in path:
        if found is None:
            return None
        found = next(elements(found, name), None)
    return found


def text_of(root: Element, *path: str, characters_max: int = 256) -> str:
    """Return the stripped text at the end of a path, cut at `characters_max`; empty if there is none."""
    found = element(root, *path)
    return (found.text or "").strip()[:characters_max] if found is not None else ""
