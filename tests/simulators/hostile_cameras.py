"""Cameras with the worst manners there are, on real sockets, in a process of their own.

    python -m tests.simulators.hostile_cameras NAME [NAME ...]

Prints the port of each as a line of JSON, and at the end of its standard input, for each, how many pictures and bytes
it has sent and how many connections it was given.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.simulators.rtsp_camera import CameraScript, RtspCamera, picture_frames, rtp_frame
from tests.simulators.timed_camera import TimedCamera

ROOT: Final = Path(__file__).parents[2]
_FLOOD_PICTURES: Final = 100  # at once: most of a megabyte


class Healthy(TimedCamera):
    """As cameras should be."""

    @property
    def pictures(self) -> int:
        """How many it has sent."""
        return len(self.sent_at)


class _Hostile(RtspCamera):
    """Answers well, then does something with its media."""

    pictures = 0

    def __init__(self) -> None:
        super().__init__(CameraScript())
        self.chance = random.Random(1)  # noqa: S311 - the same rubbish every time, no secret

    def picture(self) -> bytes:
        """Make the next picture."""
        self.pictures += 1
        return b"".join(picture_frames(self.pictures - 1, 0, is_key=self.pictures % 25 == 1))


class Stalling(_Hostile):
    """Sends a second of video, then half a frame, and neither sends nor reads any more."""

    def _media(self) -> Iterator[bytes]:
        for _ in range(25):
            yield self.picture()
        yield rtp_frame(0, 1, 1, b"\x41" * 1000, marker=False)[:500]
        self.stopped.wait()


class Flooding(_Hostile):
    """Sends as fast as the network takes it."""

    def _media(self) -> Iterator[bytes]:
        while True:
            yield b"".join(self.picture() for _ in range(_FLOOD_PICTURES))


class Dripping(_Hostile):
    """Sends one byte of video a second."""

    def _media(self) -> Iterator[bytes]:
        for octet in self.picture():
            yield bytes([octet])
            self.stopped.wait(1)


class Babbling(_Hostile):
    """Sends rubbish instead of video."""

    def _media(self) -> Iterator[bytes]:
        while not self.stopped.wait(0.01):
            yield self.chance.randbytes(4000)


class Lying(_Hostile):
    """Sends frames whose lengths are those of others."""

    def _media(self) -> Iterator[bytes]:
        while not self.stopped.wait(0.01):
            frames = [bytearray(frame) for frame in picture_frames(self.pictures, 0, is_key=True)]
            self.pictures += 1
            for frame in frames:
                frame[2:4] = self.chance.choice((0, 3, 11, 900, 0xFFFF)).to_bytes(2, "big")
            yield b"".join(frames)


class Reopening(_Hostile):
    """Takes every connection and closes it, now at once, now after its answers, now in the middle of a picture."""

    def serve(self, client: socket.socket) -> None:
        """Hold a session, or none."""
        if self.sessions % 3 == 1:
            client.close()
        else:
            super().serve(client)

    def _media(self) -> Iterator[bytes]:
        if self.sessions % 3 == 2:
            yield self.picture()[:-100]


class Slow(RtspCamera):
    """Answers byte by byte, five a second."""

    pictures = 0

    def __init__(self) -> None:
        super().__init__(CameraScript())

    def _send(self, client: socket.socket, octets: bytes) -> None:
        for at in range(len(octets)):
            client.settimeout(5)
            client.sendall(octets[at : at + 1])
            if self.stopped.wait(0.2):
                return
        client.settimeout(0.005)


KINDS: Final[dict[str, type[_Hostile | Slow]]] = {
    kind.__name__.lower(): kind for kind in (Stalling, Flooding, Dripping, Babbling, Lying, Reopening, Slow)
}


class CameraProcess:
    """The test's end: `ports` by name, and after `end` what each camera says it did."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def __enter__(self) -> Self:
        argv = [sys.executable, "-m", "tests.simulators.hostile_cameras", *self._names]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout
        self.ports: dict[str, int] = json.loads(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError):  # it was ended
            self._process.kill()
            self._process.communicate()

    def end(self) -> dict[str, dict[str, int]]:
        """Let them all stop and say what they did."""
        said, _ = self._process.communicate(timeout=20)
        told: dict[str, dict[str, int]] = json.loads(said)
        return told


def _camera(name: str) -> Healthy | _Hostile | Slow:
    return Healthy(int(name)) if name.isdigit() else KINDS[name]()


def main() -> None:
    """Be these cameras until nobody is there."""
    with ExitStack() as stack:
        cameras = {name: _camera(name) for name in sys.argv[1:]}
        for camera in cameras.values():
            stack.enter_context(camera)
        print(json.dumps({name: camera.port for name, camera in cameras.items()}), flush=True)  # noqa: T201 - its answer
        sys.stdin.read()
        told = {name: {"pictures": camera.pictures, "sessions": camera.sessions} for name, camera in cameras.items()}
    print(json.dumps(told), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
