"""A small store on a real TLS socket: tus 1.0 core, creation and checksum, receipts, and how stores fail."""

from __future__ import annotations

import base64
import hashlib
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

from tests.simulators.tls_store import Server, StoreRequest, served


class Fault(Enum):
    """What the store does wrong; each one is used up by the request it is meant for."""

    DROP_IN_PATCH = auto()  # keeps half of the body, then drops the connection
    DROP_ANSWER = auto()  # keeps the body, then drops the connection
    ERROR_500 = auto()
    LYING_OFFSET = auto()  # an answer claims more bytes than the part has
    REDIRECT = auto()
    EARLY_200 = auto()  # answers PATCH before reading its body, and keeps nothing
    SLOW = auto()  # never answers
    BAD_CHECKSUM = auto()  # says that the bytes were damaged on the way
    HUGE_ANSWER = auto()
    NO_TUS = auto()


@dataclass
class TusStore:
    """What the server keeps; tests look at it."""

    token: str = "token-1"  # noqa: S105 - for a simulator
    has_checksums: bool = True
    faults: deque[Fault] = field(default_factory=deque)
    uploads: list[bytearray] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    metadata: list[str] = field(default_factory=list)  # `Upload-Metadata` of each upload
    receipts: dict[str, bytes] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)  # methods in order
    received: int = 0  # body bytes of all PATCH requests
    checksums_verified: int = 0
    ended: list[int] = field(default_factory=list)  # numbers of the uploads that were terminated
    ends_uploads: bool = True
    no_receipt: int = 404  # the status of an answer without a receipt
    stalls_at: int | None = None  # PATCH requests from this offset on are never answered
    stalled: threading.Event = field(default_factory=threading.Event)  # set when one is not
    release: threading.Event = field(default_factory=threading.Event)  # lets go of all requests that wait

    def fault(self, *kinds: Fault) -> Fault | None:
        """Use up the next fault if it is one of `kinds`."""
        return self.faults.popleft() if self.faults and self.faults[0] in kinds else None


class _Handler(StoreRequest, BaseHTTPRequestHandler):
    always = (("Tus-Resumable", "1.0.0"),)
    store: ClassVar[TusStore]

    def is_refused(self) -> bool:
        """Answer what every request may meet; True if that was the answer."""
        store = self.store
        store.seen.append(self.command)
        if self.headers.get("Authorization") != f"Bearer {store.token}":
            self.answer(401)
        elif store.fault(Fault.ERROR_500):
            self.answer(500)
        elif store.fault(Fault.REDIRECT):
            self.answer(307, Location="https://127.0.0.1:1/elsewhere")
        elif store.fault(Fault.HUGE_ANSWER):
            self.answer(200, bytes(1024 * 1024))
        elif store.fault(Fault.SLOW):
            store.release.wait(20)
            self.close_connection = True
        else:
            return False
        return True

    def do_OPTIONS(self) -> None:
        if not self.is_refused():
            sums = {"Tus_Checksum_Algorithm": "sha1,sha256"} if self.store.has_checksums else {}
            offered = "creation,checksum" + (",termination" if self.store.ends_uploads else "")
            self.answer(204, b"", Tus_Version="1.0.0", Tus_Extension=offered, **sums)

    def do_POST(self) -> None:
        if self.is_refused():
            return
        self.store.uploads.append(bytearray())
        self.store.lengths.append(int(self.headers["Upload-Length"]))
        self.store.metadata.append(self.headers.get("Upload-Metadata", ""))
        self.answer(201, Location=f"/files/{len(self.store.uploads) - 1}")

    def do_HEAD(self) -> None:
        if self.is_refused() or (number := self.number()) is None:
            return
        self.answer(200, Upload_Offset=self.offset(number), Upload_Length=str(self.store.lengths[number]))

    def do_PATCH(self) -> None:
        if self.store.fault(Fault.EARLY_200):
            self.store.seen.append("PATCH")
            self.close_connection = True
            self.answer(200, Upload_Offset="0", Connection="close")
            return
        if self.is_refused() or (number := self.number()) is None:
            return
        upload, length = self.store.uploads[number], int(self.headers["Content-Length"])
        if self.store.stalls_at is not None and len(upload) >= self.store.stalls_at:
            self.store.stalled.set()
            self.store.release.wait(20)
            self.close_connection = True
            return
        if self.headers["Upload-Offset"] != str(len(upload)):
            self.rfile.read(length)
            self.answer(409)
            return
        is_dropped = self.store.fault(Fault.DROP_IN_PATCH) is not None
        body = self.rfile.read(length // 2 if is_dropped else length)
        self.store.received += len(body)
        if self.is_damaged(body) and not is_dropped:
            self.answer(460)
            return
        upload += body
        if is_dropped or self.store.fault(Fault.DROP_ANSWER):
            self.close_connection = True
            return
        self.answer(204, Upload_Offset=self.offset(number))

    def offset(self, number: int) -> str:
        is_lie = self.store.fault(Fault.LYING_OFFSET)
        return str(self.store.lengths[number] + 1 if is_lie else len(self.store.uploads[number]))

    def do_DELETE(self) -> None:
        if self.is_refused() or (number := self.number()) is None:
            return
        self.store.ended.append(number)
        self.answer(204)

    def is_damaged(self, body: bytes) -> bool:
        stated = self.headers.get("Upload-Checksum")
        if stated is None:
            return False
        actual = "sha256 " + base64.b64encode(hashlib.sha256(body).digest()).decode()
        self.store.checksums_verified += stated == actual
        return stated != actual or self.store.fault(Fault.BAD_CHECKSUM) is not None

    def do_GET(self) -> None:
        if not self.is_refused():
            receipt = self.store.receipts.get(self.path.removeprefix("/receipts/"))
            self.answer(200 if receipt else self.store.no_receipt, receipt or b"")

    def number(self) -> int | None:
        """Read which upload is meant; answers 404 and returns None if there is none."""
        name = self.path.removeprefix("/files/")
        if name.isdigit() and int(name) < len(self.store.uploads) and int(name) not in self.store.ended:
            return int(name)
        self.answer(404)
        return None


@contextmanager
def tus_server(folder: Path, *, tls: ssl.TLSVersion | None = None) -> Iterator[tuple[TusStore, str, str]]:
    """Run a store on 127.0.0.1; give the store, its URL `https://127.0.0.1:PORT` and its authority's PEM."""
    store = TusStore()
    with served(Server(type("Handler", (_Handler,), {"store": store})), folder, tls, store.release) as (url, pem):
        yield store, url, pem
