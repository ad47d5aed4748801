"""A hold: footage of one incident that must outlive the ring while somebody decides, exactly its window and cameras."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Protocol

import msgspec

from agent.acquire.stream import CameraId
from agent.buffer.chunk import StoredChunk
from agent.buffer.ring import Footage
from agent.clock import SECOND_NS, WallTime, Window
from agent.errors import BadInputError, UnavailableError

HOLD_BYTES_MAX: Final = 64 * 1024
CAMERAS_MAX: Final = 64
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class HoldRefusedError(UnavailableError):
    """There is no room for another hold, or it may not be; recording goes on."""


class HoldSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much may be held."""

    bytes_max: int = 4 * 1024**3  # of all holds together
    holds_max: int = 32
    s_max: int = 7 * 24 * 3600  # no hold lasts longer, whatever it says
    free_bytes_min: int = 256 * 1024**2  # the disk keeps this much free: holds come after the hub's own files


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is held and until when; stored as JSON beside the held footage."""

    name: str  # 1-64 of a-z 0-9 -: the command's id, or whatever else asked for it
    cameras: tuple[CameraId, ...]
    start: WallTime  # the window, half-open
    end: WallTime
    made: WallTime
    expires: WallTime

    @property
    def window(self) -> Window:
        """The window as one."""
        return Window(self.start, self.end)

    def is_over(self, now: WallTime, settings: HoldSettings) -> bool:
        """Whether it has expired at `now`; ask only while the clock is trusted."""
        return now >= min(self.expires, self.made + settings.s_max * SECOND_NS)


class Holds(Protocol):
    """Footage that outlives the ring for a while; these calls come from any thread and may take as long as the disk."""

    def hold(self, hold: Hold) -> object:
        """Hold a window's footage and copy what there is of it. Raises HoldRefusedError (there is no room)."""

    def top_up(self, name: str) -> object:
        """Copy what the ring has by now. Raises HoldRefusedError, or UnavailableError if there is no such hold."""

    def release(self, name: str) -> None:
        """Destroy a hold; without such a hold, do nothing."""

    def held(self) -> tuple[Hold, ...]:
        """Return all holds, by name. Waits for nothing."""

    def footage(self, name: str, camera: CameraId, window: Window) -> Footage:
        """Return what a hold has of a window. Raises UnavailableError."""

    def read(self, name: str, chunk: StoredChunk) -> bytes:
        """Read and decrypt one held chunk. Raises UnavailableError if it is gone or damaged."""


def encode_hold(hold: Hold) -> bytes:
    """Write a hold as JSON. Raises BadInputError if it is not one that can be read back."""
    text = msgspec.json.encode(hold)
    if decode_hold(text) != hold:
        raise BadInputError("a hold that does not read back")
    return text


def decode_hold(text: bytes) -> Hold:
    """Read a hold back; raises BadInputError outside the limits."""
    try:
        hold = msgspec.json.decode(text, type=Hold) if len(text) <= HOLD_BYTES_MAX else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"not a hold: {error}") from error
    if hold is None or not NAME.fullmatch(hold.name) or not 0 < len(hold.cameras) <= CAMERAS_MAX:
        raise BadInputError("a hold with an unusable name, or of no or too many cameras")
    if hold.start >= hold.end:
        raise BadInputError("a hold of an empty window")
    return hold


def missing_chunks(wanted: Iterable[StoredChunk], held: Iterable[StoredChunk]) -> list[StoredChunk]:
    """Return the chunks that are wanted and not held yet, in their order."""
    known = {(chunk.meta.run, chunk.meta.sequence) for chunk in held}
    return [chunk for chunk in wanted if (chunk.meta.run, chunk.meta.sequence) not in known]
