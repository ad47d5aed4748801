"""Who cuts in a bench: our child process by the daemon's own hands, ffmpeg twice, smartcut, and the least it can cost.

Rules of this file: everybody cuts the same pictures; time runs from the start of the process to its last byte.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import msgspec

from agent.cut.clip import CutOrder, WireChunk
from agent.errors import BadInputError, UnavailableError
from agent.opening.clip_boxes import take_apart
from agent.outside.cutter import ChildCuts, ChildCutter
from agent.outside.cutter_child import ChildLimits
from tests.bench.cut_footage import CutFootage
from tests.bench.measure import family

PART_S: Final = 20  # what the hub's plan gives to a part, at least to the first, and to one in a long edge
FIRST_S: Final = 4
EDGE_S: Final = 0.5
SMARTCUT_VERSION: Final = "1.7"
_LOOK_S: Final = 0.004  # how often memory is looked at; the kernel keeps the peak, only its last look counts
_LIMITS: Final = ChildLimits(deadline_s=900, cpu_s=900)


class CutMeasured(msgspec.Struct, frozen=True):
    """What one cut cost. None: was not measured, or has no meaning."""

    name: str
    footage: str
    window_s: float
    edge_s: float
    wall_s: float
    cpu_s: float
    peak_bytes: int  # resident, of the largest process
    first_byte_s: float | None
    pictures: int | None
    outside: int | None  # pictures in the file that nobody asked for
    clip_bytes: int


@dataclass(slots=True)
class Watch:
    """What the children of this process cost while it ran."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    began_s: float = field(default_factory=time.monotonic)
    is_over: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        """Note the peaks of all children until it is over."""
        while not self.is_over.wait(_LOOK_S):
            for process in family([os.getpid()]):
                if process != os.getpid():
                    self.peak_bytes = max(self.peak_bytes, peak_bytes(process))


@contextmanager
def watching() -> Iterator[Watch]:
    """Measure the children that live and end within the block."""
    before, watch = _children_cpu_s(), Watch()
    thread = threading.Thread(target=watch.look)
    thread.start()
    try:
        yield watch
    finally:
        watch.wall_s, watch.cpu_s = time.monotonic() - watch.began_s, _children_cpu_s() - before
        watch.is_over.set()
        thread.join()


def peak_bytes(process: int) -> int:
    """Return the most memory that a process had resident so far; 0 if it is gone, or still a copy of its parent."""
    with suppress(OSError):
        folder = Path("/proc") / str(process)
        if (folder / "exe").readlink() == Path("/proc/self/exe").readlink() and not _is_own_program(folder):
            return 0
        for line in (folder / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _is_own_program(folder: Path) -> bool:
    """Say whether a process has begun its own program: until then it has its parent's memory and name."""
    return (folder / "cmdline").read_bytes() != Path("/proc/self/cmdline").read_bytes()


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_transom(footage: CutFootage, window_s: float, edge_s: float) -> CutMeasured:
    """Cut with the daemon's cutter, part by part as the hub's plan does; the parts' footage is made between them."""
    start_s = footage.start_s(edge_s)
    end_s = start_s + window_s
    first_byte_s, wall_s, before_s = None, 0.0, _children_cpu_s()
    pictures = in_files = clip_bytes = peak = 0
    with ChildCutter(_LIMITS).cuts() as cuts:
        for part_start_s, part_end_s in parts(footage, start_s, end_s):
            order, chunks = footage.order(part_start_s, part_end_s), footage.chunks(part_start_s, part_end_s)
            with watching() as watch:
                first, clip, count = _cut_part(cuts, order, chunks, watch.began_s)
            first_byte_s = first if first_byte_s is None else first_byte_s
            wall_s, peak = wall_s + watch.wall_s, max(peak, watch.peak_bytes)
            pictures, clip_bytes = pictures + count, clip_bytes + len(clip)
            in_files += len(take_apart(clip).video.samples)
    cpu_s = _children_cpu_s() - before_s
    if pictures != footage.pictures(window_s):
        raise UnavailableError(f"the cutter gave {pictures} pictures for {window_s} s")
    outside = in_files - footage.pictures(window_s)
    costs = (wall_s, cpu_s, peak, first_byte_s)
    return CutMeasured("Transom", footage.name, window_s, edge_s, *costs, in_files, outside, clip_bytes)


def parts(footage: CutFootage, start_s: float, end_s: float) -> Iterator[tuple[float, float]]:
    """Divide a window as `agent.cut.plan` does: in a long edge, or after FIRST_S; then within PART_S, at keys."""
    key_s = -(-start_s // footage.gop_s) * footage.gop_s
    border_s = -(-(start_s + FIRST_S) // footage.gop_s) * footage.gop_s
    if start_s + 2 * EDGE_S <= min(key_s, end_s):
        yield start_s, start_s + EDGE_S
        start_s += EDGE_S
    elif border_s <= end_s - FIRST_S:
        yield start_s, border_s
        start_s = border_s
    while end_s - start_s > PART_S:
        border_s = (start_s + PART_S) // footage.gop_s * footage.gop_s
        yield start_s, border_s
        start_s = border_s
    yield start_s, end_s


def _cut_part(cuts: ChildCuts, order: CutOrder, chunks: list[WireChunk], began_s: float) -> tuple[float, bytes, int]:
    first_s, pieces = 0.0, list[bytes]()

    def sink(piece: bytes) -> None:
        nonlocal first_s
        first_s = first_s or time.monotonic() - began_s
        pieces.append(piece)

    report = cuts.cut(order, chunks, sink)
    return first_s, b"".join(pieces), report.pictures


def run_program(name: str, footage: CutFootage, window_s: float, edge_s: float, command: list[str]) -> CutMeasured:
    """Let a program cut from the MP4 file; OUT in its command is where the clip goes."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.mp4"
        said = [str(out) if word == "OUT" else word for word in command]
        with watching() as watch:
            done = subprocess.run(said, capture_output=True, check=False)
        if done.returncode or not out.exists():
            raise UnavailableError(f"{name} failed: {done.stderr.decode(errors='replace').strip()[-200:]}")
        pictures, size = count_pictures(out), out.stat().st_size
    outside = pictures - footage.pictures(window_s)
    return CutMeasured(
        name, footage.name, window_s, edge_s, watch.wall_s, watch.cpu_s, watch.peak_bytes, None, pictures, outside, size
    )


def count_pictures(video: Path) -> int:
    """Count the pictures that are in a file, shown or not."""
    try:
        return len(take_apart(video.read_bytes()).video.samples)
    except BadInputError:
        with av.open(str(video), options={"ignore_editlist": "1"}) as container:
            return sum(packet.size > 0 for packet in container.demux(video=0))


def ffmpeg_copy(footage: CutFootage, window_s: float, edge_s: float) -> list[str]:
    """Say how people cut with ffmpeg without encoding."""
    return [*_ffmpeg(footage, window_s, edge_s), "-c", "copy", "OUT"]


def ffmpeg_encode(footage: CutFootage, window_s: float, edge_s: float) -> list[str]:
    """Say how people cut exactly with ffmpeg: everything is encoded anew."""
    return [*_ffmpeg(footage, window_s, edge_s), "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "OUT"]


def smartcut(folder: Path, footage: CutFootage, window_s: float, edge_s: float) -> list[str]:
    """Say how smartcut cuts."""
    start_s = footage.start_s(edge_s)
    return [str(folder / "bin" / "smartcut"), str(footage.mp4), "OUT", "--keep", f"{start_s},{start_s + window_s}"]


def _ffmpeg(footage: CutFootage, window_s: float, edge_s: float) -> list[str]:
    begin = ["ffmpeg", "-loglevel", "error", "-y", "-ss", str(footage.start_s(edge_s)), "-i", str(footage.mp4)]
    return [*begin, "-t", str(window_s), "-an"]


def install_smartcut(folder: Path) -> None:
    """Put smartcut into an environment of its own. Raises UnavailableError if it cannot be had."""
    if (folder / "bin" / "smartcut").exists():
        return
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, f"smartcut=={SMARTCUT_VERSION}"]):
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            raise UnavailableError(f"smartcut {SMARTCUT_VERSION} cannot be installed from PyPI: it is left out")


def run_least(footage: CutFootage, window_s: float, edge_s: float) -> CutMeasured:
    """Do what nobody can do without: move the window's bytes through a pipe, decode to the edge, encode the edge."""
    start_s = footage.start_s(edge_s)
    chunks = footage.chunks(start_s, start_s + window_s)
    wire = b"".join(chunk.wire for chunk in chunks)
    lead_s = start_s % footage.gop_s
    counted = (footage.pictures(lead_s), footage.pictures(edge_s))
    used_s = time.process_time()
    with watching() as watch:
        clip = subprocess.run(["cat"], input=wire, capture_output=True, check=True).stdout
        _encode_edge(footage, start_s - lead_s, *counted) if edge_s else None
    cpu_s = watch.cpu_s + time.process_time() - used_s
    name = "bytes and edge alone"
    return CutMeasured(name, footage.name, window_s, edge_s, watch.wall_s, cpu_s, 0, None, None, None, len(clip))


def _encode_edge(footage: CutFootage, key_s: float, lead: int, edge: int) -> None:
    """Decode a group of pictures up to its end and encode its last ones, as a cutter must."""
    decoder = av.CodecContext.create("h264", "r")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 1920, 1080, "yuv420p"
    encoder.time_base, encoder.thread_count = Fraction(1, footage.film.rate), os.cpu_count() or 1
    encoder.options = {"preset": "veryfast", "crf": "20", "x264-params": "keyint=infinite:bframes=0:rc-lookahead=8"}
    number = 0
    for picture in pictures_of(footage, key_s, lead + edge):
        for frame in decoder.decode(av.Packet(picture)):
            if number >= lead:
                frame.pts, frame.time_base = number, encoder.time_base
                encoder.encode(frame)
            number += 1
    encoder.encode(None)


def pictures_of(footage: CutFootage, start_s: float, count: int) -> list[bytes]:
    """Return pictures of the footage's MP4 file as Annex B, from its key picture at `start_s` on."""
    content = footage.mp4.read_bytes()
    track = take_apart(content).video
    first = footage.pictures(start_s)
    stream = []
    for sample in track.samples[first : first + count]:
        body, out, at = content[sample.begin : sample.end], b"", 0
        while at < len(body):
            size = int.from_bytes(body[at : at + 4], "big")
            out += b"\0\0\0\1" + body[at + 4 : at + 4 + size]
            at += 4 + size
        stream.append(out)
    return stream
