"""What passes between the planned cut, the child process that makes it, and the evidence about it."""

from __future__ import annotations

import msgspec

from agent.acquire.stream import StreamHeader
from agent.acquire.timeline import Anchor
from agent.clock import WallTime, Window
from agent.consent.mask import Masks


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
    masks: Masks = ()  # painted over in every picture: then nothing is copied
    may_copy: bool = True  # False after a try that failed: everything is encoded anew


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
    refused: int = 0  # pictures in the window withheld: after a loss they may show what lay outside, or what never was
    error_ns: int = 0  # worst bound of the mappings used
    source: str = ""  # the worst clock source used
    masks: Masks = ()  # painted over in every picture of the file
