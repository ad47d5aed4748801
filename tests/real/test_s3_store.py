"""Presigned URLs against OpenStack Swift's S3 API, signed by AWS's own library: neither is ours."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from agent.command.destination import host_of
from agent.command.request import UploadMethod, UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put import CHECKSUM
from agent.deliver.put_message import PIECE_BYTES
from agent.deliver.receipt import verify_receipt
from agent.demo.pki import Authority
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, tls_context
from tests.simulators.breaking_wire import BreakingWire
from tests.simulators.s3_signer import Signer, served
from tests.simulators.tls_front import Certificate, TlsFront
from tests.vectors.command.scene import AUTHORITY

SCRIPT = Path(__file__).parent / "s3/store.py"
LOGIN = ("transom:signer", "secret")
HUB = "hub-1"
SIZE = 2 * PIECE_BYTES + 12_345  # three pieces
CONTENT = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(SIZE // 32 + 1))[:SIZE]


@contextmanager
def store_process(folder: Path) -> Iterator[int]:
    """Run the store; yield its port."""
    command = [sys.executable, SCRIPT, folder / "store", *LOGIN]
    with (folder / "store.log").open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    with process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            assert words[:1] == [b"ready"], (folder / "store.log").read_text()[-400:]
            yield int(words[1])
        finally:
            process.kill()


@dataclass
class Shop:
    """A signer, the store behind it, and the wire between a hub and the store."""

    signer: Signer
    url: str
    pem: str
    wire: BreakingWire

    @property
    def target(self) -> UploadTarget:
        """What a command names."""
        return UploadTarget(f"{self.url}/puts", f"{self.url}/receipts", Secret(self.signer.token), UploadMethod.PUT)

    def uploader(self) -> HttpsUploader:
        """Make the uploader under test."""
        hosts = {host_of(f"{self.url}/"), f"127.0.0.1:{self.wire.port}"}
        return HttpsUploader([self.pem], HostClock(), hosts=lambda: hosts)

    def bring(self, part: SealedPart, may_go_on: Callable[[], bool] = lambda: True) -> bool:
        """Send a part, as the daemon's courier does."""

        async def run() -> bool:
            async with self.uploader() as uploader:
                return await uploader.send(part, self.target, await uploader.create(part, self.target), may_go_on)

        return asyncio.run(run())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run store and signer, each behind TLS."""
    folder, authority = tmp_path_factory.mktemp("s3"), Authority()
    certificate, key = authority.issue_server(folder, "store")
    (folder / "both.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    with ExitStack() as stack:
        port = stack.enter_context(store_process(folder))
        front = stack.enter_context(TlsFront(port, Certificate(folder / "both.pem", b"")))
        wire = stack.enter_context(BreakingWire(front.port, []))
        signer = Signer(f"http://127.0.0.1:{port}", f"https://127.0.0.1:{wire.port}", LOGIN, HUB, AUTHORITY.store)
        url = stack.enter_context(served(signer, (certificate, key)))
        yield Shop(signer, url, authority.pem, wire)


@pytest.fixture
def part(tmp_path: Path, request: pytest.FixtureRequest) -> SealedPart:
    """Make a part of three pieces with a name of the test's own."""
    return sealed(tmp_path, f"{request.node.name[:60].replace('[', '-').replace(']', '')}.front.0000", CONTENT)


def sealed(folder: Path, name: str, content: bytes) -> SealedPart:
    """Put a part into the outbox."""
    path = folder / "part.mp4.age"
    path.write_bytes(content)
    return SealedPart(name, path, len(content), hashlib.sha256(content).hexdigest(), MEDIA_TYPE_CLIP)


def test_a_part_arrives_and_its_receipt_comes_back(shop: Shop, part: SealedPart) -> None:
    """A multipart upload of three pieces, each signed for once; sending again finds that nothing is left to send."""
    shop.signer.signed.clear()
    assert shop.bring(part)
    assert shop.bring(part)
    assert shop.signer.held(part.id) == [CONTENT]
    assert shop.signer.signed == [1, 2, 3]

    async def receipt() -> str:
        async with shop.uploader() as uploader:
            return await uploader.receipt(part, shop.target)

    verify_receipt(asyncio.run(receipt()), [AUTHORITY.store], part, HUB)


@pytest.mark.parametrize("size", [0, 1_000, PIECE_BYTES])
def test_a_small_part_is_one_object(shop: Shop, tmp_path: Path, size: int) -> None:
    """Up to one piece there is no multipart upload, not even for a moment."""
    small = sealed(tmp_path, f"small-{size}.front.0000", CONTENT[:size])
    shop.signer.signed.clear()
    assert shop.bring(small)
    assert shop.signer.held(small.id) == [CONTENT[:size]]
    assert shop.signer.signed == [1]


def test_a_part_arrives_over_a_line_that_breaks_twice(shop: Shop, part: SealedPart) -> None:
    """After a reset in the middle of a piece the upload goes on with that piece."""
    begun = shop.wire.carried
    shop.wire.break_at(begun + PIECE_BYTES // 2, begun + 2 * PIECE_BYTES)
    assert shop.bring(part)
    assert shop.wire.breaks_left == 0
    assert shop.signer.held(part.id) == [CONTENT]
    assert SIZE < shop.wire.carried - begun < SIZE + 2 * PIECE_BYTES


def test_a_restarted_hub_goes_on_with_the_piece_it_was_at(shop: Shop, part: SealedPart) -> None:
    """What the store has whole is not even signed for again."""
    answers = iter([True, True, True, False])
    assert not shop.bring(part, lambda: next(answers))
    shop.signer.signed.clear()
    assert shop.bring(part)
    assert shop.signer.signed == [3]
    assert shop.signer.held(part.id) == [CONTENT]


def test_what_is_given_up_leaves_nothing_in_the_bucket(shop: Shop, part: SealedPart) -> None:
    """Consent ends after a piece: the multipart upload is aborted, and what it had is gone."""
    answers = iter([True, True, False])
    assert not shop.bring(part, lambda: next(answers))
    assert len(shop.signer.unfinished(part.id)) == 1

    async def drop() -> None:
        async with shop.uploader() as uploader:
            await uploader.drop(part, shop.target, shop.target.url)

    asyncio.run(drop())
    assert shop.signer.unfinished(part.id) == []
    assert shop.signer.held(part.id) == []


def test_urls_that_have_expired_are_asked_for_anew(shop: Shop, part: SealedPart) -> None:
    """The store says 403; the next URLs are good."""
    shop.signer.expired_answers = 1
    assert shop.bring(part)
    assert shop.signer.held(part.id) == [CONTENT]


def test_a_url_is_good_for_its_bytes_only(shop: Shop) -> None:
    """The digest is signed: other bytes are damaged, another digest is another request, none is none."""
    digest, other = (base64.b64encode(hashlib.sha256(content).digest()).decode() for content in (b"abc", b"hello"))
    asked = {"part": "direct.front.0000", "sha256": hashlib.sha256(b"abc").hexdigest(), "pieces": [digest]}
    url = str(shop.signer.missing(asked)[0]["url"])
    with httpx.Client(verify=tls_context([shop.pem])) as client:
        answers = [
            client.put(url, content=content, headers=headers).status_code
            for content, headers in [
                (b"abd", {CHECKSUM: digest}),
                (b"hello", {CHECKSUM: other}),
                (b"abc", {}),
                (b"abc", {CHECKSUM: digest}),
            ]
        ]
    assert answers == [400, 403, 403, 200]
