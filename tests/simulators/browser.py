"""Chromium before one page and one clip: the page looks, and sends what it saw."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

BROWSER_S: Final = 90
FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
FRAME: Final = """<!doctype html><title>clip</title><p id=said>nothing</p>
<video id=clip muted preload=auto src=/clip.mp4></video>
<script>
const clip = document.getElementById("clip"), told = document.getElementById("said")
const over = () => fetch("/over", {method: "POST"})
const say = what => { if (told.textContent == "nothing") { told.textContent = what; over() } }
const send = (name, bytes) => fetch("/" + name, {method: "POST", body: bytes})
%s
</script>
<img src=/when-over>"""
"""A page around a script, which may `send` bytes and must `say` one thing at its end."""


class _Stage(ThreadingHTTPServer):
    """Serves one page and one clip; the page has loaded only once its script has said something."""

    daemon_threads = True

    def __init__(self, page: bytes, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.page, self.clip = page, clip
        self.sent: dict[str, bytes] = {}
        self.over = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    server: _Stage

    def do_GET(self) -> None:
        """Answer the page, the clip (whole or in ranges), and last the picture that the load event waits for."""
        if self.path == "/":
            self._send(200, "text/html", self.server.page)
        elif self.path == "/clip.mp4":
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            begin = int(wanted[1]) if wanted else 0
            end = int(wanted[2]) + 1 if wanted and wanted[2] else len(self.server.clip)
            where = {"Content-Range": f"bytes {begin}-{end - 1}/{len(self.server.clip)}", "Accept-Ranges": "bytes"}
            self._send(206 if wanted else 200, "video/mp4", self.server.clip[begin:end], where if wanted else {})
        else:
            if self.path == "/when-over":
                self.server.over.wait(BROWSER_S)
            self._send(404, "text/plain", b"")

    def do_POST(self) -> None:
        """Take what the page saw, or hear that it is over."""
        sent = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/over":
            self.server.over.set()
        else:
            self.server.sent[self.path.removeprefix("/")] = sent
        self._send(200, "text/plain", b"")

    def _send(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _stage(page: bytes, clip: bytes) -> Iterator[_Stage]:
    with _Stage(page, clip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def visit(script: str, clip: bytes, folder: Path) -> tuple[str, dict[str, bytes]]:
    """Let Chromium run a script beside a clip; return what the page says at its end, and what it sent, by name."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "Chromium is missing: apt-get install chromium"
    with _stage((FRAME % script).encode(), clip) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        command = [browser, *FLAGS, f"--user-data-dir={folder}", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, check=False, timeout=BROWSER_S, text=True)
        sent = dict(server.sent)
    said = re.search(r'<p id="said">([^<]*)</p>', done.stdout)
    assert said, done.stderr[-500:]
    return said[1], sent
