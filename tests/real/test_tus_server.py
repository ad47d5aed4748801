"""Our uploader against the tus project's own server: a store that nobody of us wrote."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.command.request import UploadTarget
from agent.crypto import Secret
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.upload import PATCH_BYTES_MAX
from agent.demo.pki import Authority
from agent.errors import BadInputError, UnavailableError
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader
from tests.simulators.breaking_wire import BreakingWire

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".cache" / "tus"
SIZE = 2 * PATCH_BYTES_MAX + 12_345
CONTENT = b"".join(hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(SIZE // 32 + 1))[:SIZE]


@pytest.fixture
def part(tmp_path: Path) -> SealedPart:
    """Make a part of three requests."""
    path = tmp_path / "part.mp4.age"
    path.write_bytes(CONTENT)
    return SealedPart("alarm-1.front.0000", path, SIZE, hashlib.sha256(CONTENT).hexdigest(), MEDIA_TYPE_CLIP)


class TusProcess:
    """A running server with what it holds and what it was asked."""

    def __init__(self, folder: Path, port: int, pem: str) -> None:
        self.folder, self.port, self.pem = folder, port, pem
        self.requests: list[str] = []  # known once it has ended

    def held(self) -> list[bytes]:
        """Return the contents of all uploads."""
        return [path.read_bytes() for path in self.folder.iterdir() if path.suffix != ".json"]


@contextmanager
def tus_process(folder: Path, location: str = "relative", kept_s: float = 0) -> Iterator[TusProcess]:
    """Run the server that ./check has installed; it drops what is unfinished after `kept_s`, unless that is 0."""
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs npm"
    assert (INSTALLED / "node_modules/@tus/server").is_dir(), "npm's @tus/server is missing: ./check installs it"
    authority = Authority()
    certificate, key = authority.issue_server(folder, "tus")
    (folder / "files").mkdir()
    command = [node, "--input-type=module", "-", folder / "files", certificate, key, location, str(int(kept_s * 1000))]
    with (HERE / "tus" / "store.js").open("rb") as script, (folder / "tus.log").open("wb") as errors:
        process = subprocess.Popen(command, cwd=INSTALLED, stdin=script, stdout=subprocess.PIPE, stderr=errors)
    with process:
        assert process.stdout
        try:
            words = process.stdout.readline().split()
            assert words[:1] == [b"ready"], (folder / "tus.log").read_text()[-400:]
            running = TusProcess(folder / "files", int(words[1]), authority.pem)
            yield running
            process.terminate()
            running.requests = process.stdout.read().decode().splitlines()
        finally:
            process.kill()


def target_at(port: int) -> UploadTarget:
    """Name the store as a command does."""
    return UploadTarget(f"https://127.0.0.1:{port}/files", f"https://127.0.0.1:{port}/receipts", Secret("token-1"))


def bring(part: SealedPart, port: int, pem: str) -> str:
    """Create an upload and send the part, again and again if need be, as the daemon's courier does."""
    target = target_at(port)

    async def run() -> str:
        async with HttpsUploader([pem], HostClock()) as uploader:
            location = await uploader.create(part, target)
            await uploader.send(part, target, location)
            await uploader.send(part, target, location)  # after a restart: everything is there already
            return location

    return asyncio.run(run())


def test_a_part_arrives_at_the_tus_projects_server(tmp_path: Path, part: SealedPart) -> None:
    """Creation, offsets and three pieces over TLS 1.3; sending again finds that nothing is left to send."""
    with tus_process(tmp_path) as store:
        location = bring(part, store.port, store.pem)
        assert store.held() == [CONTENT]
    assert location.startswith(f"https://127.0.0.1:{store.port}/files/")
    assert [line for line in store.requests if not line.startswith("OPTIONS")] == [
        "POST 201",
        "PATCH 204",
        "PATCH 204",
        "PATCH 204",
        "HEAD 200",
    ]


def test_a_part_arrives_over_a_line_that_breaks_twice(tmp_path: Path, part: SealedPart) -> None:
    """After a reset in the middle of a piece the upload goes on from the server's offset; there is one upload."""
    breaks = [PATCH_BYTES_MAX // 2, PATCH_BYTES_MAX + PATCH_BYTES_MAX // 2]
    with tus_process(tmp_path) as store, BreakingWire(store.port, breaks) as wire:
        bring(part, wire.port, store.pem)
        assert store.held() == [CONTENT]
    assert wire.breaks_left == 0
    assert wire.connections >= 3
    assert store.requests.count("POST 201") == 1
    assert "PATCH lost" in store.requests
    # What was on its way at a break is sent again: at most a piece each, and less where the server kept what it had.
    assert SIZE < wire.carried < SIZE + 2 * PATCH_BYTES_MAX


def test_what_is_given_up_is_dropped(tmp_path: Path, part: SealedPart) -> None:
    """After a piece consent ends: the server is told, and has nothing of the part any more."""
    answers = iter([True, False])  # for one PATCH

    async def run() -> None:
        async with HttpsUploader([store.pem], HostClock()) as uploader:
            location = await uploader.create(part, target_at(store.port))
            assert not await uploader.send(part, target_at(store.port), location, lambda: next(answers))
            assert store.held() == [CONTENT[:PATCH_BYTES_MAX]]
            await uploader.drop(part, target_at(store.port), location)

    with tus_process(tmp_path) as store:
        asyncio.run(run())
        assert store.held() == []
    assert store.requests[-2:] == ["OPTIONS 204", "DELETE 204"]


def test_an_upload_that_has_expired_is_begun_anew(tmp_path: Path, part: SealedPart) -> None:
    """A hub that comes back after the server's patience finds its upload gone, and the part arrives all the same."""

    async def run() -> None:
        async with HttpsUploader([store.pem], HostClock()) as uploader:
            location = await uploader.create(part, target_at(store.port))
            await asyncio.sleep(3.1)  # what it waits for is the server's own clock
            await uploader.send(part, target_at(store.port), location)

    with tus_process(tmp_path, kept_s=3) as store:
        asyncio.run(run())
        assert CONTENT in store.held()
    assert [line for line in store.requests if line[:4] in {"POST", "HEAD"}][:3] == ["POST 201", "HEAD 410", "POST 201"]


def test_a_store_that_calls_itself_http_is_refused_with_the_cure(tmp_path: Path, part: SealedPart) -> None:
    """As it comes, the server names an http:// address: no byte goes there, and its operator learns what to set."""
    with tus_process(tmp_path, "absolute") as store:
        with pytest.raises(BadInputError, match="relativeLocation"):
            bring(part, store.port, store.pem)
        assert store.held() in ([], [b""])
    assert store.requests == ["OPTIONS 204", "POST 201"]


def test_a_store_of_another_authority_gets_nothing(tmp_path: Path, part: SealedPart) -> None:
    """A certificate that the hub's authorities did not sign ends the upload before any request."""
    with tus_process(tmp_path) as store:
        with pytest.raises(UnavailableError, match="certificate"):
            bring(part, store.port, Authority().pem)
        assert store.held() == []
    assert store.requests == []
