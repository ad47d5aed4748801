"""What a camera says it sent, picture by picture, so that a clip can be judged by somebody who trusts no hub.

Rules of this file: it names pictures, blocks of sound and marks of their bytes, never the bytes; FORMAT.md is its whole
language.
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


class SoundHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the camera hears, if it does. Sample 0 of its microphone begins the count; `sound_code` is what it hears."""

    encoding: Annotated[str, msgspec.Meta(max_length=32)]  # as in its SDP: "PCMU"
    rate_hz: Annotated[int, msgspec.Meta(ge=8000, le=48_000)]
    chips_hz: Annotated[int, msgspec.Meta(ge=1000, le=48_000)]  # of the code, at most rate_hz
    starts_ns: Ticks  # when sample 0 was taken, since 1970 by the camera's clock


class LogHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="camera"):
    """The first line."""

    version: Literal[1]
    camera: str
    codec: Literal["h264", "h265", "jpeg"]
    clock_offset_ns: int = 0  # how far the camera's clock is ahead of the hub's
    sound: SoundHead | msgspec.UnsetType = msgspec.UNSET  # not there: it sends no sound


class LoggedPicture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="picture"):
    """One picture as it was sent, in the order of sending."""

    ticks: Ticks  # when it was taken, 1/90000 s since 1970 by the camera's clock; drawn into the picture too
    is_key: bool
    slices: tuple[SliceMark, ...]


class LoggedSound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sound"):
    """One block of coded sound as it was sent: an AAC access unit, or a packet of another codec."""

    first: Annotated[int, msgspec.Meta(ge=-48_000, lt=1 << 40)]  # the first sample that it tells of
    samples: Annotated[int, msgspec.Meta(ge=1, le=48_000)]  # how many it tells of: two blocks overlap in AAC
    mark: Hex  # of all its bytes


@dataclass(frozen=True, slots=True)
class CameraLog:
    """A whole log."""

    head: LogHead
    pictures: tuple[LoggedPicture, ...]
    sounds: tuple[LoggedSound, ...] = ()

    @property
    def sound(self) -> SoundHead | None:
        """How the camera hears; None if it does not."""
        return None if self.head.sound is msgspec.UNSET else self.head.sound

    def hub_time(self, ticks: int) -> WallTime:
        """Return when a tick was by the hub's clock, to the nearest nanosecond."""
        return WallTime((2 * ticks * SECOND_NS + TICKS_HZ) // (2 * TICKS_HZ) - self.head.clock_offset_ns)

    def heard_at(self, sample: int) -> WallTime:
        """Return when a sample was taken by the hub's clock, rounded down to a nanosecond. There must be sound."""
        sound = self.sound
        if sound is None:
            raise BadInputError("a camera log without sound")
        return WallTime(sound.starts_ns + sample * SECOND_NS // sound.rate_hz - self.head.clock_offset_ns)


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

    def note(self, sent: LoggedPicture | LoggedSound) -> None:
        """Append one picture, or one block of sound."""
        self._write(sent)

    def close(self) -> None:
        """End it."""
        self._sink.close()

    def _write(self, line: LogHead | LoggedPicture | LoggedSound) -> None:
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
        lines = list(map(msgspec.json.Decoder(LoggedPicture | LoggedSound).decode, others))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not a camera log: {error}") from error
    pictures = tuple(line for line in lines if isinstance(line, LoggedPicture))
    sounds = tuple(line for line in lines if isinstance(line, LoggedSound))
    if head.sound is msgspec.UNSET and sounds:
        raise BadInputError("a camera log with sound whose first line does not say how the camera hears")
    if head.sound is not msgspec.UNSET and head.sound.chips_hz > head.sound.rate_hz:
        raise BadInputError("a camera log whose sound has more chips than samples")
    if len({picture.ticks for picture in pictures}) != len(pictures):
        raise BadInputError("a camera log in which two pictures were taken at the same tick")
    return CameraLog(head, pictures, sounds)
