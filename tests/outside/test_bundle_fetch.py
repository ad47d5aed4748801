"""A bundle over a line that breaks: nothing is fetched twice, and nothing is kept that is not the announced file."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from agent.demo.pki import Authority
from agent.errors import BadInputError, UnavailableError
from agent.outside.bundle_fetch import FRUITLESS_MAX, Announced, BundleFetch
from agent.outside.firmware import BridgeFirmware

BUNDLE: Final = hashlib.sha256(b"seed").digest() * 20_000
OTHER: Final = hashlib.sha256(b"other").digest() * 20_000
DIGEST: Final = hashlib.sha256(BUNDLE).hexdigest()
HALF: Final = 300_000


@dataclass
class Host:
    """An operator's host that knows ranges and ETags, with a line that breaks after so many bytes of an answer."""

    pem: str
    url: str = ""
    content: bytes = BUNDLE
    etag: str = '"one"'
    breaks_after: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    range_told: str = ""
    """Instead of the true Content-Range."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Range and If-Range of each request."""
    sent: int = 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        wanted, condition = handler.headers.get("Range", ""), handler.headers.get("If-Range", "")
        self.asked.append((wanted, condition))
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if start >= len(self.content):
            handler.send_response(416)
            handler.end_headers()
            return
        is_part = bool(wanted) and self.knows_ranges and condition in {"", self.etag}
        body = self.content[start:] if is_part else self.content
        handler.send_response(206 if is_part else 200)
        if is_part:
            told = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
            handler.send_header("Content-Range", self.range_told or told)
        handler.send_header("ETag", self.etag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        part = body[: self.breaks_after.pop(0)] if self.breaks_after else body
        self.sent += len(part)
        handler.wfile.write(part)
        handler.close_connection = True


@contextmanager
def serving(folder: Path) -> Iterator[Host]:
    """Serve over TLS."""
    authority = Authority()
    host = Host(authority.pem)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue_server(folder, "127.0.0.1"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    host.url = f"https://127.0.0.1:{server.server_address[1]}/bundle"
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Run a host for one test."""
    with serving(tmp_path / "host") as made:
        yield made


def fetch(host: Host, path: Path, size: int = len(BUNDLE)) -> bytes:
    """Fetch, without pauses."""
    tls = ssl.create_default_context(cadata=host.pem)
    asyncio.run(BundleFetch(Announced(host.url, DIGEST, size), path, tls, (0, 0)).run())
    return path.read_bytes()


def test_a_line_that_breaks_costs_no_byte_twice(host: Host, tmp_path: Path) -> None:
    """Each try goes on where the one before broke off, if the host has the same file still."""
    host.breaks_after = [HALF, 1, 0, 50_000]
    assert fetch(host, tmp_path / "b.unfinished") == BUNDLE
    assert host.sent == len(BUNDLE)
    assert host.asked == [
        ("", ""),
        *((f"bytes={here}-", '"one"') for here in (HALF, HALF + 1, HALF + 1, HALF + 50_001)),
    ]
    assert [path.name for path in tmp_path.glob("b.*")] == ["b.unfinished"]


def test_what_came_outlives_the_hub(host: Host, tmp_path: Path) -> None:
    """A host that is gone for good ends the order; the next one of the same bundle, in another life, goes on."""
    host.breaks_after = [HALF, *[0] * FRUITLESS_MAX]
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "older.unfinished").write_bytes(b"half of another order")
    for end in (UnavailableError, None):
        firmware = BridgeFirmware(tmp_path / "bundles", tmp_path / "nobody", lambda: [host.pem], pause_s=(0, 0))
        asked = firmware.fetch(host.url, DIGEST, len(BUNDLE))
        if end:
            with pytest.raises(end):
                asyncio.run(asked)
            assert {path.suffix for path in (tmp_path / "bundles").iterdir()} == {".unfinished", ".etag"}
        else:
            assert asyncio.run(asked).read_bytes() == BUNDLE
    assert host.sent == len(BUNDLE)
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [f"{DIGEST}.raucb"]


def test_another_file_begins_anew(host: Host, tmp_path: Path) -> None:
    """If-Range: a host whose file has changed sends the whole of it, which is what counts."""
    path = tmp_path / "b.unfinished"
    path.write_bytes(OTHER[:HALF])
    path.with_suffix(".etag").write_text('"old"')
    assert fetch(host, path) == BUNDLE
    assert host.asked == [(f"bytes={HALF}-", '"old"')]


@pytest.mark.parametrize("etag", ["", 'W/"weak"', "no quotes", '"a"\r\nX: y'])
def test_without_a_name_the_digest_decides(host: Host, tmp_path: Path, etag: str) -> None:
    """Pieces of two files are found at the end, and the whole is fetched once more."""
    path = tmp_path / "b.unfinished"
    path.write_bytes(OTHER[:HALF])
    path.with_suffix(".etag").write_text(etag)
    assert fetch(host, path) == BUNDLE
    assert host.asked == [(f"bytes={HALF}-", ""), ("", "")]


@pytest.mark.parametrize("told", ["bytes 0-5/6", f"bytes 1-{len(BUNDLE) - 1}/{len(BUNDLE)}", "nonsense", "bytes */9"])
def test_another_range_than_asked_for_begins_anew(host: Host, tmp_path: Path, told: str) -> None:
    """Bytes are put nowhere that the host and the hub do not agree on."""
    host.range_told, host.breaks_after = told, [HALF]
    assert fetch(host, tmp_path / "b.unfinished") == BUNDLE
    assert [wanted for wanted, _ in host.asked] == ["", f"bytes={HALF}-", ""]


def test_a_host_without_ranges_sends_all_of_it_again(host: Host, tmp_path: Path) -> None:
    """As before; each break begins anew."""
    host.knows_ranges, host.breaks_after = False, [HALF]
    assert fetch(host, tmp_path / "b.unfinished") == BUNDLE
    assert host.sent == HALF + len(BUNDLE)


def test_a_whole_file_that_is_another_is_refused(host: Host, tmp_path: Path) -> None:
    """Asked for once, whole: there is nothing to repeat; resumed: once more."""
    host.content = OTHER
    with pytest.raises(BadInputError, match="not the one"):
        fetch(host, tmp_path / "b.unfinished")
    assert len(host.asked) == 1
    host.breaks_after = [HALF]
    with pytest.raises(BadInputError, match="not the one"):
        fetch(host, tmp_path / "b.unfinished")
    assert [wanted for wanted, _ in host.asked[1:]] == ["", f"bytes={HALF}-", ""]
    assert not (tmp_path / "b.unfinished").exists()


def test_more_than_was_announced_is_not_kept(host: Host, tmp_path: Path) -> None:
    """Whatever the host says of its length; less is not waited for."""
    for size in (len(BUNDLE) - 1, len(BUNDLE) + 1):
        with pytest.raises(BadInputError, match=r"announced|longer"):
            fetch(host, tmp_path / f"{size}.unfinished", size)
