"""Uploads by presigned URLs over real TLS to a signer and a store that fail."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.command.destination import host_of
from agent.command.request import UploadMethod, UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put_message import PIECE_BYTES
from agent.errors import BadInputError, TransomError, UnavailableError
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, Patience
from tests.simulators.put_server import PutFault, PutStore, put_server

SIZE = 2 * PIECE_BYTES + 11  # three pieces
QUICK = Patience(connect_s=2, silence_s=2, request_s=5, upload_s=5, farewell_s=1)


@dataclass(frozen=True)
class Shop:
    """A signer and store, and how to reach them."""

    store: PutStore
    url: str
    pem: str

    @property
    def target(self) -> UploadTarget:
        """What a command names."""
        return UploadTarget(f"{self.url}/puts", f"{self.url}/receipts", Secret("token-1"), UploadMethod.PUT)

    def uploader(self, patience: Patience = QUICK) -> HttpsUploader:
        """Make the uploader under test."""
        return HttpsUploader([self.pem], HostClock(), patience, hosts=lambda: {host_of(f"{self.url}/")})

    def bring(self, part: SealedPart, patience: Patience = QUICK) -> None:
        """Create an upload and send the part."""

        async def run() -> None:
            async with self.uploader(patience) as made:
                location = await made.create(part, self.target)
                assert await made.send(part, self.target, location)

        asyncio.run(run())


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """Run signer and store."""
    with put_server(tmp_path) as running:
        yield Shop(*running)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an outbox."""
    return tmp_path_factory.mktemp("outbox")


def sealed_part(folder: Path, size: int) -> SealedPart:
    """Make a part's file, once for each size."""
    path = folder / f"{size}.mp4.age"
    if not path.exists():
        path.write_bytes(os.urandom(size))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return SealedPart(f"alarm-1.front.{size % 10_000:04d}", path, size, digest, MEDIA_TYPE_CLIP)


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, SIZE])
def test_a_part_arrives_whole(shop: Shop, folder: Path, size: int) -> None:
    """The store has exactly the part's bytes, each sent once; the token stays with the signer."""
    part = sealed_part(folder, size)
    shop.bring(part)
    assert shop.store.whole == {part.id: [part.path.read_bytes()]}
    assert shop.store.received == size
    assert shop.store.leaked == []


@pytest.mark.parametrize(
    "fault",
    [
        PutFault.SIGNER_500,
        PutFault.SIGNS_THE_PAST,
        PutFault.DROP_IN_PUT,
        PutFault.DROP_ANSWER,
        PutFault.EARLY_200,
        PutFault.TRUNCATES,
        PutFault.DAMAGED,
        PutFault.FORGETS,
    ],
)
def test_a_part_arrives_whole_in_spite_of(shop: Shop, folder: Path, fault: PutFault) -> None:
    """After a fault of signer or store, or a URL that had expired, what is missing is asked for and sent, no more."""
    part = sealed_part(folder, SIZE)
    shop.store.faults.append(fault)
    shop.bring(part)
    assert not shop.store.faults
    assert shop.store.whole == {part.id: [part.path.read_bytes()]}
    assert shop.store.received <= SIZE + PIECE_BYTES


def test_a_restarted_hub_sends_no_whole_piece_again(shop: Shop, folder: Path) -> None:
    """A hub that is killed while it sends goes on with the piece it was at; it remembers nothing of the others."""
    part = sealed_part(folder, SIZE)
    shop.store.stalls_at = 2

    async def run() -> None:
        async with shop.uploader() as first:
            sending = asyncio.create_task(first.send(part, shop.target, ""))
            assert await asyncio.to_thread(shop.store.stalled.wait, 10)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        shop.store.stalls_at = None
        async with shop.uploader() as second:
            assert await second.send(part, shop.target, "")

    asyncio.run(run())
    assert shop.store.whole == {part.id: [part.path.read_bytes()]}
    assert shop.store.received == SIZE


@pytest.mark.parametrize(
    ("fault", "error", "why"),
    [
        (PutFault.SIGNER_REDIRECT, BadInputError, "redirects"),
        (PutFault.STORE_REDIRECT, BadInputError, "redirects"),
        (PutFault.NAMES_ANOTHER_HOST, BadInputError, "trust bundle"),
        (PutFault.OTHER_CHECKSUM, BadInputError, "other bytes"),
        (PutFault.SLOW, UnavailableError, "Timeout"),
    ],
)
def test_gives_up_on(shop: Shop, folder: Path, fault: PutFault, error: type[TransomError], why: str) -> None:
    """What no retry can mend, and what takes too long, ends with an error that says what to do."""
    shop.store.faults.append(fault)
    with pytest.raises(error, match=why):
        shop.bring(sealed_part(folder, SIZE), replace(QUICK, silence_s=0.5, upload_s=0.3))


def test_without_a_list_of_hosts_no_piece_goes_anywhere(shop: Shop, folder: Path) -> None:
    """An uploader that was not told where pieces may go sends none."""

    async def run() -> None:
        async with HttpsUploader([shop.pem], HostClock(), QUICK) as made:
            await made.send(sealed_part(folder, 1), shop.target, "")

    with pytest.raises(BadInputError, match="trust bundle"):
        asyncio.run(run())
    assert shop.store.seen == ["POST puts"]


def test_consent_is_asked_for_before_each_piece(shop: Shop, folder: Path) -> None:
    """As soon as it ends nothing more is sent; then the signer drops what there is, and nothing is left of the part."""
    part, answers = sealed_part(folder, SIZE), [True, True, False]

    async def run() -> None:
        async with shop.uploader() as made:
            assert not await made.send(part, shop.target, "", lambda: answers.pop(0))
            assert shop.store.received == PIECE_BYTES
            await made.drop(part, shop.target, "")

    asyncio.run(run())
    assert shop.store.seen == ["POST puts", "PUT bucket", "DELETE puts"]
    assert (shop.store.pieces, shop.store.whole) == ({}, {})


def test_no_error_repeats_a_presigned_url(shop: Shop, folder: Path) -> None:
    """A URL is a permission: it stands in no error, and in none that led to it."""
    shop.store.faults.append(PutFault.STORE_REDIRECT)
    with pytest.raises(BadInputError) as caught:
        shop.bring(sealed_part(folder, 1))
    error: BaseException | None = caught.value
    while error is not None:
        assert "signature" not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


def test_a_part_that_is_gone_from_the_outbox(shop: Shop, folder: Path) -> None:
    """A file that is missing is a failure of the disk: the signer is not even asked."""
    with pytest.raises(UnavailableError, match="outbox"):
        shop.bring(replace(sealed_part(folder, 1), path=folder / "gone"))
    assert shop.store.seen == []
