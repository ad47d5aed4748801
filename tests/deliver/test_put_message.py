"""What hub and signer say about presigned URLs, byte for byte, and what is refused."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put_message import PIECE_BYTES, PIECES_MAX, PRESIGNED_CHARS_MAX, piece_count, read_signed, write_ask
from agent.errors import BadInputError

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


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        answer(v=2),
        answer(expires_in_s=29),
        answer(expires_in_s=7 * 24 * 3600 + 1),
        answer(more=1),
        answer((0, URL)),
        answer((6, URL)),
        answer((1, URL), (1, URL)),
        answer((2, URL), (1, URL)),
        answer(*((number, URL) for number in range(1, 18))),
        answer((1, "")),
        answer((1, URL + "a" * PRESIGNED_CHARS_MAX)),
        answer((1, URL.replace("https", "http"))),
        answer((1, URL.replace("store", "other"))),
        answer((1, URL.replace("store.example", "store.example:9443"))),
        answer((1, URL.replace("store.example", "store.example@other.example"))),
        answer((1, URL.replace("store.example", "other.example#store.example"))),
        answer((1, URL + "\r\nX: y")),
    ],
)
def test_another_answer_is_refused(wrong: bytes) -> None:
    """Each of these has one thing that a signer's answer has not; no URL shows in the error."""
    with pytest.raises(BadInputError) as caught:
        read_signed(wrong, 17 if wrong.count(b"number") > 16 else 5, HOSTS)
    assert "5ec3e7" not in str(caught.value)


@given(st.binary(max_size=200))
def test_hostile_bytes_raise_one_error_only(body: bytes) -> None:
    """Whatever comes is an answer or a BadInputError."""
    try:
        read_signed(body, 5, HOSTS)
    except BadInputError:
        return
