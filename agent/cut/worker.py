"""The cutter's child process: a job from standard input, its result on standard output, and perhaps the next part.

Rules of this file: it limits itself before it reads, and gives up files, programs and network before it reads the first
byte of a camera; it holds no key; libav is imported only when a job has come. Messages are in FORMAT.md.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

import msgspec

from agent.cut.clip import WireChunk
from agent.cut.confine import Confinement, confine
from agent.cut.messages import (
    TEXT_CHARACTERS_MAX,
    Failure,
    Job,
    Kind,
    Work,
    decode_chunk,
    decode_job,
    frame,
    message_frame,
    read_frame,
    read_frame_or_end,
)
from agent.cut.syscalls import give_up_system_calls
from agent.errors import BadInputError, TransomError

_EXIT_FAILED = 1
_FIRST_BYTES, _PIECE_BYTES = 1024, 256 * 1024  # of a frame of the clip, and of later ones at most


def main(arguments: list[str] | None = None) -> int:
    """Do what is asked; return the exit status: 0 if every answer is complete, 1 if one is a Failure."""
    confine(_limits(sys.argv[1:] if arguments is None else arguments))
    gc.disable()  # a job makes no cycles: looking for them among 100 000 packets costs a tenth of a copied clip
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, _shut_in)
    except BrokenPipeError:
        return _EXIT_FAILED
    except (TransomError, MemoryError) as error:
        what = str(error) or "not enough memory for this part"
        failure = Failure(isinstance(error, BadInputError), what[:TEXT_CHARACTERS_MAX])
        sys.stdout.buffer.write(message_frame(Kind.FAILED, failure))
        sys.stdout.buffer.flush()
        return _EXIT_FAILED
    return 0


def _limits(arguments: Iterable[str]) -> Confinement:
    """Read `--memory-bytes=N` and so on; argparse would take a twentieth of the child's start."""
    said = (argument.removeprefix("--").partition("=") for argument in arguments)
    return msgspec.convert({name.replace("-", "_"): value for name, _, value in said}, Confinement, strict=False)


def serve(source: BinaryIO, sink: BinaryIO, shut_in: Callable[[], None] = lambda: None) -> None:
    """Read a job and write its answer, and so for further parts of the same clip, until the source ends.

    `shut_in` is called once, when all code is loaded and before the first chunk is read. Raises BadInputError if a job
    or what it brings cannot be used.
    """
    following: tuple[Kind, bytes] | None = read_frame(source)
    work = None
    while following:
        kind, body = following
        if kind is not Kind.JOB:
            raise BadInputError("the first message is not a job")
        job = decode_job(body)
        if work is not None and job.work is not Work.CUT:
            raise BadInputError("only the parts of a clip may follow each other")
        work = job.work
        _WORKS[work](job, source, sink, shut_in)
        sink.flush()
        if work is not Work.CUT:
            return
        shut_in = _stay_shut_in
        following = read_frame_or_end(source)


def _shut_in() -> None:
    give_up_system_calls()
    gc.freeze()  # all that is loaded stays; what a part leaves behind is looked for between parts


def _stay_shut_in() -> None:
    gc.collect()


def _cut(job: Job, source: BinaryIO, sink: BinaryIO, shut_in: Callable[[], None]) -> None:
    from agent.cut.splice import make_clip  # noqa: PLC0415 - libav costs a tenth of a second; only a job is worth it

    shut_in()
    pieces, report = make_clip(job.order, _chunks(source))
    sink.writelines(frame(Kind.CLIP, body) for body in gathered(pieces))
    sink.write(message_frame(Kind.REPORT, report))


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Make few large pieces of many: the first is small, so that it goes at once, each next one twice as large."""
    waiting, size = bytearray(), _FIRST_BYTES
    for piece in pieces:
        waiting += piece
        begin = 0
        while len(waiting) - begin >= size:
            yield bytes(waiting[begin : begin + size])
            begin, size = begin + size, min(2 * size, _PIECE_BYTES)
        del waiting[:begin]
    if waiting:
        yield bytes(waiting)


def _read_codes(job: Job, source: BinaryIO, sink: BinaryIO, shut_in: Callable[[], None]) -> None:
    from agent.cut.codes import read_codes  # noqa: PLC0415 - OpenCV stays out of the cut

    shut_in()
    sink.write(message_frame(Kind.CODES, read_codes(job.order, _chunks(source))))


def _look(job: Job, source: BinaryIO, sink: BinaryIO, shut_in: Callable[[], None]) -> None:
    from agent.cut.measure import look  # noqa: PLC0415 - OpenCV stays out of the cut

    shut_in()
    sink.write(message_frame(Kind.LOOK, look(job.order, job.look, _chunks(source))))


def _redraw(job: Job, source: BinaryIO, sink: BinaryIO, shut_in: Callable[[], None]) -> None:
    from agent.cut.still import redraw  # noqa: PLC0415 - OpenCV stays out of the cut

    shut_in()
    kind, picture = read_frame(source)
    if kind is not Kind.PICTURE:
        raise BadInputError("a message that is not a picture")
    sink.write(frame(Kind.PICTURE, redraw(picture, job.order.masks, job.still)))


def _chunks(source: BinaryIO) -> Iterator[WireChunk]:
    while True:
        kind, body = read_frame(source)
        if kind is Kind.END:
            return
        if kind is not Kind.CHUNK:
            raise BadInputError("a message that is not a chunk")
        yield decode_chunk(body)


_WORKS: Final = {Work.CUT: _cut, Work.READ_CODES: _read_codes, Work.LOOK: _look, Work.REDRAW: _redraw}


if __name__ == "__main__":
    sys.exit(main())
