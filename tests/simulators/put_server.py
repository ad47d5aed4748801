"""A signer and its store on a real TLS socket: presigned URLs by the piece, receipts, and how both fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.simulators.tls_store import Server, StoreRequest, served

KEY = b"the signer's and the store's"
URLS_AT_ONCE = 2
CHECKSUM = "x-amz-checksum-sha256"


class PutFault(Enum):
    """What goes wrong; each one is used up by the request it is meant for."""

    SIGNER_500 = auto()
    SIGNER_REDIRECT = auto()
    SIGNS_THE_PAST = auto()  # URLs that have expired already
    SIGNER_LIES = auto()  # nothing is missing, it says
    NAMES_ANOTHER_HOST = auto()
    DROP_IN_PUT = auto()  # takes half of the body, then drops the connection
    DROP_ANSWER = auto()  # keeps the piece, then drops the connection
    EARLY_200 = auto()  # answers before it reads, and keeps nothing
    TRUNCATES = auto()  # says 200 and keeps nothing of it
    OTHER_CHECKSUM = auto()  # says 200 and the checksum of other bytes
    DAMAGED = auto()  # 400: the bytes are not those of the checksum
    FORGETS = auto()  # 404: drops all pieces of the part
    STORE_REDIRECT = auto()
    SLOW = auto()  # never answers


@dataclass
class PutStore:
    """What the server keeps; tests look at it."""

    token: str = "token-1"  # noqa: S105 - for a simulator
    expires_s: int = 60
    faults: deque[PutFault] = field(default_factory=deque)
    whole: dict[str, list[bytes]] = field(default_factory=dict)  # part -> every content it came with
    pieces: dict[str, dict[int, bytes]] = field(default_factory=dict)  # of multipart uploads that are open
    receipts: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # method and first word of the path, in order
    received: int = 0  # bytes of all pieces
    leaked: list[str] = field(default_factory=list)  # headers that had no business at the store
    stalls_at: int | None = None  # pieces from this number on are never answered
    stalled: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def fault(self, *kinds: PutFault) -> PutFault | None:
        """Use up the next fault if it is one of `kinds`."""
        return self.faults.popleft() if self.faults and self.faults[0] in kinds else None

    def missing(self, part: str, sums: list[str]) -> list[int]:
        """Say which pieces are not here; complete the part when none is."""
        if any(hashes_of(content) == sums for content in self.whole.get(part, [])):
            return []
        held = self.pieces.setdefault(part, {})
        wanted = [n for n, one in enumerate(sums, 1) if n not in held or checksum(held[n]) != one]
        if not wanted:
            del self.pieces[part]
            self.whole.setdefault(part, []).append(b"".join(held[n] for n in sorted(held)))
        return wanted


def checksum(content: bytes) -> str:
    """Write a checksum as S3 does."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def hashes_of(content: bytes) -> list[str]:
    """Write the checksum of each piece."""
    size = 5 * 1024 * 1024
    return [checksum(content[at : at + size]) for at in range(0, max(1, len(content)), size)]


def seal(part: str, number: int, until: int, digest: str) -> str:
    """Sign what a URL permits."""
    return hmac.new(KEY, f"{part} {number} {until} {digest}".encode(), "sha256").hexdigest()


class _Handler(StoreRequest, BaseHTTPRequestHandler):
    store: ClassVar[PutStore]

    def is_refused(self) -> bool:
        """Answer what a request to the signer may meet; True if that was the answer."""
        store = self.store
        store.seen.append(f"{self.command} {self.path.split('/')[1]}")
        if self.headers.get("Authorization") != f"Bearer {store.token}":
            self.answer(401)
        elif store.fault(PutFault.SIGNER_500):
            self.answer(500)
        elif store.fault(PutFault.SIGNER_REDIRECT):
            self.answer(307, Location="https://127.0.0.1:1/elsewhere")
        else:
            return False
        return True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.is_refused():
            return
        store, asked = self.store, json.loads(body)
        missing = [] if store.fault(PutFault.SIGNER_LIES) else store.missing(asked["part"], asked["pieces"])
        urls = [self.signed(asked, number) for number in missing[:URLS_AT_ONCE]]
        answer = {"v": 1, "expires_in_s": store.expires_s, "pieces": urls}
        self.answer(200, json.dumps(answer).encode(), Content_Type="application/json")

    def signed(self, asked: dict[str, Any], number: int) -> dict[str, object]:
        late = self.store.expires_s + 1 if self.store.fault(PutFault.SIGNS_THE_PAST) else 0
        host = "other.example" if self.store.fault(PutFault.NAMES_ANOTHER_HOST) else self.headers["Host"]
        part, digest, until = asked["part"], asked["pieces"][number - 1], int(time.time()) + self.store.expires_s - late
        query = urlencode({"until": until, "signature": seal(part, number, until, digest)})
        return {"number": number, "url": f"https://{host}/bucket/{part}/{number}?{query}"}

    def do_PUT(self) -> None:
        store = self.store
        store.seen.append("PUT bucket")
        store.leaked += [name for name in self.headers if name.lower() in {"authorization", "cookie", "content-type"}]
        url = urlsplit(self.path)
        _, _, part, number = url.path.split("/")
        length, digest = int(self.headers["Content-Length"]), self.headers.get(CHECKSUM, "")
        if store.stalls_at is not None and int(number) >= store.stalls_at:
            store.stalled.set()
        if (store.stalls_at is not None and int(number) >= store.stalls_at) or store.fault(PutFault.SLOW):
            store.release.wait(20)
            self.close_connection = True
            return
        if store.fault(PutFault.EARLY_200):
            self.close_connection = True
            self.answer(200, Connection="close")
            return
        is_dropped = store.fault(PutFault.DROP_IN_PUT) is not None
        body = self.rfile.read(length // 2 if is_dropped else length)
        store.received += len(body)
        if is_dropped:
            self.close_connection = True
            return
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        is_good = hmac.compare_digest(query["signature"], seal(part, int(number), int(query["until"]), digest))
        if not is_good or time.time() > int(query["until"]):
            self.answer(403)
        elif store.fault(PutFault.STORE_REDIRECT):
            self.answer(307, Location="https://127.0.0.1:1/elsewhere")
        elif store.fault(PutFault.FORGETS) or part not in store.pieces:
            store.pieces.pop(part, None)
            self.answer(404)
        elif store.fault(PutFault.DAMAGED) or checksum(body) != digest:
            self.answer(400)
        else:
            self.keep(part, int(number), body)

    def keep(self, part: str, number: int, body: bytes) -> None:
        """Keep a piece, or do what a store does instead."""
        if self.store.fault(PutFault.TRUNCATES):
            self.answer(200)
            return
        self.store.pieces[part][number] = body
        if self.store.fault(PutFault.DROP_ANSWER):
            self.close_connection = True
            return
        stated = checksum(b"other") if self.store.fault(PutFault.OTHER_CHECKSUM) else checksum(body)
        self.answer(200, b"", **{CHECKSUM: stated, "ETag": '"no md5"'})

    def do_DELETE(self) -> None:
        if not self.is_refused():
            self.answer(404 if self.store.pieces.pop(self.path.removeprefix("/puts/"), None) is None else 204)

    def do_GET(self) -> None:
        if not self.is_refused():
            receipt = self.store.receipts.get(self.path.removeprefix("/receipts/"))
            self.answer(200 if receipt else 404, receipt or b"")


@contextmanager
def put_server(folder: Path) -> Iterator[tuple[PutStore, str, str]]:
    """Run signer and store; yield what they keep, their URL `https://127.0.0.1:PORT` and their authority's PEM."""
    store = PutStore()
    with served(Server(type("Handler", (_Handler,), {"store": store})), folder, None, store.release) as (url, pem):
        yield store, url, pem
