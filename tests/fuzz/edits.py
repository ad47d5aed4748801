"""A good message to one that lies: small edits, drawn by hypothesis in tests and by a plain generator in long runs.

Rules of this file: an edit is a value, so what broke a target can be shown and made smaller; applying one never fails.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from hypothesis import strategies as st

BYTES_MAX: Final = 64 * 1024  # of an edited message: what one datagram, one RTSP message or one frame can hold
EDITS_MAX: Final = 6
SPAN_BYTES_MAX: Final = 64  # of what one edit takes out, copies or turns round
REPEATS_MAX: Final = 300
PLACES: Final = 1 << 16  # an edit's place is a share of the message, so that it means something in any message

# What parsers look for, and numbers at which something overflows, wraps or ends.
TOKENS: Final = (
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\0",
        b"\t",
        b" ",
        b"$",
        b"$\x00\xff\xff",
        b'"',
        b"\\",
        b"=",
        b":",
        b";",
        b",",
        b"/",
    ),
    *(b"Content-Length: ", b"interleaved=", b"Session: ", b"WWW-Authenticate: ", b"a=control:", b"m=", b"rtsp://"),
    *(b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 401 X\r\n", b"rtsp://a:b@c/", b"nonce=", b"Digest ", b"Basic ", b"[", b"%"),
    *(b"\xff", b"\x80", b"\xe2\x80\xae", b"\xdf", b"\xed\xa0\x80", b"<", b"</", b"<a>", b"&#0;", b"<![CDATA["),
)
NUMBERS: Final = (0, 1, 2, 3, 12, 15, 16, 127, 128, 254, 255, 256, 4095, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1)
NUMBERS_LARGE: Final = (10**9 - 1, 10**9, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30)


class Kind(StrEnum):
    """What an edit does at its place."""

    FLIP = "flip one bit"
    PUT = "write over what stands there"
    INSERT = "insert"
    DELETE = "take out"
    REPEAT = "repeat what stands there"
    CUT = "end here"
    SPLICE = "go on as another message does"
    BINARY = "another number in binary, big-endian or little-endian"
    DECIMAL = "another number in place of the next written one"


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit; what a kind does not need it leaves alone."""

    kind: Kind
    place: int  # of PLACES
    span: int  # bytes
    octets: bytes
    number: int

    def apply(self, message: bytes, other: bytes) -> bytes:
        """Return the edited message; `other` is what a splice goes on with."""
        at = self.place * (len(message) + 1) // PLACES
        return message[:at] + _EDITS[self.kind](self, message[at:], other)


def edited(message: bytes, other: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits one after the other, within `BYTES_MAX`."""
    for edit in edits:
        message = edit.apply(message, other)[:BYTES_MAX]
    return message


def mutations(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draw edited seeds; hypothesis makes what fails small by drawing fewer and simpler edits."""
    octets = st.one_of(st.sampled_from(TOKENS), st.binary(max_size=8))
    numbers = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS_LARGE), st.integers(0, 2**16))
    edit = st.builds(
        Edit, st.sampled_from(Kind), st.integers(0, PLACES - 1), st.integers(0, SPAN_BYTES_MAX), octets, numbers
    )
    one_seed = st.sampled_from(seeds)
    return st.builds(edited, one_seed, one_seed, st.lists(edit, max_size=EDITS_MAX))


def random_mutation(seeds: Sequence[bytes], rnd: random.Random) -> bytes:
    """Draw as `mutations` does, an order faster and with nothing that makes it small afterwards."""
    edits = [
        Edit(
            rnd.choice(_KINDS),
            rnd.randrange(PLACES),
            rnd.randrange(SPAN_BYTES_MAX + 1),
            rnd.choice(TOKENS) if rnd.random() < _TOKEN_SHARE else rnd.randbytes(rnd.randrange(9)),
            rnd.choice(NUMBERS + NUMBERS_LARGE),
        )
        for _ in range(1 + rnd.randrange(EDITS_MAX))
    ]
    return edited(rnd.choice(seeds), rnd.choice(seeds), edits)


_KINDS: Final = tuple(Kind)
_TOKEN_SHARE: Final = 0.7


def _flipped(edit: Edit, tail: bytes, _: bytes) -> bytes:
    return bytes([tail[0] ^ 1 << edit.number % 8]) + tail[1:] if tail else tail


def _spliced(edit: Edit, _: bytes, other: bytes) -> bytes:
    return other[edit.place * (len(other) + 1) // PLACES :]


def _with_binary_number(edit: Edit, tail: bytes, _: bytes) -> bytes:
    size = 1 << edit.span % 4
    order: Literal["big", "little"] = "big" if edit.span & 4 else "little"
    return (edit.number % (1 << 8 * size)).to_bytes(size, order) + tail[size:]


def _with_decimal_number(edit: Edit, tail: bytes, _: bytes) -> bytes:
    return _DECIMAL.sub(b"%d" % edit.number, tail, count=1)


_DECIMAL: Final = re.compile(rb"[0-9]+")
_EDITS: Final[dict[Kind, Callable[[Edit, bytes, bytes], bytes]]] = {
    Kind.FLIP: _flipped,
    Kind.PUT: lambda edit, tail, _: edit.octets + tail[len(edit.octets) :],
    Kind.INSERT: lambda edit, tail, _: edit.octets + tail,
    Kind.DELETE: lambda edit, tail, _: tail[edit.span :],
    Kind.REPEAT: lambda edit, tail, _: tail[: edit.span] * (2 + edit.number % REPEATS_MAX) + tail[edit.span :],
    Kind.CUT: lambda _edit, _tail, _other: b"",
    Kind.SPLICE: _spliced,
    Kind.BINARY: _with_binary_number,
    Kind.DECIMAL: _with_decimal_number,
}
