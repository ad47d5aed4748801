"""A process of its own that records into a ring and does what a test tells it, to be killed, starved or cut off.

Each line on its standard input is a JSON list, a word and its arguments; each is answered by one line of JSON.
"""

from __future__ import annotations

import ctypes
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from agent.buffer.ring import RingSettings
from agent.errors import UnavailableError
from agent.outside.slab_files import SlabLog
from tests.simulators.ring_content import CAMERA, StillClock
from tests.simulators.ring_log import EVERYTHING, KEK, MIB, SETTINGS, append, payload

ROOT: Final = Path(__file__).parents[2]
_PR_SET_PTRACER: Final = 0x59616D61
_SETTLE_S: Final = 40.0
_RETRY_S: Final = 0.1


class Child:
    """The test's end: the process, and its answers. `prefix` is a program that starts it, such as unshare."""

    def __init__(self, directory: Path, *, prefix: Sequence[str] = (), known: Path | None = None) -> None:
        self._argv = [*prefix, sys.executable, "-m", "tests.simulators.ring_child", str(directory), str(known or "")]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            self._argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = int(self._answer())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, word: str, *arguments: object) -> Any:  # noqa: ANN401 - any JSON value
        """Let it do something and return its answer."""
        assert self.process.stdin
        print(json.dumps([word, *arguments]), file=self.process.stdin, flush=True)
        answer = self._answer()
        if isinstance(answer, dict) and "failed" in answer:
            pytest.fail(answer["failed"])
        return answer

    def tell(self, word: str, *arguments: object) -> None:
        """Let it do something."""
        self.ask(word, *arguments)

    def record(self, sequences: range, *, run: int = 1, size: int = 20_000, commit_every: int = 3) -> None:
        """Append chunks, and commit after every few."""
        self.tell("record", run, sequences.start, sequences.stop, size, commit_every)

    def stats(self) -> dict[str, Any]:
        """Return the ring's figures."""
        answer: dict[str, Any] = self.ask("stats")
        return answer

    def wait_for(self, what: str, within_s: float = _SETTLE_S, *, saying: str = "") -> dict[str, Any]:
        """Wait until its ring tells of an `error`, of any or one `saying` this, or is `settled`: all is written."""
        due = time.monotonic() + within_s
        while time.monotonic() < due:
            is_written = self.ask("settle") if what == "settled" else False
            stats = self.stats()
            if is_written if what == "settled" else stats["last_error"] and saying in stats["last_error"]:
                return stats
        pytest.fail(f"no {what} {saying}: {self.stats()}")

    def record_until_killed(self, run: int, commits: int) -> int:
        """Kill it after so many commits; return the newest sequence number that it ever said was committed."""
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(["for ever", run]), file=self.process.stdin, flush=True)
        for _ in range(commits):
            newest = int(self.process.stdout.readline())
        self.process.kill()
        rest = [int(line) for line in self.process.stdout.read().splitlines()]
        return max([newest, *rest])

    def _answer(self) -> Any:  # noqa: ANN401 - any JSON value
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            pytest.fail("the process that records has ended")
        return json.loads(line)


class _Recording:
    """The process's end: one method for each word."""

    def __init__(self, directory: Path, known: Path | None) -> None:
        self.directory, self.known = directory, known
        self.settings = SETTINGS
        self.log: SlabLog | None = None

    @property
    def ring(self) -> SlabLog:
        """The ring, opened when it is first used."""
        if self.log is None:
            self.log = SlabLog(self.directory, KEK, self.settings, StillClock(), self.known, retry_s=_RETRY_S)
        return self.log

    def set(self, changes: dict[str, int]) -> None:
        """Take other settings, before the ring is opened."""
        self.settings = RingSettings(**{**asdict(SETTINGS), **changes})

    def record(self, run: int, start: int, stop: int, size: int, commit_every: int) -> None:
        """Append, and commit now and then; wait for the disk only while it works."""
        for first in range(start, stop, commit_every):
            append(self.ring, range(first, min(stop, first + commit_every)), run=run, size=size)
            self.ring.commit()
            while self.ring.stats().waiting_bytes > 8 * MIB and not self.ring.stats().last_error:
                time.sleep(0.001)

    def settle(self) -> bool:
        """Commit and wait a little; say whether everything is on the disk."""
        return self.ring.wait_until_written(0.2) and not self.ring.stats().last_error

    def stats(self) -> dict[str, Any]:
        """Return the figures that are numbers or words."""
        return {key: value for key, value in asdict(self.ring.stats()).items() if isinstance(value, int | str)}

    def sequences(self) -> list[int | str]:
        """Return the sequence numbers of all chunks, in their place what is wrong with those that cannot be read."""
        found: list[int | str] = []
        for chunk in self.ring.footage(CAMERA, EVERYTHING).chunks:
            try:
                read = self.ring.read(chunk)
            except UnavailableError as error:
                found.append(str(error))
            else:
                is_right = read == payload(chunk.meta.sequence, len(read))
                found.append(chunk.meta.sequence if is_right else "wrong")
        return found

    def numbers(self) -> list[int]:
        """Return the sequence numbers of all chunks, without reading one."""
        return [chunk.meta.sequence for chunk in self.ring.footage(CAMERA, EVERYTHING).chunks]

    def memory_bytes(self) -> int:
        """Return how much shared memory is mapped: batches are."""
        fields = dict(line.split(":") for line in Path("/proc/self/status").read_text("ascii").splitlines())
        return int(fields["RssShmem"].split()[0]) * 1024

    def run(self, *argv: str) -> None:
        """Run a program."""
        subprocess.run(argv, check=True, capture_output=True, text=True)

    def limit(self, size: int) -> None:
        """Limit how large files may become; -1 frees them again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def close(self) -> None:
        """Close the ring; it is opened again when it is used."""
        self.ring.close()
        self.log = None

    def for_ever(self, run: int) -> None:
        """Record until killed and say how far the index is."""
        sequence = 1
        while True:
            append(self.ring, range(sequence, sequence + 3), run=run)
            sequence += 3
            self.ring.commit()
            chunks = self.ring.footage(CAMERA, EVERYTHING).chunks
            newest = max((chunk.meta.sequence for chunk in chunks if chunk.meta.run == run), default=0)
            print(newest, flush=True)  # noqa: T201 - its answer
            time.sleep(0.002)


def main() -> None:
    """Do what is asked until there is nobody to ask."""
    # Where a process may be traced by its parents only, this one may be by anybody: strace breaks its disk.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
    recording = _Recording(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None)
    print(_own_pid(), flush=True)  # noqa: T201 - its answer
    for line in sys.stdin:
        word, *arguments = json.loads(line)
        act: Callable[..., object] = getattr(recording, word.replace(" ", "_"))
        try:
            answer = act(*arguments)
        except Exception as error:  # noqa: BLE001 - the test shall see it, whatever it is
            answer = {"failed": f"{type(error).__name__}: {error} {getattr(error, 'stderr', '') or ''}"}
        print(json.dumps(answer), flush=True)  # noqa: T201 - its answer


def _own_pid() -> int:
    return int(Path("/proc/self").readlink().name)


if __name__ == "__main__":
    main()
