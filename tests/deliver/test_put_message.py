"""What hub and signer say about presigned URLs, byte for byte, and what is refused."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put_message import PIECE_BYTES, PIECES_MAX, piece_count, read_signed, write_ask
from agent.errors import BadInputError
from tests.vectors.put.make import FILE, written

VECTORS = json.loads(FILE.read_text())
HOSTS = {"store.example", "store.example:9000"}
URL = "https://store.example/bucket/part?X-Amz-Signature=5ec3e7"


def answer(*urls: tuple[object, object], **changed: object) -> bytes:
    """Write a signer's answer."""
    pieces = [{"number": number, "url": url} for number, url in urls]
    return json.dumps({"v": 1, "expires_in_s": 600, "pieces": pieces, **changed}).encode()


def test_the_hub_asks_for_exactly_these_bytes() -> None:
    """The request names the part and the SHA-256 of each piece, in canonical JSON, and nothing else."""
    digest = hashlib.sha256(b"abc").digest()
    part = SealedPart("alarm-1.front.0000", Path(), 3, digest.hex(), MEDIA_TYPE_CLIP)
    assert json.loads(write_ask(part, [digest])) == {
        "v": 1,
        "part": "alarm-1.front.0000",
        "size": 3,
        "sha256": digest.hex(),
        "media_type": MEDIA_TYPE_CLIP,
        "piece_bytes": PIECE_BYTES,
        "pieces": [base64.b64encode(digest).decode()],
    }
    with pytest.raises(ValueError, match="each piece"):
        write_ask(part, [digest, digest])


def test_a_part_falls_into_pieces() -> None:
    """An empty part is one piece, a full piece is one, a byte more is two; more than the most is refused."""
    assert [piece_count(size) for size in (0, 1, PIECE_BYTES, PIECE_BYTES + 1)] == [1, 1, 1, 2]
    assert piece_count(PIECES_MAX * PIECE_BYTES) == PIECES_MAX
    with pytest.raises(BadInputError, match="larger"):
        piece_count(PIECES_MAX * PIECE_BYTES + 1)


def test_an_answer_is_read() -> None:
    """Numbers and URLs come as they were signed; the URL does not show in what may be printed."""
    signed = read_signed(answer((2, URL), (5, "https://store.example:9000/b")), 5, HOSTS)
    assert [(piece.number, piece.url) for piece in signed.pieces] == [(2, URL), (5, "https://store.example:9000/b")]
    assert signed.expires_in_s == 600
    assert "5ec3e7" not in repr(signed)
    assert read_signed(answer(), 5, HOSTS).pieces == ()


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=[vector["name"] for vector in VECTORS["vectors"]])
def test_an_answer_is_believed_or_refused(vector: dict[str, str]) -> None:
    """Each vector shows one success or one failure; no URL shows in an error."""
    body, count = vector["answer"].encode(), len(VECTORS["question"]["digests"])
    if vector["expect"] == "success":
        assert len(read_signed(body, count, VECTORS["hosts"]).pieces) == vector["answer"].count('"url"')
        return
    with pytest.raises(BadInputError) as caught:
        read_signed(body, count, VECTORS["hosts"])
    assert "5ec3e7" not in str(caught.value)


def test_the_vectors_are_what_the_code_writes() -> None:
    """So is the question of a hub, byte for byte."""
    assert FILE.read_text() == written()
    asked = VECTORS["question"]
    part = SealedPart(asked["part"], Path(), asked["size"], asked["sha256"], asked["media_type"])
    assert write_ask(part, [bytes.fromhex(one) for one in asked["digests"]]).decode() == asked["body"]


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_one_error_only(body: bytes) -> None:
    """Whatever comes is an answer or a BadInputError."""
    try:
        read_signed(body, 5, HOSTS)
    except BadInputError:
        return
