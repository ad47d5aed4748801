"""Gives poisoned streams to the real cutter's child and says what came of each."""

from __future__ import annotations

import os
import re
import resource
import time
from pathlib import Path
from typing import Final

import msgspec

from agent.errors import BadInputError, UnavailableError
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from tests.simulators.mp4_reader import read_movie
from tests.simulators.poisoned_streams import Poison

LIMITS: Final = ChildLimits(deadline_s=30, memory_bytes=1024**3, cpu_s=25)
LATE_S: Final = 2.0  # from a deadline to the moment when the child is gone and the caller knows
GROWTH_BYTES_MAX: Final = 128 * 1024 * 1024
_CLEAR: Final = re.compile(r"[ -~]{5,300}")
_UNCLEAR: Final = re.compile(r"Traceback|Error:|Exception|no word|not a message|does not keep")


class Tasted(msgspec.Struct, frozen=True):
    """What one case came to."""

    number: int
    kind: str
    end: str  # "clip", "empty", "texts", "bad input", "failed" or "crash"
    said: str
    seconds: float
    wrong: tuple[str, ...]  # what must not have happened


def taste(number: int, poison: Poison) -> Tasted:
    """Let the child cut or search one poisoned stream, and hold what happened against what must."""
    cutter, pieces, wrong = ChildCutter(LIMITS), list[bytes](), list[str]()
    before, began_s, said, end = _children(), time.monotonic(), "", "clip"
    try:
        if poison.is_code_search:
            cutter.read_codes(poison.order, poison.chunks)
            end = "texts"
        else:
            report = cutter.cut(poison.order, poison.chunks, pieces.append)
            end = "clip" if report.pictures else "empty"
            if len(read_movie(b"".join(pieces)).samples if pieces else ()) != report.pictures:
                wrong.append("the file is not what its report says")
    except (BadInputError, UnavailableError) as error:
        said, end = str(error), "bad input" if isinstance(error, BadInputError) else "failed"
        if re.search(r"status -\d", said):
            end = "crash"
        if not _CLEAR.fullmatch(said) or _UNCLEAR.search(said):
            wrong.append("its failure is not clear")
    seconds = time.monotonic() - began_s
    if seconds > LIMITS.deadline_s + LATE_S:
        wrong.append("it took longer than its deadline")
    if _children() != before:
        wrong.append("a process is left")
    if peak_bytes() > LIMITS.memory_bytes:
        wrong.append("a child had more memory than its limit")
    return Tasted(number, poison.kind, end, said, seconds, tuple(wrong))


def peak_bytes() -> int:
    """Return the most memory that any child has had at once, as the kernel counted until its end (wait4(2))."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def own_bytes() -> int:
    """Return the memory of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _children() -> str:
    return Path("/proc/thread-self/children").read_text()
