"""A bundle comes exactly as it was announced or not at all, and only the bridge says whether it is installed."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

from agent.demo.pki import Authority
from agent.errors import BadInputError, UnavailableError
from agent.outside.firmware import INSTALL_TRIES_MAX, BridgeFirmware
from firmware_bridge.messages import Answer, write_line
from tests.outside.test_bridge import bridge

BUNDLE: Final = b"a bundle " * 50_000
DIGEST: Final = hashlib.sha256(BUNDLE).hexdigest()


@contextmanager
def host(folder: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Serve the bundle over TLS: its URL, the authority, and what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response({"/moved": 302, "/gone": 404}.get(self.path, 200))
            self.send_header("Location", "/bundle")
            self.send_header("Content-Length", str(len(BUNDLE)))
            self.end_headers()
            self.wfile.write(BUNDLE)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    authority = Authority()
    certificate, key = authority.issue_server(folder, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", authority.pem, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def firmware(folder: Path, pem: str) -> BridgeFirmware:
    """Open a bundle folder without a bridge."""
    (folder / "bundles").mkdir(exist_ok=True)
    return BridgeFirmware(folder / "bundles", folder / "nobody", lambda: [pem], pause_s=(0, 0))


def test_a_bundle_is_fetched_once(tmp_path: Path) -> None:
    """It is there whole under its digest, readable for the bridge; a second order does not fetch it again."""
    with host(tmp_path) as (url, pem, asked):
        for _ in range(2):
            path = asyncio.run(firmware(tmp_path, pem).fetch(f"{url}/bundle", DIGEST, len(BUNDLE)))
            assert (path.name, path.read_bytes(), path.stat().st_mode & 0o777) == (f"{DIGEST}.raucb", BUNDLE, 0o644)
        assert asked == ["/bundle"]


@pytest.mark.parametrize(
    ("path", "sha256", "size", "error"),
    [
        ("/bundle", "0" * 64, len(BUNDLE), BadInputError),
        ("/bundle", DIGEST, len(BUNDLE) - 1, BadInputError),
        ("/bundle", DIGEST, len(BUNDLE) + 1, BadInputError),
        ("/moved", DIGEST, len(BUNDLE), UnavailableError),
        ("/gone", DIGEST, len(BUNDLE), UnavailableError),
        ("/bundle", DIGEST, 1 << 60, UnavailableError),
    ],
    ids=["other bytes", "longer", "shorter", "elsewhere", "not there", "no room"],
)
def test_what_was_not_announced_is_not_kept(
    tmp_path: Path, path: str, sha256: str, size: int, error: type[Exception]
) -> None:
    """Other bytes, more, fewer, or from elsewhere: nothing stays in the folder."""
    with host(tmp_path) as (url, pem, _), pytest.raises(error):
        asyncio.run(firmware(tmp_path, pem).fetch(url + path, sha256, size))
    assert list((tmp_path / "bundles").iterdir()) == []


def test_another_authoritys_host_is_not_heard(tmp_path: Path) -> None:
    """TLS ends at the bundle's authorities."""
    with host(tmp_path) as (url, _, asked), pytest.raises(UnavailableError):
        asyncio.run(firmware(tmp_path, Authority().pem).fetch(f"{url}/bundle", DIGEST, len(BUNDLE)))
    assert asked == []


def test_the_real_bridge_is_asked(tmp_path: Path) -> None:
    """A bridge whose updater is away says so; without a bridge that is the error."""
    path = tmp_path / "update.raucb"
    path.write_bytes(BUNDLE)
    with bridge(tmp_path) as (path_of_bridge, _), pytest.raises(UnavailableError, match=r"\w"):
        asyncio.run(BridgeFirmware(tmp_path, path_of_bridge, list, retry_s=0).install(path, lambda _: None))
    with pytest.raises(UnavailableError, match="bridge"):
        asyncio.run(BridgeFirmware(tmp_path, tmp_path / "nobody", list, retry_s=0).install(path, lambda _: None))
    assert path.exists()


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        ([None, None, Answer(ok=True, version="2")], (True, "version 2 starts with the next boot")),
        ([Answer(ok=False, error="unavailable", text="no RAUC"), Answer(ok=True, version="2", is_running=True)],
         (True, "version 2 runs already")),
        ([Answer(ok=False, error="bad-input", text="not signed")], (False, "not signed")),
        ([Answer(ok=False, error="refused", text="older")], (False, "older")),
        ([Answer(ok=False, error="configuration", text="the floor is damaged")], UnavailableError),
        ([None] * INSTALL_TRIES_MAX, UnavailableError),
    ],
    ids=["bridge dies twice", "RAUC dies", "not signed", "older", "configuration", "bridge dies always"],
)  # fmt: skip
def test_who_died_is_asked_again_and_who_decided_is_not(
    tmp_path: Path, answers: list[Answer | None], end: tuple[bool, str] | type[Exception]
) -> None:
    """A bridge that hangs up, or a RAUC that goes away, has decided nothing; a no and what a person must mend has."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bridge"))
        listener.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(write_line(answer) if answer else b"")

        thread = threading.Thread(target=serve)
        thread.start()
        told: list[str] = []
        firmware = BridgeFirmware(tmp_path, tmp_path / "bridge", list, retry_s=0, on_installed=told.append)
        asked = firmware.install(tmp_path / "b", lambda _: None)
        if isinstance(end, tuple):
            assert asyncio.run(asked) == end
            assert told == (["2"] if "next boot" in end[1] else [])  # who restarts the machine hears of it
        else:
            with pytest.raises(end):
                asyncio.run(asked)
        thread.join(10)
        assert not thread.is_alive(), "not every answer was asked for"


def test_a_bundle_that_was_decided_about_goes(tmp_path: Path) -> None:
    """It is some GiB; that it is gone already is no matter."""
    path = tmp_path / "b.raucb"
    path.write_bytes(BUNDLE)
    for _ in range(2):
        asyncio.run(firmware(tmp_path, "").discard(path))
        assert not path.exists()
