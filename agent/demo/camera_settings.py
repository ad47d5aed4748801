"""Everything that makes one virtual camera different from another, as a value and as its command line."""

from __future__ import annotations

import argparse
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo.camera_events import EventManners
from agent.demo.camera_login import DIGEST_HASHES, NONCE_SECONDS
from agent.demo.camera_quirks import PLAIN, Quirks, read_quirks
from agent.demo.camera_rtsp import SESSION_SECONDS
from agent.demo.h264_rtp import EncoderSettings
from agent.demo.video_encoder import CODECS
from agent.errors import ConfigurationError

_WIDTH_STEP: Final = 160  # the block code's cells must be whole pixels in both streams
_HEIGHT_STEP: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings:
    """Everything that makes one virtual camera different from another."""

    login: Login
    name: str = "Front door"
    address: str = "127.0.0.1"
    http_port: int = 0  # 0: any free port
    rtsp_port: int = 0
    interface: str = "lo"  # where it answers discovery; empty: it cannot be found
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    serial: str = ""  # empty: the end of its UUID
    is_greeting: bool = True  # whether it says Hello and Bye
    clock_offset_ms: int = 0  # how far its clock is ahead of this machine's
    clock_drift_ppm: int = 0  # how much faster it runs
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    digest_algorithms: tuple[str, ...] = ("SHA-256", "MD5")  # in the order in which they are offered
    nonce_s: float = NONCE_SECONDS
    session_s: float = SESSION_SECONDS
    log: Path | None = None  # where it writes what its main stream sends; see FORMAT.md
    has_media2: bool = False  # Profile T: the media2 service beside media 1
    events: EventManners = field(default_factory=EventManners)
    quirks: Quirks = PLAIN

    def __post_init__(self) -> None:
        if not self.digest_algorithms or not set(self.digest_algorithms) <= set(DIGEST_HASHES):
            raise ConfigurationError("an unknown digest algorithm", cure=f"choose from {', '.join(DIGEST_HASHES)}")
        if self.clock_drift_ppm and self.log is not None:
            raise ConfigurationError("a log tells no clock that drifts", cure="leave out --log or --clock-drift-ppm")
        if self.encoder.width % _WIDTH_STEP or self.encoder.height % _HEIGHT_STEP or self.encoder.width < _WIDTH_STEP:
            raise ConfigurationError("a picture size that cannot be halved", cure="use 640x360, 960x540 or 1280x720")


def read_settings(arguments: list[str], first_line: bytes) -> CameraSettings:
    """Read a camera's command line; the first line of its input is the password. Exits with the usage."""
    parser = argparse.ArgumentParser(prog="python -m agent.demo.camera", description="A virtual ONVIF camera.")
    add, size = parser.add_argument, EncoderSettings()
    add("--name", default="Front door")
    add("--user", required=True)
    add("--password-stdin", action="store_true", required=True, help="the password is the first line of stdin")
    add("--address", default="127.0.0.1", help="the address to listen on, IPv4 or IPv6")
    add("--http-port", type=int, default=0)
    add("--rtsp-port", type=int, default=0)
    add("--interface", default="lo", help="where to answer WS-Discovery; empty for nowhere")
    add("--uuid", default=str(uuid.uuid4()), help="the camera's identity (EPR)")
    add("--serial", default="", help="its serial number; the end of its identity by default")
    add("--no-greeting", action="store_true", help="say neither Hello nor Bye")
    add("--clock-offset-ms", type=int, default=0, help="how wrong the camera's clock is")
    add("--clock-drift-ppm", type=int, default=0, help="how much too fast it runs")
    add("--fps", type=int, default=size.fps)
    add("--gop", type=int, default=size.gop, help="pictures from one key picture to the next")
    add("--b-frames", type=int, default=size.b_frames)
    add("--bitrate-bps", type=int, default=size.bitrate_bps)
    add("--width", type=int, default=size.width)
    add("--height", type=int, default=size.height)
    add("--log", type=Path, help="write there what the main stream sends, to judge clips by")
    add("--codec", choices=CODECS, default=size.codec, help="of the main stream; H265 needs --media2 to be seen")
    add("--media2", action="store_true", help="offer the media2 service too (Profile T)")
    add("--digest", default="SHA-256,MD5", help="login algorithms in the order in which they are offered")
    add("--quirk", action="append", default=[], metavar="NAME[=VALUE]", help="behave as some cameras do (repeatable)")
    said = parser.parse_args(arguments)
    quirks, manners = read_quirks(said.quirk)
    encoder = EncoderSettings(said.width, said.height, said.fps, said.gop, said.b_frames, said.bitrate_bps, said.codec)
    return CameraSettings(
        login=Login(said.user, Secret(first_line.rstrip(b"\r\n"))),
        name=said.name,
        address=said.address,
        http_port=said.http_port,
        rtsp_port=said.rtsp_port,
        interface=said.interface,
        uuid=said.uuid,
        serial=said.serial,
        is_greeting=not said.no_greeting,
        clock_offset_ms=said.clock_offset_ms,
        clock_drift_ppm=said.clock_drift_ppm,
        encoder=encoder,
        has_media2=said.media2,
        digest_algorithms=tuple(said.digest.split(",")),
        log=said.log,
        events=manners,
        quirks=quirks,
    )
