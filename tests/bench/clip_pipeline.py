"""What people would run instead: `ffmpeg -c copy | age | curl`, and nothing but the copy of the bytes.

Rules of this file: everybody's bytes end in the same kind of place, an HTTPS server in Python that syncs what it keeps;
the file that is cut is not in memory before, as a ring that is written past the page cache is not.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import SECOND_NS
from agent.demo.broker import Broker
from agent.demo.central import CentralServer
from agent.demo.store import Store
from agent.errors import UnavailableError
from tests.bench.clip_site import ClipSite
from tests.bench.loop import LOOP_S, PICTURES_PER_S

_FRAGMENTS: Final = "frag_keyframe+empty_moov+default_base_moof"


class Taken(msgspec.Struct, frozen=True):
    """How long one way took for one clip, from the order on."""

    first_byte_s: float
    last_byte_s: float  # with a receipt, where there are receipts


class Sink(Store):
    """Takes any file by PUT and syncs it; nothing else."""

    def routes(self) -> list[Route]:
        """Return its one address."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.first_byte_ns = 0
        return [Route("/put/{name}", self.put, methods=["PUT"])]

    async def put(self, request: Request) -> Response:
        """Keep what comes."""
        with (self.folder / Path(request.path_params["name"]).name).open("wb") as file:
            async for piece in request.stream():
                self.first_byte_ns = self.first_byte_ns or (time.time_ns() if piece else 0)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        return Response(status_code=201)


class Pipeline:
    """ffmpeg, age and curl, beside a site whose hub goes on recording."""

    def __init__(self, site: ClipSite, recipient: str, film: bytes, longest_s: int) -> None:
        self._recipient, self._folder = recipient, site.folder / "pipeline"
        self._folder.mkdir()
        self._sink = Sink(self._folder / "sink", "", "", site.authority.store)
        broker: Broker = site.broker
        self._server = CentralServer(self._folder, site._certificates, site.authority, broker, self._sink, {})
        self._anchors = self._folder / "anchors.pem"
        self._anchors.write_text(site._certificates.pem)
        self._footage = self._folder / "footage.mp4"
        loops = -(-(longest_s + 60) // LOOP_S)
        command = (
            "ffmpeg",
            "-loglevel",
            "error",
            "-y",
            "-r",
            str(PICTURES_PER_S),
            "-f",
            "h264",
            "-i",
            "-",
            "-c",
            "copy",
        )
        subprocess.run((*command, self._footage), input=film * loops, check=True)
        self._server.start()

    def stop(self) -> None:
        """End the server."""
        self._server.stop()

    def run(self, start_s: float, seconds: float, cameras: int) -> Taken:
        """Cut, seal and send one window, by one pipeline for each camera at the same time."""
        _forget(self._footage)
        cut = f"ffmpeg -nostdin -loglevel error -ss {start_s} -i {shlex.quote(str(self._footage))} -t {seconds} -c copy"
        cut += f" -f mp4 -movflags {_FRAGMENTS} -"
        return self._send([f"{cut} | age -r {self._recipient} | {self._curl('-', n)}" for n in range(cameras)])

    def copy(self, start_s: float, seconds: float, cameras: int) -> Taken:
        """Send the same bytes as they are."""
        piece = self._folder / "piece.mp4"
        command = ("ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-ss", str(start_s), "-i", self._footage)
        subprocess.run((*command, "-t", str(seconds), "-c", "copy", piece), check=True)
        _forget(piece)
        return self._send([self._curl(shlex.quote(str(piece)), n) for n in range(cameras)])

    def _curl(self, what: str, number: int) -> str:
        where = f"https://{self._server.host}/put/{number}"
        return f"curl -sSf --cacert {shlex.quote(str(self._anchors))} -o /dev/null -T {what} {where}"

    def _send(self, lines: list[str]) -> Taken:
        self._sink.first_byte_ns, began = 0, time.time_ns()
        running = [subprocess.Popen(("bash", "-c", f"set -o pipefail; {line}")) for line in lines]
        ends = [process.wait() for process in running]
        if any(ends):
            raise UnavailableError("ffmpeg, age or curl failed", cure="see what they have said")
        ended = time.time_ns()
        return Taken((self._sink.first_byte_ns - began) / SECOND_NS, (ended - began) / SECOND_NS)


def _forget(path: Path) -> None:
    """Have the kernel drop what it keeps of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
