"""A store that is killed finds everything again; what expires is gone, and what it signed for stays."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from agent.command.request import UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.deliver.upload import PATCH_BYTES_MAX
from agent.demo.broker import free_port
from agent.demo.pki import LOOPBACK, Authority
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, Patience
from agent.signing import generate_signing_key
from tests.bench.faults_store import Place, StoreProgram, read_shelf

HUB, TOKEN = "hub-1", "token-1"
KEY = generate_signing_key("P-256")
CONTENT = bytes(range(256)) * (PATCH_BYTES_MAX // 256) + b"the second request"
_Result = TypeVar("_Result")


class Shop:
    """The store's place, and whichever process is there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._log = folder, folder / "store.log"
        certificates = Authority()
        certificate, key = certificates.issue_server(folder, "store")
        self._pem, jwk = certificates.pem, KEY.as_dict(private=True)
        places = str(folder / "store"), HUB, TOKEN, jwk, str(certificate), str(key), LOOPBACK, free_port()
        self._place = Place(*places)
        self.start()

    def start(self) -> None:
        """Start it, also again."""
        self.program = StoreProgram(self._place, self._log)
        self.program.wait_ready()

    def kill_and_start(self) -> None:
        """Cut its power, and switch it on again."""
        self.program.kill()
        self.start()

    def use(self, work: Callable[[HttpsUploader, UploadTarget], Awaitable[_Result]]) -> _Result:
        """Let the daemon's uploader do something."""

        async def run() -> _Result:
            async with HttpsUploader([self._pem], HostClock(), Patience(upload_s=5)) as uploader:
                url = f"https://{LOOPBACK}:{self._place.port}"
                return await work(uploader, UploadTarget(f"{url}/files", f"{url}/receipts", Secret(TOKEN)))

        return asyncio.run(run())

    def stored(self) -> list[str]:
        """Return the digest of everything that it has had whole, by its shelf."""
        return [kept.sha256 for kept in read_shelf(self.folder / "store").values() if kept.stored_at]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Run a store."""
    made = Shop(tmp_path)
    yield made
    made.program.stop()


def test_a_store_that_is_killed_at_every_step_has_the_part_once(shop: Shop, tmp_path: Path) -> None:
    """After the creation, after half of the bytes, after the last one, and after the receipt."""
    path = tmp_path / "part"
    path.write_bytes(CONTENT)
    part = SealedPart("c1.front.0000", path, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), MEDIA_TYPE_CLIP)
    location = shop.use(lambda uploader, target: uploader.create(part, target))
    shop.kill_and_start()
    steps = iter((True, True, True, False))  # OPTIONS, HEAD, one PATCH
    assert not shop.use(lambda uploader, target: uploader.send(part, target, location, lambda: next(steps)))
    shop.kill_and_start()
    assert shop.use(lambda uploader, target: uploader.send(part, target, location))
    shop.kill_and_start()
    shop.program.forget_unfinished()  # it is whole: nothing to forget
    for _ in range(2):
        token = shop.use(lambda uploader, target: uploader.receipt(part, target))
        assert verify_receipt(token, [KEY], part, HUB).sha256 == part.sha256
        shop.kill_and_start()
    assert shop.stored() == [part.sha256]
    assert (tmp_path / "store" / "c1.front" / "c1.front.0000.mp4.age").read_bytes() == CONTENT
    assert (tmp_path / "store" / "c1.front" / "c1.front.0000.receipt").read_text() == token


def test_an_upload_that_expired_is_created_anew(shop: Shop, tmp_path: Path) -> None:
    """Its file goes with it; the hub begins again and is done."""
    path = tmp_path / "part"
    path.write_bytes(CONTENT)
    part = SealedPart("c1.front.0000", path, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), MEDIA_TYPE_CLIP)
    location = shop.use(lambda uploader, target: uploader.create(part, target))
    shop.program.forget_unfinished()
    assert not [*(tmp_path / "store" / "c1.front").iterdir()]
    assert shop.use(lambda uploader, target: uploader.send(part, target, location))
    assert shop.stored() == [part.sha256]
