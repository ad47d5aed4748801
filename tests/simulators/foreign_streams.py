"""Streams of GStreamer's RTSP server, and by an independent hand: what it sent, and what a recording has of it."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.simulators.foreign_cameras import GST_PACKAGES, ROOT, SYSTEM_PYTHON


@dataclass(frozen=True)
class Mount:
    """One stream: a pipeline with payloaders `pay0` and perhaps `pay1`."""

    launch: str
    is_udp: bool = False  # refuses to send over the connection
    mtu: int = 1400
    sources: tuple[int, ...] = ()  # contributing sources, written into each packet


class Sent(NamedTuple):
    """An RTP packet that the server made, and whether it is of a unit that can be decoded by itself."""

    octets: bytes
    is_key: bool


class Frame(NamedTuple):
    """An interleaved frame."""

    channel: int
    packet: bytes

    @property
    def is_marked(self) -> bool:
        """Whether this RTP packet ends its picture."""
        return self.packet[1] >= 0x80

    @property
    def rtp(self) -> int:
        """The RTP timestamp."""
        return int.from_bytes(self.packet[4:8])


@dataclass(frozen=True)
class GstStreams:
    """A running server."""

    port: int
    folder: Path
    scheme: str = "rtsp"

    def url(self, name: str) -> str:
        """Return the address of one stream."""
        return f"{self.scheme}://127.0.0.1:{self.port}/{name}"

    def sent(self, name: str, payloader: int = 0) -> list[Sent]:
        """Return every packet that a payloader of a stream has made."""
        log, at, packets = (self.folder / f"{name}.{payloader}.packets").read_bytes(), 0, []
        while at < len(log):
            is_key, size = struct.unpack_from(">BH", log, at)
            packets.append(Sent(log[at + 3 : at + 3 + size], bool(is_key)))
            at += 3 + size
        return packets

    def units(self, name: str) -> list[bytes]:
        """Return what the encoder made, one picture each."""
        log, at, units = (self.folder / f"{name}.0.units").read_bytes(), 0, []
        while at < len(log):
            (size,) = struct.unpack_from(">I", log, at)
            units.append(log[at + 4 : at + 4 + size])
            at += 4 + size
        return units


@contextmanager
def gst_streams(
    folder: Path,
    mounts: dict[str, Mount],
    *,
    certificate: Path | None = None,
    login: tuple[str, str, str] | None = None,
    timeout_s: int = 0,
    port: int = 0,
) -> Iterator[GstStreams]:
    """Run a server; see `gst_streams.py` for what can be asked of it."""
    folder.mkdir(exist_ok=True)
    order = {
        "folder": str(folder),
        "mounts": {name: vars(mount) for name, mount in mounts.items()},
        "certificate": str(certificate or ""),
        "login": login,
        "timeout_s": timeout_s,
        "port": port,
    }
    log = folder / "server.log"
    with log.open("wb") as errors:
        command = [SYSTEM_PYTHON, str(ROOT / "tests/simulators/gst_streams.py")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    with process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
            words = process.stdout.readline().split()
            assert words[:1] == [b"ready"], f"install {GST_PACKAGES}: {log.read_text()[-400:]}"
            yield GstStreams(int(words[1]), folder, "rtsps" if certificate else "rtsp")
        finally:
            process.kill()


def split(wire: bytes) -> list[Frame]:
    """Take interleaved frames apart (RFC 2326 section 10.12)."""
    frames, at = [], 0
    while at < len(wire):
        mark, channel, size = struct.unpack_from(">cBH", wire, at)
        assert mark == b"$", f"no frame at {at}"
        assert at + 4 + size <= len(wire), f"half a frame at {at}"
        frames.append(Frame(channel, wire[at + 4 : at + 4 + size]))
        at += 4 + size
    return frames


def of_channel(frames: Iterable[Frame], channel: int) -> list[bytes]:
    """Return the packets of one channel."""
    return [frame.packet for frame in frames if frame.channel == channel]


def depacketize(packets: Iterable[bytes], encoding: str, folder: Path) -> bytes:
    """Let GStreamer make an elementary stream of RTP packets."""
    stored, made = folder / f"{encoding}.rtp", folder / f"{encoding}.stream"
    stored.write_bytes(b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets))  # RFC 4571
    command = [SYSTEM_PYTHON, str(ROOT / "tests/simulators/gst_depacketize.py"), encoding, str(stored), str(made)]
    ran = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert ran.returncode == 0, f"install {GST_PACKAGES}: {ran.stderr.decode()[-400:]}"
    return made.read_bytes()
