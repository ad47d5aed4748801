"""The demo's store in a process of its own, which finds everything again after it was killed.

    python -m tests.bench.faults_store

The first line of standard input is a `Place`; a line on standard output says that it listens. Each further line lets
every unfinished upload expire, and is answered by another. Ends with its standard input.

Rules of this file: what an answer says is on the disk before the answer goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from agent.clock import WallTime
from agent.demo.processes import START_S_MAX, Program
from agent.demo.store import Store, Upload
from agent.signing import SigningKey, key_from_jwk

SHELF: Final = "shelf.jsonl"


class Place(msgspec.Struct, frozen=True):
    """What the store is told at its start."""

    folder: str
    hub: str
    token: str
    key: Mapping[str, Any]  # a private JWK
    certificate: str  # paths
    certificate_key: str
    address: str
    port: int

    def store_key(self) -> SigningKey:
        """Return the key that signs receipts."""
        return key_from_jwk(dict(self.key))


class Kept(msgspec.Struct, frozen=True):
    """A line of the shelf: an upload as it is from now on."""

    name: str
    part: str
    size: int
    path: str
    first_byte_at: int | None
    stored_at: int | None
    receipted_at: int | None
    sha256: str


class KeptStore(Store):
    """A store whose uploads outlive it. `last_kept` is what its shelf says of each."""

    def open_shelf(self) -> None:
        """Find everything again. A line without its end was being written, and its answer never went."""
        self.last_kept = read_shelf(self.folder)
        for name, kept in self.last_kept.items():
            upload = Upload(kept.part, kept.size, Path(kept.path), _time(kept.first_byte_at), _time(kept.stored_at))
            upload.receipted_at, upload.sha256 = _time(kept.receipted_at), kept.sha256
            final = upload.path.with_suffix("")
            if upload.stored_at is None and not upload.path.exists():
                if not final.exists():  # it expired
                    continue
                upload.path = final  # killed between the new name and the word about it
                upload.sha256 = hashlib.sha256(final.read_bytes()).hexdigest()
                upload.stored_at = WallTime(final.stat().st_mtime_ns)
            self.uploads[name] = upload
            if upload.sha256:
                self.contents.setdefault(upload.part, set()).add(upload.sha256)
        self._shelf = (self.folder / SHELF).open("ab")
        self._shelf.write(b"\n")  # behind what was being written; blank lines say nothing

    async def create(self, request: Request) -> Response:
        """Handle tus creation."""
        return self._keep(await super().create(request))

    async def append(self, request: Request) -> Response:
        """Handle PATCH."""
        return self._keep(await super().append(request))

    async def receipt(self, request: Request) -> Response:
        """Sign what is here of a part."""
        return self._keep(await super().receipt(request))

    def _keep(self, answer: Response) -> Response:
        for name, upload in self.uploads.items():
            times = upload.first_byte_at, upload.stored_at, upload.receipted_at
            kept = Kept(name, upload.part, upload.size, str(upload.path), *times, upload.sha256)
            if self.last_kept.get(name) != kept:
                self.last_kept[name] = kept
                self._shelf.write(msgspec.json.encode(kept) + b"\n")
        self._shelf.flush()
        return answer


def read_shelf(folder: Path) -> dict[str, Kept]:
    """Return what a store's shelf says of each upload that it ever had, by the upload's name."""
    found: dict[str, Kept] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in (folder / SHELF).read_bytes().split(b"\n")[:-1]:
            with contextlib.suppress(msgspec.MsgspecError):
                kept = msgspec.json.decode(line, type=Kept)
                found[kept.name] = kept
    return found


class StoreProgram(Program):
    """The store; it answers once `wait_ready` has returned."""

    def __init__(self, place: Place, log: Path) -> None:
        super().__init__("tests.bench.faults_store", [], log, with_stdout=True)
        self._write_line(msgspec.json.encode(place))

    def wait_ready(self) -> None:
        """Wait until it answers."""
        self._read_line(START_S_MAX)

    def forget_unfinished(self) -> None:
        """Let every unfinished upload expire."""
        self._write_line(b"")
        self._read_line(START_S_MAX)


def _time(moment: int | None) -> WallTime | None:
    return None if moment is None else WallTime(moment)


async def _serve(place: Place) -> None:
    store = KeptStore(Path(place.folder), place.hub, place.token, place.store_key())
    routes = store.routes()
    store.open_shelf()
    config = uvicorn.Config(
        Starlette(routes=routes),
        host=place.address,
        port=place.port,
        ssl_certfile=place.certificate,
        ssl_keyfile=place.certificate_key,
        log_level="warning",
        lifespan="off",
        access_log=False,
    )
    config.load()
    if config.ssl is None:
        raise RuntimeError("uvicorn without TLS")
    config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn sends no event for it
        await asyncio.sleep(0.01)
    print(flush=True)  # noqa: T201 - for the bench
    while await asyncio.to_thread(sys.stdin.buffer.readline):
        store.forget_unfinished()
        print(flush=True)  # noqa: T201 - for the bench
    server.should_exit = server.force_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(_serve(msgspec.json.decode(sys.stdin.buffer.readline(), type=Place)))
