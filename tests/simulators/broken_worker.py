"""Stands where the cutter's child stands, and does what a camera's bytes might make of it: `BEHAVIOUR [LOG]`.

Each order is noted in the log, if there is one, before anything is done about it: `copy` or `encode`.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from agent.cut.clip import ClipReport, CutOrder, Gap
from agent.cut.look import EDGE_BYTES, SAMPLES
from agent.cut.messages import Kind, Readable, decode_job, frame, message_frame, read_frame
from agent.cut.worker import serve

FOREVER_S: Final = 3600.0


class _Again:
    """Standard input with its first frame put back."""

    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._rest = io.BytesIO(first), rest

    def read(self, size: int = -1, /) -> bytes:
        return self._first.read(size) or self._rest.read(size)


def main() -> None:
    """Take one order and behave."""
    source: Readable = sys.stdin.buffer
    kind, body = read_frame(source)
    order = decode_job(body).order
    if len(sys.argv) > 2 and not sys.argv[2].startswith("--"):
        with Path(sys.argv[2]).open("a") as log:
            log.write("copy\n" if order.may_copy else "encode\n")
    if sys.argv[1] == "crash at copies":
        if order.may_copy:
            crash(order)
        serve(cast("BinaryIO", _Again(frame(kind, body), sys.stdin.buffer)), sys.stdout.buffer)
        return
    BEHAVIOURS[sys.argv[1]](order)
    sys.stdout.buffer.flush()


def say(*frames: bytes) -> None:
    """Write to the daemon."""
    sys.stdout.buffer.writelines(frames)
    sys.stdout.buffer.flush()


def crash(_: CutOrder) -> None:
    """Begin a clip and die as a decoder does that wrote where nothing is."""
    say(frame(Kind.CLIP, b"half a clip"))
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(_: CutOrder) -> None:
    """Read no more, say no more, and hear no polite request."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(FOREVER_S)


def flood(octets: bytes) -> Callable[[CutOrder], None]:
    """Say the same for ever."""

    def say_for_ever(_: CutOrder) -> None:
        while True:
            say(octets)

    return say_for_ever


def complain(_: CutOrder) -> None:
    """Fill standard error for ever."""
    while True:
        sys.stderr.write("x" * 4096)


def report(**said: object) -> Callable[[CutOrder], None]:
    """Report a clip of one byte that looks right but for what is said."""

    def tell(order: CutOrder) -> None:
        middle = (order.window.start + order.window.end) // 2
        good: dict[str, object] = {
            "pictures": 2,
            "copied": 1,
            "reencoded": 1,
            "first_picture": middle,
            "last_picture": middle,
            "width": 64,
            "height": 64,
            "codec": "h264",
            "masks": order.masks,
            "source": "sr",
        }
        good = good | said
        count = good["reencoded"]
        runs = [{"first": good["first_picture"], "last": good["first_picture"], "count": count}] if count else []
        say(
            frame(Kind.CLIP, b"x"),
            message_frame(Kind.REPORT, msgspec.convert({"reencoded_at": runs} | good, ClipReport)),
        )

    return tell


def look(jpeg: bytes = b"", **said: object) -> Callable[[CutOrder], None]:
    """Answer an order to look, with what looks right but for what is said."""

    def tell(order: CutOrder) -> None:
        good: dict[str, object] = dict.fromkeys(("brightness", "lightest", "white", "detail", "sharpness", "colour"), 1)
        good |= {"taken": order.window.start, "width": 64, "height": 64, "changed": None, "likeness": ()}
        good |= {"edges": bytes(EDGE_BYTES), "samples": bytes(SAMPLES)}
        say(frame(Kind.LOOK, msgspec.msgpack.encode({"signs": good | said, "jpeg": jpeg})))

    return tell


BEHAVIOURS: Final[dict[str, Callable[[CutOrder], None]]] = {
    "crash": crash,
    "look": look(),
    "look of another time": look(taken=0),
    "look with more": look(likeness=(1,)),
    "look as a novel": look(why="x"),
    "look beyond white": look(brightness=256),
    "look with a snapshot": look(jpeg=b"\xff\xd8\xff\xd9"),
    "hang": hang,
    "flood": flood(frame(Kind.CLIP, bytes(1024 * 1024))),
    "trickle": flood(frame(Kind.CLIP, b"x") * 1000),
    "empty frames": flood(frame(Kind.CLIP) * 1000),
    "orders": flood(frame(Kind.END)),
    "complaints": complain,
    "good": report(),
    "another sum": report(copied=2),
    "minus": report(copied=-1, reencoded=3),
    "too many": report(pictures=10**6, copied=10**6, reencoded=0),
    "no size": report(width=0),
    "a word": report(codec="h264\x1b[2J"),
    "a novel": report(codec="h" * 3000),
    "another clock": report(source="mine"),
    "beyond JSON": report(error_ns=2**60),
    "gap outside": report(gaps=(Gap(0, 1, "x"),)),  # type: ignore[arg-type]  # plain numbers
    "other masks": report(masks=(((0, 0), (1, 0), (0, 1)),)),
    "nothing made": report(pictures=0, copied=0, reencoded=0, first_picture=None, last_picture=None),
}


if __name__ == "__main__":
    main()
