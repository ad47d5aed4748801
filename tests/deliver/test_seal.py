"""Sealing and opening a clip, ours against ours and against two other implementations."""

import hashlib
import io
import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.crypto import Secret
from agent.deliver.age import generate_identity
from agent.deliver.seal import AgeWriter, Sealed
from agent.deliver.unseal import open_age
from agent.errors import BadInputError

PIECE = 64 * 1024
SEALED_PIECE = PIECE + 16
OFFICER, OFFICER_RECIPIENT = generate_identity()
OWNER, OWNER_RECIPIENT = generate_identity()
RECIPIENTS = [OFFICER_RECIPIENT, OWNER_RECIPIENT]


def seal(content: bytes, recipients: list[str] | None = None, step: int = 100_000) -> tuple[bytes, Sealed]:
    """Seal `content`, written in steps."""
    sealed = io.BytesIO()
    writer = AgeWriter(recipients or RECIPIENTS, sealed.write)
    for start in range(0, len(content), step):
        writer.write(content[start : start + step])
    result = writer.finish()
    return sealed.getvalue(), result


def unseal(sealed: bytes, *identities: Secret) -> bytes:
    """Open a whole file."""
    return b"".join(open_age(io.BytesIO(sealed), *(identities or (OFFICER,))))


def stock_age() -> str:
    """Find the reference implementation; its absence is a failure, not a reason to skip."""
    path = shutil.which("age")
    assert path, "install the Debian package `age`"
    return path


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7])
def test_every_recipient_gets_the_same_bytes_back(size: int) -> None:
    """Each recipient alone opens the file, at all sizes around the borders of pieces."""
    content = os.urandom(size)
    sealed, _ = seal(content)
    assert unseal(sealed, OFFICER) == unseal(sealed, OWNER) == content


def test_post_quantum_recipients_are_sealed_to_as_well() -> None:
    """Each of several post-quantum recipients opens the file; a classical identity among the reader's does no harm."""
    pairs = [generate_identity(is_post_quantum=True) for _ in range(3)]
    content = os.urandom(PIECE + 1)
    sealed, _ = seal(content, [recipient for _, recipient in pairs])
    for identity, _ in pairs:
        assert unseal(sealed, OFFICER, identity) == content
    with pytest.raises(BadInputError, match="not sealed to this identity"):
        unseal(sealed, OFFICER)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 2 * PIECE), max_size=8))
def test_how_it_is_written_does_not_matter(sizes: list[int]) -> None:
    """Any cutting of the content into writes gives a file of the same size and content."""
    content = bytes(sum(sizes))
    out = bytearray()
    writer = AgeWriter([OFFICER_RECIPIENT], out.extend)
    for size in sizes:
        writer.write(memoryview(content)[:size])
    result = writer.finish()
    assert unseal(bytes(out)) == content
    assert result.size == len(out) == 184 + len(content) + 16 * max(1, -(-len(content) // PIECE))


def test_says_what_it_wrote() -> None:
    """Size and digest are those of the emitted bytes, and the other digest is that of what went in."""
    content = os.urandom(200_000)
    sealed, result = seal(content)
    assert result == Sealed(len(sealed), hashlib.sha256(sealed).hexdigest(), hashlib.sha256(content).hexdigest())


def test_two_files_of_one_clip_share_nothing() -> None:
    """The same content is sealed under another file key each time."""
    first, second = seal(bytes(1000))[0], seal(bytes(1000))[0]
    assert first[-1000:] != second[-1000:]


def test_memory_stays_flat() -> None:
    """Sealing 32 MiB holds no more than a few pieces at a time."""
    block = bytes(1024 * 1024)
    writer = AgeWriter(RECIPIENTS, len)
    tracemalloc.start()
    for _ in range(32):
        writer.write(block)
    writer.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * PIECE


def _flip(position: int) -> Callable[[bytes], bytes]:
    return lambda sealed: sealed[:position] + bytes([sealed[position] ^ 1]) + sealed[position + 1 :]


PAYLOAD = len(seal(b"")[0]) - 16  # where the pieces begin
DAMAGES = {
    "a bit of the version": _flip(3),
    "a bit of a share": _flip(60),
    "a bit of the header's MAC": _flip(PAYLOAD - 20),
    "a bit of the nonce": _flip(PAYLOAD - 1),
    "a bit of the first piece": _flip(PAYLOAD + 5),
    "a bit of the last tag": lambda sealed: _flip(len(sealed) - 1)(sealed),
    "cut off in the header": lambda sealed: sealed[:100],
    "cut off after the header": lambda sealed: sealed[: PAYLOAD - 16],
    "no piece at all": lambda sealed: sealed[:PAYLOAD],
    "cut off in a tag": lambda sealed: sealed[:-1],
    "cut off between pieces": lambda sealed: sealed[: PAYLOAD + 2 * SEALED_PIECE],
    "one byte more": lambda sealed: sealed + b"\0",
    "pieces in another order": lambda sealed: (
        sealed[:PAYLOAD]
        + sealed[PAYLOAD + SEALED_PIECE : PAYLOAD + 2 * SEALED_PIECE]
        + sealed[PAYLOAD : PAYLOAD + SEALED_PIECE]
        + sealed[PAYLOAD + 2 * SEALED_PIECE :]
    ),
    "a piece twice": lambda sealed: sealed[: PAYLOAD + SEALED_PIECE] + sealed[PAYLOAD:],
    "a piece left out": lambda sealed: sealed[:PAYLOAD] + sealed[PAYLOAD + SEALED_PIECE :],
    "another file's payload": lambda sealed: sealed[:PAYLOAD] + seal(bytes(200_000))[0][PAYLOAD:],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_any_change_is_found(damage: Callable[[bytes], bytes]) -> None:
    """A changed, shortened, lengthened or reordered file is refused, by us and by the other implementation."""
    sealed, _ = seal(bytes(200_000))
    changed = damage(sealed)
    assert changed != sealed
    with pytest.raises(BadInputError):
        unseal(changed)
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(changed, [pyrage.x25519.Identity.from_str(OFFICER.reveal().decode())])


def test_an_abandoned_writer_leaves_a_file_nobody_opens() -> None:
    """Without `finish` there is no last piece, and every reader says so."""
    out = io.BytesIO()
    writer = AgeWriter(RECIPIENTS, out.write)
    writer.write(bytes(3 * PIECE))
    with pytest.raises(BadInputError, match="cut off"):
        unseal(out.getvalue())


def test_a_failed_disk_ends_the_writer() -> None:
    """After `emit` has failed nothing more is sealed, so that no nonce is ever used for two contents."""
    failing = [False]

    def emit(_: bytes) -> None:
        if failing[0]:
            raise OSError("no space left on device")

    writer = AgeWriter(RECIPIENTS, emit)
    writer.write(bytes(PIECE))
    failing[0] = True
    with pytest.raises(OSError, match="no space"):
        writer.write(b"x")
    failing[0] = False
    with pytest.raises(RuntimeError):
        writer.finish()


def test_a_finished_writer_takes_nothing_more() -> None:
    """A file has one end."""
    writer = AgeWriter(RECIPIENTS, len)
    writer.finish()
    with pytest.raises(RuntimeError):
        writer.finish()


def test_the_wrong_key_opens_nothing() -> None:
    """Someone who is not a recipient is told so before any piece comes out."""
    sealed, _ = seal(b"clip")
    with pytest.raises(BadInputError, match="not sealed to this identity"):
        open_age(io.BytesIO(sealed), generate_identity()[0])


@settings(max_examples=200)
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: b"age-encryption.org/v1\n-> X25519 " + tail))
def test_hostile_files_raise_nothing_else(content: bytes) -> None:
    """No file raises anything but BadInputError."""
    with pytest.raises(BadInputError):
        unseal(content)


@settings(max_examples=100)
@given(st.integers(0, PAYLOAD - 17), st.integers(0, 255))
def test_a_fuzzed_header_raises_nothing_else(position: int, value: int) -> None:
    """One wrong byte anywhere in the header is refused or belongs to the other recipient's stanza."""
    sealed, _ = seal(b"clip", [OFFICER_RECIPIENT])
    changed = sealed[:position] + bytes([value]) + sealed[position + 1 :]
    if changed == sealed:
        return
    with pytest.raises(BadInputError):
        unseal(changed)


def test_a_header_without_end_is_refused() -> None:
    """A header larger than its limit is refused without reading on."""
    stream = io.BytesIO(b"age-encryption.org/v1\n" + b"-> X a\nYQ\n" * 20_000)
    with pytest.raises(BadInputError):
        open_age(stream, OFFICER)
    assert stream.tell() <= 64 * 1024


def test_the_reference_implementation_opens_ours(tmp_path: Path) -> None:
    """The stock `age` tool opens what we seal, for each recipient."""
    content = os.urandom(3 * PIECE + 5)
    (tmp_path / "clip.age").write_bytes(seal(content)[0])
    for identity in (OFFICER, OWNER):
        (tmp_path / "key").write_bytes(identity.reveal() + b"\n")
        command = [stock_age(), "--decrypt", "--identity", str(tmp_path / "key"), str(tmp_path / "clip.age")]
        assert subprocess.run(command, capture_output=True, check=True).stdout == content


def test_ours_opens_the_reference_implementations() -> None:
    """We open what the stock `age` tool seals to two recipients."""
    content = os.urandom(2 * PIECE)
    command = [stock_age(), "--encrypt", "--recipient", OWNER_RECIPIENT, "--recipient", OFFICER_RECIPIENT]
    sealed = subprocess.run(command, input=content, capture_output=True, check=True).stdout
    assert unseal(sealed, OFFICER) == content


def test_pyrage_and_ours_open_each_other() -> None:
    """A second implementation opens ours, and we open its files."""
    content = os.urandom(PIECE + 1)
    identity = pyrage.x25519.Identity.from_str(OFFICER.reveal().decode())
    assert pyrage.decrypt(seal(content)[0], [identity]) == content
    recipient = pyrage.x25519.Recipient.from_str(OFFICER_RECIPIENT)
    assert unseal(pyrage.encrypt(content, [recipient])) == content
