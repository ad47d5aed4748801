"""What a camera says it sent, picture by picture, so that a clip can be judged by somebody who trusts no hub.

Rules of this file: it names pictures and marks of their bytes, never the bytes; FORMAT.md is its whole language.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, NamedTuple

import msgspec

from agent.clock import SECOND_NS, WallTime
from agent.errors import BadInputError, ConfigurationError

LOG_BYTES_MAX: Final = 512 * 1024 * 1024
LINE_BYTES_MAX: Final = 1024 * 1024
TICKS_HZ: Final = 90_000
Ticks = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]
Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2}){0,32}\Z")]


class SliceMark(NamedTuple):
    """By what a coded slice is known again, each in hex."""

    whole: Hex  # of all its bytes
    without_id: Hex  # of the slice without the number of its parameter set: what a renumbered one keeps
    middle: Hex  # 32 bytes of its middle, to be looked for where no slice should be; empty if they may be in others too


class LogHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="camera"):
    """The first line."""

    version: Literal[1]
    camera: str
    codec: Literal["h264", "h265", "jpeg"]
    clock_offset_ns: int = 0  # how far the camera's clock is ahead of the hub's


class LoggedPicture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="picture"):
    """Every other line: one picture as it was sent, in the order of sending."""

    ticks: Ticks  # when it was taken, 1/90000 s since 1970 by the camera's clock; drawn into the picture too
    is_key: bool
    slices: tuple[SliceMark, ...]


@dataclass(frozen=True, slots=True)
class CameraLog:
    """A whole log."""

    head: LogHead
    pictures: tuple[LoggedPicture, ...]

    def hub_time(self, ticks: int) -> WallTime:
        """Return when a tick was by the hub's clock, to the nearest nanosecond."""
        return WallTime((2 * ticks * SECOND_NS + TICKS_HZ) // (2 * TICKS_HZ) - self.head.clock_offset_ns)


def open_log(path: Path, camera: str, clock_offset_ms: int) -> LogWriter:
    """Begin the log of a virtual camera. Raises ConfigurationError if the file cannot be written."""
    head = LogHead(version=1, camera=camera, codec="h264", clock_offset_ns=clock_offset_ms * 1_000_000)
    try:
        return LogWriter(path.open("wb"), head)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", cure="choose another --log") from error


class LogWriter:
    """Writes a log while the camera films; every line is with the system before the picture is sent."""

    def __init__(self, sink: BinaryIO, head: LogHead) -> None:
        self._sink = sink
        self._write(head)

    def note(self, picture: LoggedPicture) -> None:
        """Append one picture."""
        self._write(picture)

    def close(self) -> None:
        """End it."""
        self._sink.close()

    def _write(self, line: LogHead | LoggedPicture) -> None:
        self._sink.write(msgspec.json.encode(line) + b"\n")
        self._sink.flush()


def read_log(path: Path) -> CameraLog:
    """Read a log from a file. Raises BadInputError if it is none."""
    try:
        if path.stat().st_size > LOG_BYTES_MAX:
            raise BadInputError(f"{path.name} has more than {LOG_BYTES_MAX} bytes")
        return parse_log(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"{path.name} cannot be read: {error.strerror}") from error


def parse_log(text: bytes) -> CameraLog:
    """Read a log; a last line without its end was being written and is left out. Raises BadInputError if it is none."""
    first, *others = text.split(b"\n")[:-1] or [b""]
    if max(map(len, (first, *others))) > LINE_BYTES_MAX:
        raise BadInputError(f"a camera log with a line of more than {LINE_BYTES_MAX} bytes")
    try:
        head = msgspec.json.decode(first, type=LogHead)
        decoder = msgspec.json.Decoder(LoggedPicture)
        pictures = tuple(map(decoder.decode, others))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not a camera log: {error}") from error
    if len({picture.ticks for picture in pictures}) != len(pictures):
        raise BadInputError("a camera log in which two pictures were taken at the same tick")
    return CameraLog(head, pictures)
