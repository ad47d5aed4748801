"""The demo's store against the daemon's own uploader, and against requests that no good client sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from agent.command.request import UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.deliver.upload import PATCH_BYTES_MAX
from agent.demo.store import UPLOAD_BYTES_MAX
from agent.errors import BadInputError, UnavailableError
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader
from tests.simulators.central_desk import Desk, emptied, raw_client, running_desk

HUB = "hub-1"
TOKEN = "token-1"  # noqa: S105 - a test's token
TUS = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {TOKEN}"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Run a store for all tests of this file."""
    with running_desk(tmp_path_factory.mktemp("central"), HUB) as running:
        yield running


@pytest.fixture
def desk(running: Desk, tmp_path: Path) -> Desk:
    """Give each test the store empty, in a folder of its own."""
    return emptied(running, tmp_path / "store")


@pytest.fixture
def raw(desk: Desk) -> Iterator[httpx.Client]:
    """Make a client that sends whatever it is told."""
    with raw_client(desk) as client:
        yield client


def a_part(folder: Path, content: bytes, name: str = "alarm-1.front.0000") -> SealedPart:
    """Put a sealed part into a folder."""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{name}-{digest[:8]}"
    path.write_bytes(content)
    return SealedPart(name, path, len(content), digest, MEDIA_TYPE_CLIP)


def use(desk: Desk, work: Callable[[HttpsUploader, UploadTarget], Awaitable[str]], token: str = TOKEN) -> str:
    """Let the daemon's uploader do something."""

    async def run() -> str:
        async with HttpsUploader([desk.certificates.pem], HostClock()) as uploader:
            target = UploadTarget(f"{desk.url}/files", f"{desk.url}/receipts", Secret(token))
            return await work(uploader, target)

    return asyncio.run(run())


def bring(desk: Desk, part: SealedPart, token: str = TOKEN) -> str:
    """Bring a part to the store and fetch its receipt, as the daemon does."""

    async def work(uploader: HttpsUploader, target: UploadTarget) -> str:
        await uploader.send(part, target, await uploader.create(part, target))
        return await uploader.receipt(part, target)

    return use(desk, work, token)


def create(raw: httpx.Client, part: str = "alarm-1.front.0000", length: str = "10") -> httpx.Response:
    """Ask for a new upload."""
    metadata = f"part {base64.b64encode(part.encode()).decode()}"
    return raw.post("/files", headers={**TUS, "Upload-Length": length, "Upload-Metadata": metadata})


def append(raw: httpx.Client, place: str, offset: int, content: bytes, **more: str) -> httpx.Response:
    """Send bytes."""
    headers = {**BYTES, "Upload-Offset": str(offset), **{name.replace("_", "-"): more[name] for name in more}}
    return raw.patch(place, headers=headers, content=content)


def checksum(content: bytes) -> str:
    """Write `Upload-Checksum`."""
    return f"sha256 {base64.b64encode(hashlib.sha256(content).digest()).decode()}"


def test_a_part_comes_whole_and_has_its_receipt(desk: Desk, tmp_path: Path) -> None:
    """Two pieces with checksums; the receipt is signed, and about exactly these bytes of this hub."""
    part = a_part(tmp_path, b"sealed" * (PATCH_BYTES_MAX // 5))
    token = bring(desk, part)
    receipt = verify_receipt(token, [desk.store.key], part, HUB)
    held = desk.store.held()[part.id]
    assert held.path == tmp_path / "store" / "alarm-1.front" / "alarm-1.front.0000.mp4.age"
    assert held.path.read_bytes() == part.path.read_bytes()
    assert held.stored_at is not None
    assert receipt.stored_at // 10**9 == held.stored_at // 10**9
    assert held.first_byte_at is not None
    assert held.first_byte_at < held.stored_at
    assert held.receipted_at is not None
    assert held.receipted_at >= held.stored_at
    for wrong in (replace(part, sha256="0" * 64), replace(part, id="alarm-1.front.0001")):
        with pytest.raises(BadInputError):
            verify_receipt(token, [desk.store.key], wrong, HUB)


def test_the_same_part_twice_is_one_content_and_another_is_seen(desk: Desk, tmp_path: Path) -> None:
    """A hub may send a part again after a crash, but never other bytes under its name: `contents` shows both."""
    part, other = a_part(tmp_path, b"one"), a_part(tmp_path, b"two")
    bring(desk, part)
    bring(desk, part)
    assert desk.store.contents == {part.id: {part.sha256}}
    bring(desk, other)
    assert desk.store.contents == {part.id: {part.sha256, other.sha256}}
    first = tmp_path / "store" / "alarm-1.front" / "alarm-1.front.0000.mp4.age"
    assert first.read_bytes() == b"one"


def test_there_is_no_receipt_before_the_last_byte(desk: Desk, raw: httpx.Client, tmp_path: Path) -> None:
    """Neither for what nobody sent nor for half a part."""
    part = a_part(tmp_path, b"0123456789")

    async def receipt(uploader: HttpsUploader, target: UploadTarget) -> str:
        return await uploader.receipt(part, target)

    for sent in (b"", b"01234"):
        if sent:
            append(raw, create(raw).headers["location"], 0, sent)
        with pytest.raises(UnavailableError, match="no receipt"):
            use(desk, receipt)


@pytest.mark.parametrize("token", ["token-2", "token-1x", "token-"])
def test_a_wrong_token_gets_nothing(desk: Desk, raw: httpx.Client, tmp_path: Path, token: str) -> None:
    """401 for every request, told to the daemon as an error without retry; the store stays empty."""
    place = create(raw).headers["location"]
    bearer = {"Authorization": f"Bearer {token}"}
    answers = [
        raw.post("/files", headers={**TUS, "Upload-Length": "1", **bearer}),
        raw.head(place, headers={**TUS, **bearer}),
        raw.patch(place, headers={**BYTES, "Upload-Offset": "0", **bearer}, content=b"x"),
        raw.delete(place, headers={**TUS, **bearer}),
        raw.get("/receipts/alarm-1.front.0000", headers=bearer),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    with pytest.raises(BadInputError, match="token"):
        bring(desk, a_part(tmp_path, b"x"), token)
    assert desk.store.held() == {}


def test_bytes_at_another_offset_are_refused(raw: httpx.Client) -> None:
    """409 with the true offset; nothing is written over or left out."""
    place = create(raw).headers["location"]
    assert append(raw, place, 0, b"01234").status_code == 204
    for offset in (0, 4, 6, 10):
        answer = append(raw, place, offset, b"xxxxx")
        assert (answer.status_code, answer.headers["upload-offset"]) == (409, "5")
    assert append(raw, place, 5, b"56789").headers["upload-offset"] == "10"


@pytest.mark.parametrize("told", [checksum(b"others"), "sha256", "sha256 !!", "md5 AAAA"])
def test_bytes_with_another_checksum_are_thrown_away(raw: httpx.Client, told: str) -> None:
    """460, and the offset stays where it was."""
    place = create(raw).headers["location"]
    assert append(raw, place, 0, b"01234", Upload_Checksum=checksum(b"01234")).status_code == 204
    assert append(raw, place, 5, b"56789", Upload_Checksum=told).status_code == 460
    assert raw.head(place, headers=TUS).headers["upload-offset"] == "5"
    assert append(raw, place, 5, b"56789").status_code == 204


def test_more_than_announced_is_refused(desk: Desk, raw: httpx.Client) -> None:
    """413 for an upload beyond the limit, and for a byte beyond the announced length, of which nothing is kept."""
    assert create(raw, length=str(UPLOAD_BYTES_MAX + 1)).status_code == 413
    place = create(raw).headers["location"]
    assert append(raw, place, 0, b"0123456789x").status_code == 413
    assert raw.head(place, headers=TUS).headers["upload-offset"] == "0"
    assert desk.store.held() == {}


@pytest.mark.parametrize("length", ["", "-1", "1e3", "0x10", "²", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(raw: httpx.Client, length: str) -> None:
    """400, whatever stands there."""
    metadata = f"part {base64.b64encode(b'alarm-1.front.0000').decode()}"
    headers = {**TUS, "Upload-Metadata": metadata}.items()
    answer = raw.post("/files", headers=[*headers, ("Upload-Length", length.encode("latin-1"))])
    assert answer.status_code == 400


@pytest.mark.parametrize("part", ["a/b", "../../x", "...x", "..", ".hidden.0", "a\\b", "a\0b", "x" * 161, "ü"])
def test_a_name_that_is_no_parts_is_refused(raw: httpx.Client, tmp_path: Path, part: str) -> None:
    """400, and no file anywhere."""
    before = sorted(tmp_path.rglob("*"))
    assert create(raw, part).status_code == 400
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("metadata", ["", "part", "part ====", "part /w==", ",,,", "name YQ=="])
def test_metadata_without_a_name_is_refused(raw: httpx.Client, metadata: str) -> None:
    """400 for what cannot be read or names no part."""
    headers = {**TUS, "Upload-Length": "1", "Upload-Metadata": metadata}
    assert raw.post("/files", headers=headers).status_code == 400


def test_other_versions_of_tus_are_refused(raw: httpx.Client) -> None:
    """412 with the version that this store speaks; OPTIONS says it too, with all it can do."""
    answer = raw.post("/files", headers={**TUS, "Tus-Resumable": "0.2.2"})
    assert (answer.status_code, answer.headers["tus-version"]) == (412, "1.0.0")
    offered = raw.options("/files").headers
    assert offered["tus-extension"] == "creation,checksum,termination"
    assert offered["tus-max-size"] == str(UPLOAD_BYTES_MAX)


def test_an_unfinished_upload_can_be_given_up_and_a_whole_one_cannot(desk: Desk, raw: httpx.Client) -> None:
    """What is whole is evidence."""
    place = create(raw).headers["location"]
    assert raw.delete(place, headers=TUS).status_code == 204
    assert raw.head(place, headers=TUS).status_code == 404
    place = create(raw, length="1").headers["location"]
    append(raw, place, 0, b"x")
    assert raw.delete(place, headers=TUS).status_code == 403
    assert [upload.path.read_bytes() for upload in desk.store.held().values()] == [b"x"]


def test_a_restarted_store_says_where_an_upload_stands(desk: Desk, raw: httpx.Client, tmp_path: Path) -> None:
    """The hub's next HEAD gives the offset, and only the rest is sent."""
    part = a_part(tmp_path, b"a" * PATCH_BYTES_MAX + b"b" * 100)

    async def begin(uploader: HttpsUploader, target: UploadTarget) -> str:
        return await uploader.create(part, target)

    place = use(desk, begin)
    append(raw, place, 0, part.path.read_bytes()[:PATCH_BYTES_MAX])
    desk.central.stop()
    desk.central.start()
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    with httpx.Client(verify=context, trust_env=False) as again:
        assert again.head(place, headers=TUS).headers["upload-offset"] == str(PATCH_BYTES_MAX)

    async def go_on(uploader: HttpsUploader, target: UploadTarget) -> str:
        await uploader.send(part, target, place)
        return await uploader.receipt(part, target)

    verify_receipt(use(desk, go_on), [desk.store.key], part, HUB)


def test_what_came_before_a_broken_connection_is_kept(desk: Desk, raw: httpx.Client) -> None:
    """The next HEAD names what arrived."""
    place = create(raw, length="1000").headers["location"]
    head = "".join(f"{name}: {value}\r\n" for name, value in BYTES.items())
    path = place.removeprefix(desk.url)
    request = f"PATCH {path} HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nContent-Length: 1000\r\n{head}\r\n"
    context = ssl.create_default_context(cadata=desk.certificates.pem)
    plain = socket.create_connection(("127.0.0.1", desk.central.port))
    with plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as line:
        line.sendall(request.encode() + b"x" * 300)
        upload = next(iter(desk.store.uploads.values()))
        for _ in range(1000):
            if upload.first_byte_at is not None:
                break
            raw.options("/files")  # a round trip through the server's loop
        assert upload.first_byte_at is not None
    for _ in range(1000):
        if (offset := raw.head(place, headers=TUS).headers["upload-offset"]) == "300":
            break
    assert offset == "300"
    assert append(raw, place, 300, b"x" * 700).status_code == 204
    assert [upload.size for upload in desk.store.held().values()] == [1000]
