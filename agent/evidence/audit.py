"""What the hub decided, one line each, under a signed root: the audit log's entries, checkpoints and their check.

Rules of this file: an entry has one spelling (canonical JSON), so the same event is always the same leaf; entries hold
no secret and no picture. Format and limits: FORMAT.md beside this file.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import WallTime, parse_rfc3339, rfc3339
from agent.crypto import canonical_json
from agent.errors import BadInputError
from agent.evidence.merkle import HASH_BYTES, Frontier, leaf_hash
from agent.evidence.note import Verifier, open_note, sign_note

LOG_NAME: Final = "audit.jsonl"
CHECKPOINTS_NAME: Final = "checkpoints"  # beside the log
CHECKPOINTS_BYTES_MAX: Final = 1024 * 1024  # some 7000 signatures, all verified at each start
ENTRY_BYTES_MAX: Final = 64 * 1024  # one line without its line break; follows from the limits below
REF_CHARS_MAX: Final = 200
DETAILS_MAX: Final = 10
TEXT_CHARS_MAX: Final = 512
INTEGER_MAX: Final = 2**53 - 1  # what every JSON reader reads exactly
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")

Kind = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
Integer = Annotated[int, msgspec.Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9._-]{0,63}\Z")]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One event: when, what kind, what it is about (a command, camera or key id), and the particulars."""

    at: Annotated[str, msgspec.Meta(max_length=32)]  # RFC 3339, hub time
    kind: Kind  # "command.granted", "part.stored", ...
    ref: Annotated[str, msgspec.Meta(max_length=REF_CHARS_MAX)]
    detail: Annotated[dict[Name, Text | Integer], msgspec.Meta(max_length=DETAILS_MAX)] = msgspec.field(
        default_factory=dict
    )


def make_entry(at: WallTime, kind: str, ref: str, detail: Mapping[str, str | int]) -> Entry:
    """Make an entry; texts that are too long are cut, since a decision must be written down whatever a command said."""
    short = {name: _cut(value, TEXT_CHARS_MAX) if isinstance(value, str) else value for name, value in detail.items()}
    return Entry(rfc3339(at), kind, _cut(ref, REF_CHARS_MAX), short)


def encode_entry(event: Entry) -> bytes:
    """Write an entry as its one line, without line break. Raises BadInputError if it is not within the limits."""
    line = canonical_json(msgspec.to_builtins(event))
    decode_entry(line)
    return line


def decode_entry(line: bytes) -> Entry:
    """Read a line back. Raises BadInputError for anything that `encode_entry` would not have written."""
    if len(line) > ENTRY_BYTES_MAX:
        raise BadInputError(f"an audit entry of more than {ENTRY_BYTES_MAX} bytes")
    try:
        event = msgspec.json.decode(line, type=Entry)
        is_canonical = canonical_json(msgspec.to_builtins(event)) == line
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise BadInputError("not an audit entry") from None
    if not is_canonical:
        raise BadInputError("an audit entry that is not canonical JSON")
    parse_rfc3339(event.at)
    return event


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed statement: the log `origin` had `size` entries, and this root over them."""

    origin: str
    size: int
    root: bytes


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Write a checkpoint as a note signed by the log's own name (c2sp.org/tlog-checkpoint)."""
    text = f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"
    return sign_note(text, checkpoint.origin, key)


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Verify and read a checkpoint of the log that `verifier` names. Raises BadInputError."""
    lines = open_note(note, verifier).split("\n")
    try:
        origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError):
        raise BadInputError("not a checkpoint") from None
    if origin != verifier.name or not _SIZE.fullmatch(size) or len(root) != HASH_BYTES:
        raise BadInputError("not a checkpoint of this log")
    return Checkpoint(origin, int(size), root)


def split_checkpoints(content: bytes) -> tuple[list[str], int]:
    """Split stored checkpoints, each a note followed by an empty line; return them and the length of the whole ones.

    Raises BadInputError.
    """
    blocks = content.split(b"\n\n")[:-1]
    blocks = blocks[: len(blocks) // 2 * 2]  # text and signatures
    try:
        texts = [block.decode() for block in blocks]
    except UnicodeDecodeError:
        raise BadInputError("the checkpoints are not text") from None
    notes = [f"{text}\n\n{signatures}\n" for text, signatures in zip(texts[::2], texts[1::2], strict=True)]
    return notes, sum(len(block) + len(b"\n\n") for block in blocks)


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing wrong with a log: what, and in which entries (counted from 0, half-open) it lies."""

    what: str
    first: int
    end: int

    def __str__(self) -> str:
        last = self.end - 1
        where = f"entry {self.first}" if last <= self.first else f"one of the entries {self.first} to {last}"
        return f"{where}: {self.what}"


def replay(lines: Iterable[bytes], checkpoints: Sequence[Checkpoint]) -> Frontier | Fault:
    """Walk a log's lines (without line breaks) past all its checkpoints, oldest first; return its tree or first fault.

    A change before the newest checkpoint is narrowed down to the entries between two checkpoints. Entries after the
    newest checkpoint are covered by no signature yet; of them only the form is checked.
    """
    for earlier, later in pairwise(checkpoints):
        if later.size < earlier.size or (later.size == earlier.size and later.root != earlier.root):
            return Fault("two checkpoints contradict each other", later.size, earlier.size)
    tree = Frontier()
    waiting = list(reversed(checkpoints))
    proven = _pass(tree, waiting, 0)
    for line in lines:
        if isinstance(proven, Fault):
            return proven
        try:
            decode_entry(line)
        except BadInputError as error:
            return Fault(str(error), tree.size, tree.size + 1)
        tree.append(leaf_hash(line))
        proven = _pass(tree, waiting, proven)
    if isinstance(proven, Fault):
        return proven
    if waiting:
        return Fault("missing: a signed checkpoint says that it was there", tree.size, waiting[0].size)
    return tree


def _pass(tree: Frontier, waiting: list[Checkpoint], proven: int) -> int | Fault:
    """Compare the tree with the checkpoints of its size; return up to where it is proven."""
    while waiting and waiting[-1].size == tree.size:
        if waiting.pop().root != tree.root():
            return Fault("it was changed after it was signed", proven, tree.size)
        proven = tree.size
    return proven


def _cut(text: str, chars_max: int) -> str:
    whole = text.encode(errors="replace").decode()  # a lone surrogate cannot be written as UTF-8
    return whole if len(whole) <= chars_max else whole[: chars_max - 1] + "\N{HORIZONTAL ELLIPSIS}"
