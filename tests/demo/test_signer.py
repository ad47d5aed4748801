"""The demo's signer against the daemon's own uploader, and against requests that no good client sends."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from agent.command.request import UploadMethod, UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put import CHECKSUM
from agent.deliver.put_message import PIECE_BYTES, write_ask
from agent.deliver.receipt import verify_receipt
from agent.demo.signer import QUESTION_BYTES_MAX
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader
from tests.simulators.central_desk import Desk, emptied, raw_client, running_desk

HUB = "hub-1"
BEARER = {"Authorization": "Bearer token-1"}
PART = "alarm-1.front.0000"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Run a central server for all tests of this file."""
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


def a_part(folder: Path, content: bytes) -> SealedPart:
    """Put a sealed part into a folder."""
    path = folder / "part"
    path.write_bytes(content)
    return SealedPart(PART, path, len(content), hashlib.sha256(content).hexdigest(), MEDIA_TYPE_CLIP)


def target(desk: Desk) -> UploadTarget:
    """Name the signer as a command does."""
    return UploadTarget(f"{desk.url}/puts", f"{desk.url}/receipts", Secret("token-1"), UploadMethod.PUT)


def bring(desk: Desk, part: SealedPart, may_go_on: Callable[[], bool] = lambda: True) -> str:
    """Bring a part and fetch its receipt, as the daemon does; give it up if it may not go on."""

    async def run() -> str:
        hosts = {desk.central.host}
        async with HttpsUploader([desk.certificates.pem], HostClock(), hosts=lambda: hosts) as uploader:
            if await uploader.send(part, target(desk), await uploader.create(part, target(desk)), may_go_on):
                return await uploader.receipt(part, target(desk))
            await uploader.drop(part, target(desk), target(desk).url)
            return ""

    return asyncio.run(run())


def question(content: bytes, **changed: object) -> bytes:
    """Ask about a part of one piece."""
    part = SealedPart(PART, Path(), len(content), hashlib.sha256(content).hexdigest(), MEDIA_TYPE_CLIP)
    asked = json.loads(write_ask(part, [hashlib.sha256(content).digest()]))
    return json.dumps({**asked, **changed}).encode()


def signed(raw: httpx.Client, content: bytes) -> str:
    """Return the URL for the only piece of a part."""
    (piece,) = raw.post("/puts", headers=BEARER, content=question(content)).json()["pieces"]
    return str(piece["url"])


def digest(content: bytes) -> dict[str, str]:
    """Write the header that goes with a piece."""
    return {CHECKSUM: base64.b64encode(hashlib.sha256(content).digest()).decode()}


def test_a_part_comes_whole_and_has_its_receipt(desk: Desk, tmp_path: Path) -> None:
    """Three pieces; the receipt is about exactly these bytes of this hub, and the file has its name."""
    part = a_part(tmp_path, b"sealed" * (PIECE_BYTES // 3))
    verify_receipt(bring(desk, part), [desk.store.key], part, HUB)
    held = desk.store.held()[PART]
    assert held.path == tmp_path / "store" / "alarm-1.front" / f"{PART}.mp4.age"
    assert held.path.read_bytes() == part.path.read_bytes()
    assert held.first_byte_at is not None
    assert held.stored_at is not None
    assert held.first_byte_at < held.stored_at


def test_the_same_part_twice_is_one_content_and_another_is_seen(desk: Desk, tmp_path: Path) -> None:
    """A hub may send a part again after a crash, but never other bytes under its name: `contents` shows both."""
    for content in (b"one", b"one", b"two"):
        bring(desk, a_part(tmp_path, content))
    assert len(desk.store.contents[PART]) == 2
    assert (tmp_path / "store" / "alarm-1.front" / f"{PART}.mp4.age").read_bytes() == b"one"


def test_what_is_given_up_is_gone(desk: Desk, tmp_path: Path) -> None:
    """Consent ends after a piece: neither the file nor the upload stays."""
    answers = iter([True, True, False])
    assert bring(desk, a_part(tmp_path, b"x" * (PIECE_BYTES + 1)), lambda: next(answers)) == ""
    assert desk.store.uploads == {}
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("content", "headers", "changed", "status"),
    [
        (b"abc", digest(b"abc"), ("", ""), 200),
        (b"abd", digest(b"abc"), ("", ""), 400),
        (b"abcd", digest(b"abc"), ("", ""), 400),
        (b"abd", digest(b"abd"), ("", ""), 403),
        (b"abc", {}, ("", ""), 403),
        (b"abc", digest(b"abc"), ("/1?", "/2?"), 403),
        (b"abc", digest(b"abc"), ("until=1", "until=2"), 403),
        (b"abc", digest(b"abc"), ("signature=", "x="), 403),
    ],
)
def test_a_url_is_good_for_what_it_was_signed_for(
    raw: httpx.Client, content: bytes, headers: dict[str, str], changed: tuple[str, str], status: int
) -> None:
    """Other bytes, another digest, another piece, another end: nothing of it is kept."""
    url = signed(raw, b"abc").replace(*changed)
    assert raw.put(url, content=content, headers=headers).status_code == status
    missing = raw.post("/puts", headers=BEARER, content=question(b"abc")).json()["pieces"]
    assert bool(missing) is (status != 200)


@pytest.mark.parametrize(
    "changed",
    [
        {"part": "../../x"},
        {"part": ".hidden.0"},
        {"size": PIECE_BYTES + 1},
        {"size": -1},
        {"piece_bytes": 1},
        {"pieces": []},
        {"pieces": ["x"]},
        {"sha256": "x"},
        {"v": 2},
        {"more": 1},
    ],
)
def test_a_question_that_is_none_is_refused(raw: httpx.Client, tmp_path: Path, changed: dict[str, object]) -> None:
    """400, and no file anywhere."""
    assert raw.post("/puts", headers=BEARER, content=question(b"abc", **changed)).status_code == 400
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_who_has_no_token_gets_no_url(raw: httpx.Client) -> None:
    """401 for the question and for the end; too much is too much."""
    for headers in ({}, {"Authorization": "Bearer token-2"}):
        assert raw.post("/puts", headers=headers, content=question(b"abc")).status_code == 401
        assert raw.delete(f"/puts/{PART}", headers=headers).status_code == 401
    assert raw.post("/puts", headers=BEARER, content=b" " * (QUESTION_BYTES_MAX + 1)).status_code == 413


def test_an_upload_that_is_over_takes_no_piece(raw: httpx.Client) -> None:
    """404 after the end, for the piece and for another end."""
    url = signed(raw, b"abc")
    assert raw.delete(f"/puts/{PART}", headers=BEARER).status_code == 204
    assert raw.put(url, content=b"abc", headers=digest(b"abc")).status_code == 404
    assert raw.delete(f"/puts/{PART}", headers=BEARER).status_code == 404
