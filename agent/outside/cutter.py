"""The daemon's side of a cut: one confined child process per call, fed and read at the same time, ended on time.

Rules of this file: the child has met a camera's bytes, so nothing it says is believed beyond its limits; it gets no
environment, no file descriptor but its pipes, and it is reaped on every way out.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import agent
from agent.clock import WallTime, Window
from agent.consent.mask import Masks
from agent.cut.answer import read_report
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.look import NOTHING_KNOWN, Look, LookOrder, StillOrder
from agent.cut.messages import (
    HEAD,
    Job,
    Kind,
    Work,
    decode_codes,
    decode_failure,
    decode_look,
    frame,
    message_frame,
    parse_head,
)
from agent.errors import BadInputError, UnavailableError
from agent.outside.closed_memory import count_tasks

_Answer = TypeVar("_Answer")
CLIP_BYTES_MAX: Final = 1024 * 1024 * 1024  # of one part
CLIP_FRAMES_MAX: Final = 100_000  # its head, a frame or two for each of 40 000 pictures
STDERR_BYTES_MAX: Final = 64 * 1024  # a child that says more is ended: reading it costs the recording time
_STDERR_TAIL_BYTES: Final = 1000
_READ_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 256 * 1024  # a quarter as many turns for 30 MiB in and out as the kernel's usual 64 KiB take
_EXIT_S: Final = 5.0  # between its last word and its end
STOP_S_MAX: Final = 1.0  # a child that was killed is gone at once; its thread has a chunk to read at most
_WHY_ENDED: Final[dict[int, str]] = {
    signal.SIGXCPU: "it used up its processor time",
    signal.SIGKILL: "it was killed, by the kernel if memory ran out",
}
NEVER: Final = Window(WallTime(0), WallTime(1))
_SOURCE_ROOT: Final = str(Path(agent.__file__).resolve().parent.parent)
_ENVIRONMENT: Final = {"PYTHONPATH": _SOURCE_ROOT, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use."""

    deadline_s: float = 180.0  # from its start to its end, whatever it does
    memory_bytes: int = 1536 * 1024 * 1024
    cpu_s: int = 240


class ChildCutter:
    """`ports.Cutter` by child processes. Calls block; several at once are as many children."""

    def __init__(self, limits: ChildLimits = ChildLimits(), worker: Sequence[str] = ("agent.cut.worker",)) -> None:
        self._limits, self._worker = limits, worker
        self._children = _Children()

    def stop(self) -> None:
        """End every child now; calls that run, and later ones, raise UnavailableError. May be called twice."""
        self._children.end(STOP_S_MAX)

    def cut(self, order: CutOrder, chunks: Iterable[WireChunk], sink: Callable[[bytes], object]) -> ClipReport:
        """Make one part; its bytes go to `sink` as they come, and count only once the report is returned."""
        written = frames = 0
        with self._start() as conversation:
            for kind, body in conversation.answers(_questions(Work.CUT, order, chunks)):
                if kind is Kind.REPORT:
                    report = _decoded(partial(read_report, order=order, written_bytes=written), body)
                    conversation.end()
                    return report
                written, frames = written + len(body), frames + 1
                if kind is not Kind.CLIP or not body or written > CLIP_BYTES_MAX or frames > CLIP_FRAMES_MAX:
                    raise UnavailableError("the cutter's child says more than was ordered")
                sink(body)
        raise conversation.failure()

    def read_codes(self, order: CutOrder, chunks: Iterable[WireChunk]) -> list[str]:
        """Return the texts of the QR codes in the newest key picture."""
        with self._start() as conversation:
            for kind, body in conversation.answers(_questions(Work.READ_CODES, order, chunks)):
                if kind is not Kind.CODES:
                    raise UnavailableError("the cutter's child says more than was ordered")
                codes = _decoded(decode_codes, body)
                conversation.end()
                return codes
        raise conversation.failure()

    def look(self, order: CutOrder, asked: LookOrder, chunks: Iterable[WireChunk]) -> Look:
        """Measure the first key picture, and write it as JPEG if that is asked."""
        with self._start() as conversation:
            for kind, body in conversation.answers(_questions(Work.LOOK, order, chunks, asked)):
                if kind is not Kind.LOOK:
                    raise UnavailableError("the cutter's child says more than was ordered")
                seen = _decoded(decode_look, body)
                conversation.end()
                if seen.signs.taken not in order.window or len(seen.signs.likeness) != len(asked.scenes):
                    raise UnavailableError("the cutter's child looked at another picture")
                if len(seen.jpeg) > asked.snapshot_bytes_max:
                    raise UnavailableError("the cutter's child made a larger snapshot than was asked")
                return seen
        raise conversation.failure()

    def redraw(self, picture: bytes, masks: Masks, asked: StillOrder) -> bytes:
        """Decode a JPEG of the camera's own making, and write it anew with the masks painted over."""
        order = CutOrder(NEVER, (), masks=masks)
        questions = [message_frame(Kind.JOB, Job(Work.REDRAW, order, still=asked)), frame(Kind.PICTURE, picture)]
        with self._start() as conversation:
            for kind, body in conversation.answers(iter([*questions, frame(Kind.END)])):
                if kind is not Kind.PICTURE or not 0 < len(body) <= asked.snapshot_bytes_max:
                    raise UnavailableError("the cutter's child says more than was ordered")
                conversation.end()
                return body
        raise conversation.failure()

    def _start(self) -> _Conversation:
        limits = self._limits
        arguments = [f"--memory-bytes={limits.memory_bytes}", f"--cpu-s={limits.cpu_s}"]
        arguments += [f"--parent-tasks={count_tasks()}"]
        return _Conversation(
            [sys.executable, "-P", "-B", "-s", "-m", *self._worker, *arguments],
            limits.deadline_s,
            self._children,
        )


def _questions(
    work: Work, order: CutOrder, chunks: Iterable[WireChunk], asked: LookOrder = NOTHING_KNOWN
) -> Iterator[bytes]:
    yield message_frame(Kind.JOB, Job(work, order, asked))
    for chunk in chunks:
        yield message_frame(Kind.CHUNK, chunk)
    yield frame(Kind.END)


def _decoded(decode: Callable[[bytes], _Answer], body: bytes) -> _Answer:
    try:
        return decode(body)
    except BadInputError as error:
        raise UnavailableError(f"the cutter's child gave an answer that cannot be read: {error}") from error


class _Children:
    """The children that run now, so that a hub which stops waits for none of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_ended = False

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start one. Raises UnavailableError after `end`, or if it cannot be started."""
        with self._changed:
            if self._is_ended:
                raise UnavailableError("the hub is stopping")
            try:
                child = subprocess.Popen(  # noqa: S603 - fixed argv, no shell
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=_ENVIRONMENT,
                    cwd="/",
                    close_fds=True,
                    start_new_session=True,
                    bufsize=0,
                    pipesize=_PIPE_BYTES,
                )
            except OSError as error:
                raise UnavailableError(f"the cutter cannot be started: {error.strerror}") from error
            self._running.add(child)
            return child

    def forget(self, child: subprocess.Popen[bytes]) -> None:
        """Note that one has been reaped."""
        with self._changed:
            self._running.discard(child)
            self._changed.notify_all()

    def end(self, within_s: float) -> None:
        """Kill all, start no more, and wait until their threads have let go of them."""
        with self._changed:
            self._is_ended = True
            for child in self._running:
                child.kill()
            self._changed.wait_for(lambda: not self._running, within_s)


@dataclass(slots=True)
class _Conversation:
    """One child and its three pipes; as a context manager it leaves no process behind."""

    command: list[str]
    deadline_s: float
    children: _Children
    child: subprocess.Popen[bytes] = field(init=False)
    ends_at: float = field(init=False)
    tail: bytearray = field(init=False, default_factory=bytearray)
    complaint_bytes: int = field(init=False, default=0)
    failed: BadInputError | UnavailableError | None = field(init=False, default=None)

    def __enter__(self) -> Self:
        self.ends_at = time.monotonic() + self.deadline_s
        self.child = self.children.start(self.command)
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout, self.child.stderr):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.children.forget(self.child)

    def answers(self, questions: Iterator[bytes]) -> Iterator[tuple[Kind, bytes]]:
        """Send the questions and yield the child's frames as they come, until it closes its output or fails."""
        stdin, stdout, stderr = self._pipes()
        received, waiting = bytearray(), memoryview(b"")
        with selectors.DefaultSelector() as selector:
            for pipe in (stdin, stdout, stderr):
                os.set_blocking(pipe, False)
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while stdout in selector.get_map() or stderr in selector.get_map():
                for key, _ in selector.select(self._left_s()):
                    if key.fd == stdin:
                        sent = _send(stdin, waiting, questions)
                        if sent is None:
                            selector.unregister(stdin)
                            self._close_stdin()
                        else:
                            waiting = sent
                    elif not (piece := _read(key.fd)):
                        selector.unregister(key.fd)
                    elif key.fd == stderr:
                        self._hear_complaint(piece)
                    else:
                        received += piece
                for kind, body in _take_frames(received):
                    if kind is Kind.FAILED:
                        failure = _decoded(decode_failure, body)
                        self.failed = (BadInputError if failure.is_input else UnavailableError)(failure.what)
                        return
                    yield kind, body
        with suppress(subprocess.TimeoutExpired):
            self.child.wait(min(_EXIT_S, self._left_s()))

    def end(self) -> None:
        """Wait until the child has ended by itself, well. Raises UnavailableError otherwise."""
        try:
            status = self.child.wait(min(_EXIT_S, self._left_s()))
        except subprocess.TimeoutExpired as error:
            raise UnavailableError("the cutter's child does not end") from error
        if status != 0:
            raise UnavailableError(f"the cutter's child ended with status {status}")

    def failure(self) -> BadInputError | UnavailableError:
        """Say why there was no answer, once the child is reaped."""
        if self.failed:
            return self.failed
        said = self.tail.decode("utf-8", "replace").strip().splitlines()
        last = ": " + "".join(letter for letter in said[-1] if letter.isprintable()) if said else ""
        status = self.child.returncode
        why = f" ({_WHY_ENDED.get(-status, 'it crashed')})" if status < 0 else ""
        return UnavailableError(f"the cutter's child ended with status {status}{why}{last}")

    def _hear_complaint(self, piece: bytes) -> None:
        self.complaint_bytes += len(piece)
        if self.complaint_bytes > STDERR_BYTES_MAX:
            raise UnavailableError(f"the cutter's child complains in more than {STDERR_BYTES_MAX} bytes")
        self.tail = (self.tail + piece)[-_STDERR_TAIL_BYTES:]

    def _left_s(self) -> float:
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise UnavailableError(
                f"a cut took longer than {self.deadline_s:g} s", cure="ask for fewer cameras or shorter parts at once"
            )
        return left

    def _pipes(self) -> tuple[int, int, int]:
        pipes = (self.child.stdin, self.child.stdout, self.child.stderr)
        numbers = [pipe.fileno() for pipe in pipes if pipe]
        return numbers[0], numbers[1], numbers[2]

    def _close_stdin(self) -> None:
        if self.child.stdin:
            with suppress(BrokenPipeError):
                self.child.stdin.close()


def _send(pipe: int, waiting: memoryview, questions: Iterator[bytes]) -> memoryview | None:
    """Write what the pipe takes; None when all is said or nobody listens any more."""
    if not waiting:
        following = next(questions, None)
        if following is None:
            return None
        waiting = memoryview(following)
    try:
        return waiting[os.write(pipe, waiting) :]
    except BlockingIOError:
        return waiting
    except BrokenPipeError:
        return None


def _read(pipe: int) -> bytes:
    return os.read(pipe, _READ_BYTES)


def _take_frames(received: bytearray) -> Iterator[tuple[Kind, bytes]]:
    while len(received) >= HEAD.size:
        try:
            kind, length = parse_head(bytes(received[: HEAD.size]))
        except BadInputError as error:
            raise UnavailableError("the cutter's child does not keep to its messages") from error
        if len(received) < HEAD.size + length:
            return
        body = bytes(received[HEAD.size : HEAD.size + length])
        del received[: HEAD.size + length]
        yield kind, body
