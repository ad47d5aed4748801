"""A clip plays in the browser an officer would use."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe, film
from tests.simulators.sound_source import Microphone, noise, with_sound

BROWSER_S = 60
AAC = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
PAGE = b"""<!doctype html><title>clip</title><p id=said>nothing</p>
<video id=clip muted src=/clip.mp4></video>
<script>
const clip = document.getElementById("clip"), told = document.getElementById("said")
let pictures = 0
const say = what => { if (told.textContent == "nothing") { told.textContent = what; fetch("/over", {method: "POST"}) } }
const count = () => { pictures += 1; clip.requestVideoFrameCallback(count) }
clip.requestVideoFrameCallback(count)
const seen = () => `${clip.videoWidth}x${clip.videoHeight} ${clip.duration.toFixed(3)} ${pictures > 0}`
clip.onended = () => say(`ended ${seen()} ${clip.webkitAudioDecodedByteCount}`)
clip.onerror = () => say(`error ${clip.error.code} ${clip.error.message}`)
clip.play().catch(error => say(`error ${error}`))
</script>
<img src=/when-over>"""


class _Stage(ThreadingHTTPServer):
    """Serves one page and one clip; the page has loaded only once the clip has ended."""

    daemon_threads = True

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.clip = clip
        self.over = threading.Event()


class _Answer(BaseHTTPRequestHandler):
    server: _Stage

    def do_GET(self) -> None:
        """Answer the page, the clip (whole or in ranges), and last the picture that the load event waits for."""
        if self.path == "/":
            self._send(200, "text/html", PAGE)
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
        """Hear that it is over."""
        self.server.over.set()
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
def _stage(clip: bytes) -> Iterator[str]:
    with _Stage(clip) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def played(clip: bytes, folder: Path) -> str:
    """Let Chromium play a clip, and return what the page says when it is over."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "Chromium is missing: apt-get install chromium"
    with _stage(clip) as url:
        command = [browser, *FLAGS, f"--user-data-dir={folder}", "--dump-dom", url]
        done = subprocess.run(command, capture_output=True, check=False, timeout=BROWSER_S, text=True)
    said = re.search(r'<p id="said">([^<]*)</p>', done.stdout)
    assert said, done.stderr[-500:]
    return said[1]


def test_chromium_plays_a_clip_to_its_end(tmp_path: Path) -> None:
    """Head, copied inside and tail decode in one go, with the right size and duration."""
    clip, report = cut([film(Recipe(gop=10, b_frames=2))], window_of(0.2, 1.4))
    assert min(report.copied, report.reencoded) > 0
    assert played(clip, tmp_path) == "ended 192x112 1.200 true 0"


@pytest.mark.parametrize(
    ("mic", "seconds"),
    [
        (Microphone(lost=frozenset(range(60, 70))), "1.190"),
        (Microphone("MPEG4-GENERIC", 16_000, AAC + "1408", packet=1, lost=frozenset([20, 21])), "1.160"),
    ],
    ids=["G.711", "AAC"],
)
def test_chromium_plays_the_sound_with_it(tmp_path: Path, mic: Microphone, seconds: str) -> None:
    """Encoded or copied, early or late, with a hole in it: the sound is decoded to the clip's end."""
    window = window_of(0.21, 1.4)
    source = with_sound(film(Recipe(gop=10)), mic, noise(round(mic.seconds * mic.rate_hz)))
    said = played(cut([source], window, window)[0], tmp_path)
    word, size, length, has_pictures, sound_bytes = said.split()
    assert (word, size, length, has_pictures) == ("ended", "192x112", seconds, "true")
    assert int(sound_bytes) > 1000
