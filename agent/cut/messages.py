"""What the daemon and the cutter's child say to each other: framed messages over two pipes, as FORMAT.md has them.

Rules of this file: neither side believes the other; every frame has a limit and a schema.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final, Protocol, TypeVar

import msgspec

from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.look import NO_STILL, NOTHING_KNOWN, Look, LookOrder, StillOrder
from agent.errors import BadInputError

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024  # of one body; a chunk is about a second of one camera
TEXT_CHARACTERS_MAX: Final = 300
CODES_MAX: Final = 8
CODE_CHARACTERS_MAX: Final = 2048
_T = TypeVar("_T")
HEAD: Final = struct.Struct(">IB")  # body bytes, kind


class Kind(IntEnum):
    """Kinds of frames; the first three go to the child, PICTURE goes both ways, the others come back."""

    JOB = 1  # Job
    CHUNK = 2  # WireChunk
    END = 3  # empty: no more chunks
    CLIP = 4  # the next bytes of the MP4 file
    REPORT = 5  # ClipReport: the clip is complete
    CODES = 6  # list of texts
    FAILED = 7  # Failure
    LOOK = 8  # Look
    PICTURE = 9  # a JPEG: to the child the camera's own, from it a redrawn one


class Work(IntEnum):
    """What the child can do."""

    CUT = 1
    READ_CODES = 2
    LOOK = 3
    REDRAW = 4


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message: what to do with the chunks that follow."""

    work: Work
    order: CutOrder
    look: LookOrder = NOTHING_KNOWN  # for that work only
    still: StillOrder = NO_STILL  # for redrawing only


class Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The child's last message if it cannot do it. `is_input` says that the same bytes will always fail."""

    is_input: bool
    what: str


Message = Job | WireChunk | ClipReport | list[str] | Look | Failure


class Readable(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """Build one frame. Raises BadInputError if the body is too long."""
    if len(body) > FRAME_BYTES_MAX:
        raise BadInputError(f"a message of {len(body)} bytes (limit {FRAME_BYTES_MAX})")
    return HEAD.pack(len(body), kind) + body


def message_frame(kind: Kind, message: Message) -> bytes:
    """Build one frame of a message in MessagePack."""
    return frame(kind, msgspec.msgpack.encode(message))


def read_frame(stream: Readable) -> tuple[Kind, bytes]:
    """Read one frame from a blocking stream. Raises BadInputError if it ends or is no frame."""
    return _read_rest(stream, stream.read(HEAD.size))


def read_frame_or_end(stream: Readable) -> tuple[Kind, bytes] | None:
    """Read one frame from a blocking stream; None where it ends between two. Raises BadInputError as `read_frame`."""
    head = stream.read(HEAD.size)
    return _read_rest(stream, head) if head else None


def _read_rest(stream: Readable, head: bytes) -> tuple[Kind, bytes]:
    kind, length = parse_head(head)
    body = stream.read(length)
    if len(body) != length:
        raise BadInputError("a message ends in its middle")
    return kind, body


def parse_head(head: bytes) -> tuple[Kind, int]:
    """Read a frame's head: its kind and the bytes of its body."""
    if len(head) != HEAD.size:
        raise BadInputError("a message ends in its head")
    length, number = HEAD.unpack(head)
    if length > FRAME_BYTES_MAX or number not in Kind.__members__.values():
        raise BadInputError("not a message")
    return Kind(number), length


def decode_job(body: bytes) -> Job:
    """Read a Job."""
    return _decode(body, Job)


def decode_chunk(body: bytes) -> WireChunk:
    """Read a WireChunk."""
    return _decode(body, WireChunk)


def decode_report(body: bytes) -> ClipReport:
    """Read a ClipReport."""
    return _decode(body, ClipReport)


def decode_failure(body: bytes) -> Failure:
    """Read a Failure, its text cut to its limit and to what can be shown on any screen."""
    failure = _decode(body, Failure)
    what = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in failure.what)
    return Failure(failure.is_input, what[:TEXT_CHARACTERS_MAX])


def decode_look(body: bytes) -> Look:
    """Read a Look."""
    return _decode(body, Look)


def decode_codes(body: bytes) -> list[str]:
    """Read the texts of QR codes, as many and as long as the limits allow."""
    return [text[:CODE_CHARACTERS_MAX] for text in _decode(body, list[str])[:CODES_MAX]]


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise BadInputError("a message that does not follow its schema") from error
