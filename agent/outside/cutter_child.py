"""One confined child process of the cutter: started, asked and heard at the same time, ended on time, and reaped.

Rules of this file: the child has met a camera's bytes, so nothing it says is believed beyond its limits; it gets no
environment, no file descriptor but its pipes, and it is killed as soon as nothing more is wanted of it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import agent
from agent.cut.messages import HEAD, Kind, decode_failure, parse_head
from agent.errors import BadInputError, UnavailableError
from agent.outside.closed_memory import count_tasks

STDERR_BYTES_MAX: Final = 64 * 1024  # a child that says more is ended: reading it costs the recording time
_STDERR_TAIL_BYTES: Final = 1000
_READ_BYTES: Final = 256 * 1024
_PIPE_BYTES: Final = 256 * 1024  # a quarter as many turns for 30 MiB in and out as the kernel's usual 64 KiB take
_EXIT_S: Final = 5.0  # between the end of its output and its own
_WHY_ENDED: Final[dict[int, str]] = {
    signal.SIGXCPU: "it used up its processor time",
    signal.SIGKILL: "it was killed, by the kernel if memory ran out",
}
_SOURCE_ROOT: Final = str(Path(agent.__file__).resolve().parent.parent)
_ENVIRONMENT: Final = {"PYTHONPATH": _SOURCE_ROOT, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What one child may use."""

    deadline_s: float = 180.0  # for one answer, whatever it does; for the first, from its start
    memory_bytes: int = 1536 * 1024 * 1024
    cpu_s: int = 240


class Children:
    """The children that run now, so that a hub which stops waits for none of them."""

    def __init__(self, limits: ChildLimits, worker: Sequence[str]) -> None:
        self.limits, self._worker = limits, worker
        self._changed = threading.Condition()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_ended = False

    def start(self) -> Child:
        """Start one. Raises UnavailableError after `end`, or if it cannot be started."""
        return Child(self, self.limits.deadline_s)

    def popen(self) -> subprocess.Popen[bytes]:
        """Start the process of one. Raises UnavailableError as `start` does."""
        arguments = [f"--memory-bytes={self.limits.memory_bytes}", f"--cpu-s={self.limits.cpu_s}"]
        arguments += [f"--parent-tasks={count_tasks()}"]
        with self._changed:
            if self._is_ended:
                raise UnavailableError("the hub is stopping")
            try:
                process = subprocess.Popen(  # noqa: S603 - fixed argv, no shell
                    [sys.executable, "-P", "-B", "-s", "-m", *self._worker, *arguments],
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
            self._running.add(process)
            return process

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """Note that one has been reaped."""
        with self._changed:
            self._running.discard(process)
            self._changed.notify_all()

    def end(self, within_s: float) -> None:
        """Kill all, start no more, and wait until their threads have let go of them."""
        with self._changed:
            self._is_ended = True
            for process in self._running:
                process.kill()
            self._changed.wait_for(lambda: not self._running, within_s)


class Child:
    """One child and its three pipes; `end` leaves no process behind. For one thread at a time."""

    def __init__(self, children: Children, deadline_s: float) -> None:
        self._children, self._deadline_s = children, deadline_s
        self._ends_at = time.monotonic() + deadline_s
        self._process = children.popen()
        self._stdin, self._stdout, self._stderr = self._pipes()
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe, False)
        self._received = bytearray()
        self._tail = bytearray()
        self._complaint_bytes = 0
        self._failed: BadInputError | UnavailableError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def is_well(self) -> bool:
        """Whether it lives, and was heard to say nothing beyond the answers that were taken."""
        return not self._received and self._process.poll() is None

    def ask(self, questions: Iterator[bytes]) -> Iterator[tuple[Kind, bytes]]:
        """Send the questions and yield the child's frames as they come, until it closes its output or fails.

        Raises UnavailableError at the deadline. Ask again only after the whole answer has been taken.
        """
        self._ends_at = time.monotonic() + self._deadline_s
        waiting = memoryview(b"")
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            selector.register(self._stdout, selectors.EVENT_READ)
            selector.register(self._stderr, selectors.EVENT_READ)
            while self._stdout in selector.get_map() or self._stderr in selector.get_map():
                for key, _ in selector.select(self._left_s()):
                    if key.fd == self._stdin:
                        sent = _send(self._stdin, waiting, questions)
                        if sent is None:
                            selector.unregister(self._stdin)
                        else:
                            waiting = sent
                    elif not (piece := os.read(key.fd, _READ_BYTES)):
                        selector.unregister(key.fd)
                    elif key.fd == self._stderr:
                        self._hear_complaint(piece)
                    else:
                        self._received += piece
                for kind, body in _take_frames(self._received):
                    if kind is Kind.FAILED:
                        self._failed = _told(body)
                        return
                    yield kind, body
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(min(_EXIT_S, self._left_s()))

    def failure(self) -> BadInputError | UnavailableError:
        """Say why there was no answer, once `end` has reaped it."""
        if self._failed:
            return self._failed
        said = self._tail.decode("utf-8", "replace").strip().splitlines()
        last = ": " + "".join(letter for letter in said[-1] if letter.isprintable()) if said else ""
        status = self._process.returncode
        why = f" ({_WHY_ENDED.get(-status, 'it crashed')})" if status < 0 else ""
        return UnavailableError(f"the cutter's child ended with status {status}{why}{last}")

    def end(self) -> None:
        """Kill and reap it, if it has not ended by itself. May be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self._children.forget(self._process)

    def _hear_complaint(self, piece: bytes) -> None:
        self._complaint_bytes += len(piece)
        if self._complaint_bytes > STDERR_BYTES_MAX:
            raise UnavailableError(f"the cutter's child complains in more than {STDERR_BYTES_MAX} bytes")
        self._tail = (self._tail + piece)[-_STDERR_TAIL_BYTES:]

    def _left_s(self) -> float:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise UnavailableError(
                f"a cut took longer than {self._deadline_s:g} s", cure="ask for fewer cameras or shorter parts at once"
            )
        return left

    def _pipes(self) -> tuple[int, int, int]:
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        numbers = [pipe.fileno() for pipe in pipes if pipe]
        return numbers[0], numbers[1], numbers[2]


def _told(body: bytes) -> BadInputError | UnavailableError:
    try:
        failure = decode_failure(body)
    except BadInputError as error:
        return UnavailableError(f"the cutter's child gave an answer that cannot be read: {error}")
    return (BadInputError if failure.is_input else UnavailableError)(failure.what)


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
