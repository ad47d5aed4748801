"""What passes between the planned cut, the child process that makes it, and the evidence about it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from agent.acquire.stream import CameraId, StreamHeader
from agent.acquire.timeline import Anchor
from agent.buffer.chunk import StoredChunk
from agent.clock import WallTime, Window
from agent.consent.grant import Granted


@dataclass(frozen=True, slots=True)
class CutPlan:
    """One part of one camera's clip, ready to be cut: which chunks to read and which pictures of them to deliver."""

    grant: Granted
    camera: CameraId
    part: int  # counts from 0 within the clip
    window: Window  # of this part; inner borders lie on key pictures
    is_last: bool
    headers: tuple[StoredChunk, ...]
    chunks: tuple[StoredChunk, ...]


class WireChunk(msgspec.Struct, frozen=True, array_like=True):
    """A chunk as the cutter gets it: decrypted wire bytes with its run and resolved mapping."""

    run: int
    sequence: int
    anchor: Anchor
    wire: bytes


class CutOrder(msgspec.Struct, frozen=True):
    """What the child process is told, before the chunks follow one by one."""

    window: Window
    headers: tuple[StreamHeader, ...]


class Gap(msgspec.Struct, frozen=True):
    """An interval of the window without pictures, and why."""

    start: WallTime
    end: WallTime
    why: str


class ClipReport(msgspec.Struct, frozen=True):
    """What the child process says it made; goes into the manifest."""

    pictures: int  # in the file; 0 if there was nothing to deliver, then there is no file
    copied: int
    reencoded: int
    first_picture: WallTime | None
    last_picture: WallTime | None
    width: int = 0
    height: int = 0
    codec: str = ""
    gaps: tuple[Gap, ...] = ()
    refused: int = 0  # pictures in the window that are not delivered since they may show what lay outside it
    error_ns: int = 0  # worst bound of the mappings used
    source: str = ""  # the worst clock source used
