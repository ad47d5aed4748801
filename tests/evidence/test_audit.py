"""Audit entries, checkpoints, and the replay that finds the first wrong entry."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import WallTime
from agent.errors import BadInputError
from agent.evidence.audit import (
    ENTRY_BYTES_MAX,
    INTEGER_MAX,
    Checkpoint,
    Entry,
    Fault,
    decode_entry,
    encode_entry,
    make_entry,
    open_checkpoint,
    replay,
    sign_checkpoint,
    split_checkpoints,
)
from agent.evidence.merkle import Frontier, leaf_hash, root_of
from agent.evidence.note import sign_note, verifier_of

KEY = Ed25519PrivateKey.generate()
HUB = verifier_of("hub-1", KEY)
LINES = [encode_entry(make_entry(WallTime(number), "test", f"ref-{number}", {"n": number})) for number in range(20)]


def checkpoint(size: int) -> Checkpoint:
    """Make the true checkpoint over the first `size` lines."""
    return Checkpoint("hub-1", size, root_of([leaf_hash(line) for line in LINES[:size]]))


def test_an_entry_has_one_spelling() -> None:
    """An entry is one line of canonical JSON."""
    entry = make_entry(WallTime(0), "command.refused", "01JD", {"reason": "paüsed", "by": "x", "size": 5})
    line = encode_entry(entry)
    assert line == (
        b'{"at":"1970-01-01T00:00:00.000Z","detail":{"by":"x","reason":"pa\\u00fcsed","size":5},'
        b'"kind":"command.refused","ref":"01JD"}'
    )
    assert decode_entry(line) == entry


_TEXT = st.text(st.characters(), max_size=3000)


@given(_TEXT, st.dictionaries(st.sampled_from("abcdefghij"), _TEXT | st.integers(-INTEGER_MAX, INTEGER_MAX)))
def test_whatever_a_command_said_is_written_down(ref: str, detail: dict[str, str | int]) -> None:
    """Any text fits: it is cut, never a reason for a decision to be lost."""
    line = encode_entry(make_entry(WallTime(1), "job", ref, detail))
    assert len(line) <= ENTRY_BYTES_MAX
    assert b"\n" not in line
    assert encode_entry(decode_entry(line)) == line


@pytest.mark.parametrize(
    "entry",
    [
        Entry("yesterday", "job", "x"),
        Entry("2026-11-22T00:00:00Z", "Job!", "x"),
        Entry("2026-11-22T00:00:00Z", "job", "x" * 300),
        Entry("2026-11-22T00:00:00Z", "job", "x", {"n": 2**60}),
        Entry("2026-11-22T00:00:00Z", "job", "x", {"No Name": 1}),
        Entry("2026-11-22T00:00:00Z", "job", "x", {f"n{number}": 1 for number in range(11)}),
    ],
)
def test_refuses_an_entry_outside_its_limits(entry: Entry) -> None:
    """What a reader would refuse is not written."""
    with pytest.raises(BadInputError):
        encode_entry(entry)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"\0" * 50,
        b"[" * 5000,
        b"x" * (ENTRY_BYTES_MAX + 1),
        LINES[0] + b" ",
        LINES[0].replace(b'"detail":{"n":0},', b'"detail":{"n":0,"n":0},'),
        LINES[0].replace(b'"n":0', b'"n":0.5'),
        LINES[0].replace(b'"n":0', b'"n":"\xff"'),
        LINES[0].replace(b"{", b'{"more":1,', 1),
    ],
)
def test_refuses_a_line_that_is_not_an_entry(line: bytes) -> None:
    """Other JSON, other spellings and junk are no entries."""
    with pytest.raises(BadInputError):
        decode_entry(line)


@given(st.binary(max_size=300))
def test_hostile_lines_raise_nothing_else(line: bytes) -> None:
    """No bytes raise anything but BadInputError."""
    with pytest.raises(BadInputError):
        decode_entry(line)


def test_a_checkpoint_opens_as_it_was_signed() -> None:
    """Origin, size and root come back from a C2SP note."""
    note = sign_checkpoint(checkpoint(7), KEY)
    assert note.split("\n")[:2] == ["hub-1", "7"]
    assert open_checkpoint(note, HUB) == checkpoint(7)


@pytest.mark.parametrize(
    "text", ["hub-1\n", "hub-1\n07\nAAAA\n", "hub-1\n7\nAAAA\n", "hub-2\n7\n" + "A" * 43 + "=\n", "hub-1\n7\n!!\n"]
)
def test_refuses_a_note_that_is_no_checkpoint(text: str) -> None:
    """A signed note about something else is no checkpoint."""
    with pytest.raises(BadInputError, match="checkpoint"):
        open_checkpoint(sign_note(text, "hub-1", KEY), HUB)


def test_stored_checkpoints_are_split_and_a_torn_one_is_left_out() -> None:
    """Whole notes come back; whatever a power cut left of the last one does not count."""
    first, second = (sign_checkpoint(checkpoint(size), KEY) for size in (5, 9))
    whole = f"{first}\n".encode()
    torn = f"{second}\n".encode()
    for length in range(len(torn)):
        assert split_checkpoints(whole + torn[:length]) == ([first], len(whole))
    assert split_checkpoints(whole + torn) == ([first, second], len(whole + torn))
    with pytest.raises(BadInputError):
        split_checkpoints(b"\xff\n\n\xff\n\n")


def test_a_true_log_replays() -> None:
    """A log that is as it was signed gives its tree, with entries after the newest checkpoint."""
    tree = replay(LINES, [checkpoint(0), checkpoint(5), checkpoint(5), checkpoint(12)])
    assert isinstance(tree, Frontier)
    assert (tree.size, tree.root()) == (20, checkpoint(20).root)


def forged(number: int) -> list[bytes]:
    """Change one entry, well-formed."""
    line = encode_entry(make_entry(WallTime(number), "test", "forged", {}))
    return [*LINES[:number], line, *LINES[number + 1 :]]


@pytest.mark.parametrize(
    ("lines", "first", "end"),
    [
        (forged(0), 0, 5),
        (forged(4), 0, 5),
        (forged(5), 5, 12),
        (forged(11), 5, 12),
        (LINES[:3] + LINES[4:], 0, 5),
        ([*LINES[:6], LINES[7], LINES[6], *LINES[8:]], 5, 12),
        (LINES[:11], 11, 12),
        ([], 0, 5),
        ([*LINES[:8], b"junk", *LINES[9:]], 8, 9),
        ([*LINES[:15], b"junk"], 15, 16),
    ],
)
def test_the_first_wrong_entry_is_named(lines: list[bytes], first: int, end: int) -> None:
    """A changed, missing, moved or malformed entry is narrowed down to the entries between two checkpoints."""
    fault = replay(lines, [checkpoint(5), checkpoint(12)])
    assert isinstance(fault, Fault)
    assert fault.first == first
    assert fault.end >= end
    assert str(fault.first) in str(fault)


def test_an_entry_that_nobody_signed_is_only_checked_for_its_form() -> None:
    """What follows the newest checkpoint is not proven: that is why checkpoints are made."""
    assert isinstance(replay(forged(15), [checkpoint(5), checkpoint(12)]), Frontier)


def test_checkpoints_that_contradict_each_other_are_a_fault() -> None:
    """A log cannot shrink, and cannot have two roots."""
    other = Checkpoint("hub-1", 5, bytes(32))
    assert isinstance(replay(LINES, [checkpoint(5), other]), Fault)
    assert isinstance(replay(LINES, [checkpoint(12), checkpoint(5)]), Fault)
