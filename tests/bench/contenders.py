"""The recorders that are measured beside one another: how each is started, ended, and asked what it kept.

Rules of this file: every contender gets the same streams and a folder of its own; whatever is started here is ended
here, and ends by itself when the bench dies.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from agent.crypto import Secret
from agent.errors import UnavailableError
from tests.bench.recorder_process import Recorded, age_ring
from tests.bench.written_once import write_once

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
END_S_MAX: Final = 60
LIMIT_LOG_BYTES: Final = 192 * 1024 * 1024  # as in limit.c
FFMPEG_SEGMENT_S: Final = 10
RECORDER: Final = "tests.bench.recorder_process"
ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Installed software is compiled: a process that compiles its own source keeps a megabyte of what that took."""


class Kept(msgspec.Struct, frozen=True):
    """What one contender says, or shows, that it has."""

    received: int | None  # bytes by its own count; None if it does not count
    stored: int | None  # bytes of footage on its disk; None if nothing can be found again
    is_wire: bool = False  # `stored` counts the cameras' own frames, to be held against what was sent
    holes: int = 0  # cameras whose footage is not whole
    problems: tuple[str, ...] = ()  # for people


class Contender(Protocol):
    """One recorder of `cameras` cameras."""

    name: str
    kind: str
    cameras: int

    def prepare(self, folder: Path, size_bytes: int) -> None:
        """Make the folder look as it does after days of recording; `size_bytes` is what will be recorded at most."""

    def commands(self, port: int, folder: Path) -> Sequence[Sequence[str]]:
        """Say which processes to start."""

    def kept(self, said: Sequence[str], folder: Path) -> Kept:
        """Judge what the processes said when they ended, and what lies in the folder."""


class Transom:
    """Ours: one process, encrypted ring, synced every second."""

    kind = "Transom"

    def __init__(self, cameras: int, name: str = "transom") -> None:
        self.name, self.cameras = name, cameras

    def prepare(self, folder: Path, size_bytes: int) -> None:
        """Make a ring with free slabs, and its key."""
        key = os.urandom(32)
        (folder / "key").write_bytes(key)
        age_ring(folder / "ring", Secret(key), size_bytes, self.cameras)
        subprocess.run((sys.executable, "-c", f"import {RECORDER}"), cwd=ROOT, env=ENVIRONMENT, check=True)  # compiled

    def commands(self, port: int, folder: Path) -> Sequence[Sequence[str]]:
        """One process for all cameras."""
        where = f"rtsp://127.0.0.1:{port}/{self.name}", str(self.cameras), str(folder / "ring"), str(folder / "key")
        return [(sys.executable, "-m", RECORDER, *where)]

    def kept(self, said: Sequence[str], folder: Path) -> Kept:
        """Take its word: it has read its footage back before it ended."""
        del folder
        recorded = msgspec.json.decode(said[0], type=Recorded)
        holes = [one for one in recorded.read_back if not one.is_whole]
        problems = [f"{len(holes)} cameras whose footage is not whole, such as {holes[0]}"] if holes else []
        if recorded.chunks_lost or recorded.reconnects:
            problems.append(f"{recorded.chunks_lost} chunks lost, {recorded.reconnects} reconnects")
        if not recorded.is_direct:
            problems.append("the disk refused O_DIRECT: written through the page cache")
        stored = sum(one.bytes for one in recorded.read_back)
        return Kept(recorded.received, stored, is_wire=True, holes=len(holes), problems=tuple(problems))


class Limit:
    """A C program that only receives, encrypts and writes."""

    name = kind = "limit"

    def __init__(self, cameras: int, program: Path) -> None:
        self.cameras, self._program = cameras, program

    def prepare(self, folder: Path, size_bytes: int) -> None:
        """Make its log; it begins again where that ends."""
        del size_bytes
        write_once(folder / "log", LIMIT_LOG_BYTES)

    def commands(self, port: int, folder: Path) -> Sequence[Sequence[str]]:
        """One process for all cameras."""
        return [(str(self._program), str(port), self.name, str(self.cameras), str(folder / "log"))]

    def kept(self, said: Sequence[str], folder: Path) -> Kept:
        """Take its word: it counts what it receives."""
        del folder
        return Kept(msgspec.json.decode(said[0], type=dict[str, int])["received"], None)


class Ffmpeg:
    """`ffmpeg -c copy` into MP4 segments, a process per camera: what Frigate runs. No encryption, no sync."""

    name = kind = "ffmpeg"

    def __init__(self, cameras: int) -> None:
        self.cameras = cameras

    def prepare(self, folder: Path, size_bytes: int) -> None:
        """Leave it empty: ffmpeg makes new files for ever."""

    def commands(self, port: int, folder: Path) -> Sequence[Sequence[str]]:
        """One process per camera."""
        source = ("-rtsp_transport", "tcp", "-timeout", "10000000", "-use_wallclock_as_timestamps", "1")
        segments = ("-f", "segment", "-segment_time", str(FFMPEG_SEGMENT_S), "-segment_format", "mp4")
        copied = (*segments, "-reset_timestamps", "1", "-c", "copy", "-an")
        begin = ("ffmpeg", "-nostdin", "-loglevel", "error", *source)
        return [
            (*begin, "-i", f"rtsp://127.0.0.1:{port}/{self.name}/{camera}", *copied, str(folder / f"{camera}-%05d.mp4"))
            for camera in range(self.cameras)
        ]

    def kept(self, said: Sequence[str], folder: Path) -> Kept:
        """Look at its files: ffmpeg says nothing."""
        del said
        stored = sum(file.stat().st_size for file in folder.glob("*.mp4"))
        return Kept(None, stored)


class Running:
    """A contender at work."""

    def __init__(self, contender: Contender, folder: Path) -> None:
        self.contender, self._folder = contender, folder
        self._processes: list[subprocess.Popen[str]] = []
        self._complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when the processes have ended

    def start(self, port: int) -> None:
        """Let it record what the source on this port sends; whatever happens, `kill` must follow."""
        for command in self.contender.commands(port, self._folder):
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                command, cwd=ROOT, env=ENVIRONMENT, text=True, stdin=pipe, stdout=pipe, stderr=self._complaints
            )
            self._processes.append(process)

    @property
    def processes(self) -> list[int]:
        """Their numbers."""
        return [process.pid for process in self._processes]

    def check(self) -> None:
        """Raise UnavailableError if a process has ended by itself."""
        for process in self._processes:
            if process.poll() is not None:
                raise UnavailableError(f"{self.contender.name} ended by itself: {self._last_complaint()}")

    def end(self) -> Kept:
        """End it the way it likes and ask what it kept. Raises UnavailableError if it does not end well."""
        for process in self._processes:
            if self.contender.kind != Transom.kind:  # ours ends with its standard input
                process.terminate()
        try:
            said = [process.communicate(timeout=END_S_MAX)[0] for process in self._processes]
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{self.contender.name} did not end within {END_S_MAX} s") from error
        try:
            return self.contender.kept(said, self._folder)
        except msgspec.DecodeError as error:
            complaint = self._last_complaint()
            raise UnavailableError(f"{self.contender.name} ended without saying what it has: {complaint}") from error

    def kill(self) -> None:
        """End whatever still runs."""
        for process in self._processes:
            process.kill()
            process.communicate()
        self._complaints.close()

    def _last_complaint(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().strip().splitlines()
        return lines[-1] if lines else "it did not say why"


def build_limit(folder: Path) -> Path:
    """Compile the limit, once per version of its source. Raises UnavailableError that says what to install."""
    source = HERE / "limit.c"
    program = folder / f"limit-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    cure = "install a compiler and OpenSSL's headers (Debian: apt-get install gcc libc6-dev libssl-dev)"
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("the limit is not measured: no C compiler", cure=cure)
    new = program.with_suffix(".new")
    built = subprocess.run(
        (compiler, "-O2", "-o", str(new), str(source), "-lcrypto"), capture_output=True, text=True, check=False
    )
    if built.returncode:
        first = next((line for line in built.stderr.splitlines() if "error" in line), "the compiler failed")
        raise UnavailableError(f"the limit is not measured: {first}", cure=cure)
    new.replace(program)
    return program
