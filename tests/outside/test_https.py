"""Uploads over real TLS to a real, failing store."""

import asyncio
import gc
import hashlib
import os
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.command.request import UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.errors import BadInputError, ConfigurationError, TransomError, UnavailableError
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, Patience
from tests.simulators.tus_server import Fault, TusStore, tus_server

SIZE = 9 * 1024 * 1024 + 11  # three PATCH requests
QUICK = Patience(connect_s=2, silence_s=2, request_s=5, upload_s=5)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedPart:
    """Make a part's file."""
    path = tmp_path_factory.mktemp("outbox") / "part.mp4.age"
    content = os.urandom(SIZE)
    path.write_bytes(content)
    return SealedPart("01JD.front.0000", path, SIZE, hashlib.sha256(content).hexdigest(), MEDIA_TYPE_CLIP)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TusStore, str, str]]:
    """Run a store."""
    with tus_server(tmp_path) as running:
        yield running


def target(url: str, bearer: str = "token-1") -> UploadTarget:
    """Name the store as a command does."""
    return UploadTarget(f"{url}/files", f"{url}/receipts", Secret(bearer))


@asynccontextmanager
async def uploader(pem: str, patience: Patience = QUICK) -> AsyncIterator[HttpsUploader]:
    """Make the uploader under test."""
    async with HttpsUploader([pem], HostClock(unsafe_assume_synchronised=True), patience) as made:
        yield made


def bring(served: tuple[TusStore, str, str], sealed: SealedPart, patience: Patience = QUICK) -> None:
    """Create an upload and send the part."""

    async def run() -> None:
        _, url, pem = served
        async with uploader(pem, patience) as made:
            location = await made.create(sealed, target(url))
            await made.send(sealed, target(url), location)

    asyncio.run(run())


def test_a_part_arrives_whole(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """Over TLS 1.3, with checksums, the store has exactly the part's bytes, each sent once."""
    store = served[0]
    bring(served, sealed)
    assert store.uploads == [bytearray(sealed.path.read_bytes())]
    assert (store.received, store.checksums_verified) == (SIZE, 3)


@pytest.mark.parametrize(
    "fault", [Fault.DROP_IN_PATCH, Fault.DROP_ANSWER, Fault.BAD_CHECKSUM, Fault.EARLY_200, Fault.ERROR_500]
)
def test_a_part_arrives_whole_in_spite_of(served: tuple[TusStore, str, str], sealed: SealedPart, fault: Fault) -> None:
    """After a fault the upload goes on from the store's offset, and the bytes are the part's."""
    store = served[0]
    store.faults.append(fault)
    bring(served, sealed)
    assert not store.faults
    assert store.uploads == [bytearray(sealed.path.read_bytes())]
    assert store.received <= SIZE + 4 * 1024 * 1024


def test_a_restarted_hub_goes_on_where_it_was(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """A hub that is killed while it sends takes the upload up again by its journaled address; nothing is sent twice."""
    store, url, pem = served
    store.stalls_at = 4 * 1024 * 1024

    async def run() -> None:
        async with uploader(pem) as first:
            location = await first.create(sealed, target(url))
            sending = asyncio.create_task(first.send(sealed, target(url), location))
            assert await asyncio.to_thread(store.stalled.wait, 10)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        store.stalls_at = None
        async with uploader(pem) as second:
            await second.send(sealed, target(url), location)

    asyncio.run(run())
    assert store.uploads == [bytearray(sealed.path.read_bytes())]
    assert (store.seen.count("POST"), store.received) == (1, SIZE)


@pytest.mark.parametrize(
    ("fault", "error", "why"),
    [
        (Fault.REDIRECT, BadInputError, "redirects"),
        (Fault.LYING_OFFSET, BadInputError, "claims"),
        (Fault.HUGE_ANSWER, BadInputError, "more than"),
        (Fault.SLOW, UnavailableError, "ReadTimeout"),
    ],
)
def test_gives_up_on(
    served: tuple[TusStore, str, str], sealed: SealedPart, fault: Fault, error: type[TransomError], why: str
) -> None:
    """What no retry can mend, and what takes too long, ends with an error that says what to do."""
    served[0].faults.append(fault)
    with pytest.raises(error, match=why):
        bring(served, sealed, replace(QUICK, silence_s=0.2, upload_s=0.3))


def test_the_whole_request_has_a_limit(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """A store that stays silent within the silence limit still cannot hold a request for ever."""
    served[0].faults.append(Fault.SLOW)
    with pytest.raises(UnavailableError, match="too long"):
        bring(served, sealed, replace(QUICK, request_s=0.2, upload_s=0.3))


def test_a_question_has_a_limit_of_its_own(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """What brings no bytes of a part is answered soon or not at all, however long a part's own request may take."""
    served[0].faults.append(Fault.SLOW)
    with pytest.raises(UnavailableError, match="too long"):
        bring(served, sealed, replace(QUICK, question_s=0.2, upload_s=0.3))


def test_a_store_by_another_authority_is_refused(
    served: tuple[TusStore, str, str], sealed: SealedPart, tmp_path: Path
) -> None:
    """A certificate that ends in somebody else's authority is refused at once, and nothing is sent."""
    (tmp_path / "other").mkdir()
    with tus_server(tmp_path / "other") as (_, _, other_pem), pytest.raises(UnavailableError, match="not one this hub"):
        bring((served[0], served[1], other_pem), sealed)
    assert not served[0].seen


def test_the_host_name_must_be_the_certificates(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """A certificate for another name is refused, even by the right authority."""
    store, url, pem = served
    with pytest.raises(UnavailableError, match="not one this hub"):
        bring((store, url.replace("127.0.0.1", "localhost"), pem), sealed)
    assert not store.seen


def test_tls_1_2_is_refused(tmp_path: Path, sealed: SealedPart) -> None:
    """A store that only speaks TLS 1.2 gets nothing."""
    with tus_server(tmp_path, tls=ssl.TLSVersion.TLSv1_2) as served:
        with pytest.raises(UnavailableError, match=r"TLS 1\.3"):
            bring(served, sealed)
        assert not served[0].seen


def test_a_store_that_is_not_there(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """Nobody listening is the world's failure: try later."""
    with pytest.raises(UnavailableError, match="ConnectError"):
        bring((served[0], "https://127.0.0.1:9", served[2]), sealed, replace(QUICK, upload_s=0.1))


def test_a_proxy_from_the_environment_is_ignored(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """Environment variables cannot lead uploads elsewhere."""
    before = dict(os.environ)
    os.environ.update(HTTPS_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    try:
        bring(served, sealed)
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert served[0].received == SIZE


def drop(served: tuple[TusStore, str, str], sealed: SealedPart, location: str) -> None:
    """Give an upload up."""

    async def run() -> None:
        async with uploader(served[2], replace(QUICK, silence_s=30, request_s=30, farewell_s=1)) as made:
            await made.drop(sealed, target(served[1]), location)

    asyncio.run(run())


@pytest.mark.parametrize("ends_uploads", [True, False])
def test_an_upload_that_is_given_up_is_ended_where_the_store_offers_it(
    served: tuple[TusStore, str, str], sealed: SealedPart, *, ends_uploads: bool
) -> None:
    """Termination is asked for at its own address, once; a store without it is left alone."""
    store, url, pem = served
    store.ends_uploads = ends_uploads

    async def run() -> str:
        async with uploader(pem) as made:
            return await made.create(sealed, target(url))

    drop(served, sealed, asyncio.run(run()))
    assert store.ended == ([0] if ends_uploads else [])
    assert store.seen[-1] == ("DELETE" if ends_uploads else "OPTIONS")


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.REDIRECT, Fault.HUGE_ANSWER, Fault.SLOW])
def test_a_store_that_does_not_hear_the_end_is_left_to_itself(
    served: tuple[TusStore, str, str], sealed: SealedPart, fault: Fault
) -> None:
    """Nothing is raised, nothing is repeated, and it takes a second or so."""
    served[0].faults.append(fault)
    begun = time.monotonic()
    drop(served, sealed, f"{served[1]}/files/0")
    assert time.monotonic() - begun < 10  # the store would hold it for 20
    assert served[0].seen == ["OPTIONS"]


def test_the_end_of_an_upload_goes_to_no_other_place(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """An address that is not on the command's store is not asked at all."""
    drop(served, sealed, "https://127.0.0.1:9/files/0")
    assert served[0].seen == []


def ask_receipt(served: tuple[TusStore, str, str], sealed: SealedPart, bearer: str = "token-1") -> str:
    """Fetch the receipt."""

    async def run() -> str:
        async with uploader(served[2]) as made:
            return await made.receipt(sealed, target(served[1], bearer))

    return asyncio.run(run())


def test_a_receipt_is_fetched_when_there_is_one(served: tuple[TusStore, str, str], sealed: SealedPart) -> None:
    """404 means not yet; 200 brings the store's statement."""
    with pytest.raises(UnavailableError, match="no receipt"):
        ask_receipt(served, sealed)
    served[0].receipts[sealed.id] = b"a.b.c\n"
    assert ask_receipt(served, sealed) == "a.b.c"


@pytest.mark.parametrize("receipt", [b"x" * 5000, "é".encode(), bytes(70_000)])
def test_an_endless_or_foreign_receipt_is_refused(
    served: tuple[TusStore, str, str], sealed: SealedPart, receipt: bytes
) -> None:
    """What cannot be a receipt is not passed on."""
    served[0].receipts[sealed.id] = receipt
    with pytest.raises(BadInputError):
        ask_receipt(served, sealed)


@pytest.mark.parametrize("fault", [Fault.ERROR_500, Fault.REDIRECT])
def test_a_failing_store_gives_no_receipt(served: tuple[TusStore, str, str], sealed: SealedPart, fault: Fault) -> None:
    """A server error is for later, a redirect is refused."""
    served[0].faults.append(fault)
    with pytest.raises(UnavailableError if fault is Fault.ERROR_500 else BadInputError):
        ask_receipt(served, sealed)


@pytest.mark.parametrize("token", ["wrong-token", "to\r\nken: x", "tök", "", "a b", "x" * 10_000])
def test_no_error_repeats_the_token(served: tuple[TusStore, str, str], sealed: SealedPart, token: str) -> None:
    """A token that is refused, by the store or by the header's grammar, stands in no error and no cause of one."""
    with pytest.raises(BadInputError) as caught:
        ask_receipt(served, sealed, token)
    error: BaseException | None = caught.value
    while error is not None:
        assert not token or token not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


async def _fail(made: HttpsUploader, part: SealedPart, url: str) -> None:
    await made.create(part, UploadTarget(url, url, Secret("token-1")))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:9/files", "https://", "https://[::1/", "https://a b/", "ftp://x", "", "https://" + "x" * 9999],
)
def test_a_bad_address_is_refused(served: tuple[TusStore, str, str], sealed: SealedPart, url: str) -> None:
    """Only a plain https address is a store."""

    async def run() -> None:
        async with uploader(served[2], replace(QUICK, upload_s=0.1)) as made:
            await _fail(made, sealed, url)

    with pytest.raises(TransomError):
        asyncio.run(run())


@pytest.mark.parametrize("authorities", [[], ["not a certificate"], [""]])
def test_an_uploader_needs_an_authority(authorities: list[str]) -> None:
    """Without a certificate to believe in there is no uploader; the system's store is no fallback."""

    async def run() -> None:
        HttpsUploader(authorities, HostClock(unsafe_assume_synchronised=True))

    with pytest.raises(ConfigurationError, match="authority"):
        asyncio.run(run())


def test_a_part_that_is_gone_from_the_outbox(
    served: tuple[TusStore, str, str], sealed: SealedPart, tmp_path: Path
) -> None:
    """A file that is missing or shorter than it was is a failure of the disk, not of the store."""
    short = tmp_path / "short"
    short.write_bytes(b"x")
    for path in (tmp_path / "gone", short):
        with pytest.raises(UnavailableError, match="outbox"):
            bring(served, replace(sealed, path=path))
    gc.collect()  # an unclosed connection would warn now, and fail
