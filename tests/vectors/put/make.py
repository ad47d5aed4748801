"""Write the vectors of presigned URLs: `python -m tests.vectors.put.make`. Same bytes every run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put_message import PIECE_BYTES, PRESIGNED_CHARS_MAX, URLS_MAX, write_ask

FILE = Path(__file__).parent / "put.json"
HOSTS = ["store.example", "store.example:9000"]
URL = "https://store.example/bucket/part?X-Amz-Expires=600&X-Amz-Signature=5ec3e7"
PIECES = 17
PART = SealedPart("01JD.front.0000", Path(), PIECES * PIECE_BYTES, "ab" * 32, MEDIA_TYPE_CLIP)
DIGESTS = [hashlib.sha256(bytes([number])).digest() for number in range(PIECES)]


def answer(*pieces: tuple[object, object], **changed: object) -> dict[str, Any]:
    """Write a signer's answer."""
    named = [{"number": number, "url": url} for number, url in pieces]
    return {"v": 1, "expires_in_s": 600, "pieces": named, **changed}


def text(*pieces: tuple[object, object], **changed: object) -> str:
    """Write it as JSON."""
    return json.dumps(answer(*pieces, **changed), separators=(",", ":"))


GOOD = {
    "whole": ("nothing is missing", text()),
    "two": ("two pieces, with a gap between", text((2, URL), (5, URL))),
    "port": ("a host that is listed with its port", text((1, URL.replace("example/", "example:9000/")))),
    "default-port": ("443 is what https means", text((1, URL.replace("example/", "example:443/")))),
    "most": ("as many as an answer may name", text(*((number, URL) for number in range(1, URLS_MAX + 1)))),
    "longest": ("a URL as long as it may be", text((1, URL + "a" * (PRESIGNED_CHARS_MAX - len(URL))))),
    "a-week": ("the longest that SigV4 signs for", text((1, URL), expires_in_s=604_800)),
}
BAD = {
    "nothing": ("no bytes", ""),
    "list": ("a list", "[]"),
    "member-twice": ("a member twice", text((1, URL))[:-1] + ',"v":1}'),
    "version": ("another version", text(v=2)),
    "unknown": ("a member that no signer's answer has", text(headers={})),
    "soon": ("URLs that expire before a piece can go", text(expires_in_s=29)),
    "late": ("URLs that no store would take", text(expires_in_s=604_801)),
    "no-expiry": ("no word of when they expire", json.dumps({"v": 1, "pieces": []})),
    "zero": ("pieces count from 1", text((0, URL))),
    "beyond": ("a piece that the part does not have", text((PIECES + 1, URL))),
    "twice": ("the same piece twice", text((1, URL), (1, URL))),
    "disorder": ("not the lowest first", text((2, URL), (1, URL))),
    "many": ("one more than an answer may name", text(*((number, URL) for number in range(1, URLS_MAX + 2)))),
    "no-url": ("an empty URL", text((1, ""))),
    "too-long": ("a URL of one character too many", text((1, URL + "a" * (PRESIGNED_CHARS_MAX - len(URL) + 1)))),
    "http": ("not https", text((1, URL.replace("https", "http")))),
    "other-host": ("a host that is not listed", text((1, URL.replace("store", "other")))),
    "other-port": ("a listed host's other port", text((1, URL.replace("example/", "example:9443/")))),
    "subdomain": ("a name below a listed one", text((1, URL.replace("store", "bucket.store")))),
    "userinfo": ("a host that looks listed", text((1, URL.replace("store.example", "store.example@other.example")))),
    "fragment": ("a fragment", text((1, URL + "#x"))),
    "second-header": ("a line break", text((1, URL + "\r\nX: y"))),
}


def written() -> str:
    """Return the file."""
    vectors = [
        {"name": name, "about": about, "expect": expect, "answer": body}
        for expect, cases in (("success", GOOD), ("refused", BAD))
        for name, (about, body) in cases.items()
    ]
    question = {
        "part": PART.id,
        "size": PART.size,
        "sha256": PART.sha256,
        "media_type": PART.media_type,
        "digests": [digest.hex() for digest in DIGESTS],
        "body": write_ask(PART, DIGESTS).decode(),
    }
    return json.dumps({"question": question, "hosts": HOSTS, "vectors": vectors}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
