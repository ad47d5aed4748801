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
    sound: Window | None = None  # the granted window, if the camera's sound was granted too; None: no sound in the file
    masks: Masks = ()  # painted over in every picture: then nothing is copied
    may_copy: bool = True  # False after a try that failed: everything is encoded anew


class Gap(msgspec.Struct, frozen=True):
    """An interval of the window without pictures, and why."""

    start: WallTime
    end: WallTime
    why: str


class PictureRun(msgspec.Struct, frozen=True):
    """Pictures that follow each other: when the first and the last of them were taken, and how many they are."""

    first: WallTime
    last: WallTime
    count: int


class SoundReport(msgspec.Struct, frozen=True):
    """What the child process says of the sound it was allowed to put into the file."""

    source: str = ""  # how the camera sent it, as in the SDP: "PCMU"; empty if it sent none
    codec: str = ""  # in the file: "aac"; empty if no sound is in it
    is_reencoded: bool = False  # False: the camera's own blocks
    start: WallTime | None = None  # of the first sample in the file
    end: WallTime | None = None  # behind the last one
    gaps: tuple[Gap, ...] = ()  # of the window, without sound
    error_ns: int = 0  # worst bound of the sound's times
    clock: str = ""  # "sr": beside the picture by the camera's sender reports; "arrival": as both arrived


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
    why_reencoded: str = ""  # why pictures that stand alone were not copied; empty if only edges are re-encoded
    sound: SoundReport | None = None  # None: no sound was ordered
    masks: Masks = ()  # painted over in every picture of the file
    reencoded_at: tuple[PictureRun, ...] = ()  # which of the pictures, in order
    owner_copy: str = ""  # of the sealed file, a word of `consent/owner_copy.py`: the daemon's own, never the child's
    clear_sha256: str = ""  # hex, of the MP4 before it was sealed: the daemon's own word, never the child's
