"""How long a hub takes from its first search to the first key picture of every camera, and what that costs it.

The virtual cameras run in a process of their own; the hub's side (search, ONVIF, recorder, ring) in another, whose
processor time is counted from the moment before the search, with its imports told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from agent.acquire.camera import Login
from agent.buffer.chunk import ChunkKind
from agent.buffer.ring import RingSettings
from agent.clock import WallTime, Window
from agent.config import CameraLogin, Cameras, Config
from agent.crypto import Secret
from agent.demo.h264_rtp import EncoderSettings
from agent.errors import UnavailableError
from agent.outside.database import Database
from agent.outside.host import HostClock
from agent.outside.login_folder import LoginFolder
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings

SUMMARY: Final = "from the first search to the first key picture of every camera"
COLD_S_MAX: Final = 10.0
COLD_CPU_S_MAX: Final = 1.5
CONFIRM_S: Final = 3.0
WAIT_S_MAX: Final = 60.0
FPS: Final = 10
GOP: Final = 20  # a key picture every 2 s, as most cameras have it
PASSWORD: Final = b"correct horse"
EVER: Final = Window(WallTime(0), WallTime(2**62))


class ColdStart(msgspec.Struct, frozen=True):
    """One start; CPU is user and system time of the hub's side."""

    cameras: int
    seconds: float  # from the search to the last camera's first stored key picture
    cpu_s: float
    import_cpu_s: float
    memory_bytes: int  # at its highest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--cameras", type=int, default=16, choices=range(1, 65), metavar="N", help="1 to 64")
    parser.add_argument("--rounds", type=int, default=3)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print. Raises UnavailableError if a camera was not recorded."""
    starts = [measure_cold_start(arguments.cameras) for _ in range(arguments.rounds)]
    for start in starts:
        console.print(
            f"{start.cameras} cameras: {start.seconds:.1f} s (must be < {COLD_S_MAX:.0f}),"
            f" CPU {start.cpu_s:.2f} s (must be < {COLD_CPU_S_MAX}) and {start.import_cpu_s:.2f} s of imports,"
            f" memory {start.memory_bytes >> 20} MiB at its highest"
        )


def measure_cold_start(cameras: int) -> ColdStart:
    """Start cameras and a hub. Raises UnavailableError if a camera was not recorded."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench.cold"]
        with subprocess.Popen(
            [*command, "cameras", str(cameras)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as filming:
            assert filming.stdin
            assert filming.stdout
            try:
                filming.stdout.readline()
                done = subprocess.run(
                    [*command, "hub", str(cameras), folder], stdout=subprocess.PIPE, check=False, timeout=120
                )
            finally:
                filming.stdin.close()
        if done.returncode:
            raise UnavailableError(f"not all of {cameras} cameras were recorded", cure="see what the hub has said")
        return msgspec.json.decode(done.stdout, type=ColdStart)


def _film(cameras: int) -> None:
    from agent.demo.camera import CameraSettings, running_camera  # noqa: PLC0415 - OpenCV and libav stay out of the hub

    login, encoder = Login("hub", Secret(PASSWORD)), EncoderSettings(width=160, height=120, fps=FPS, gop=GOP)
    with ExitStack() as stack:
        for number in range(cameras):
            stack.enter_context(
                running_camera(
                    CameraSettings(
                        login=login, name=f"Camera {number}", address=f"127.0.79.{number + 1}", encoder=encoder
                    )
                )
            )
        print("ready", flush=True)  # noqa: T201 - for the bench
        sys.stdin.read()


def _record(cameras: int, folder: Path) -> ColdStart:
    from agent.wiring.cameras import build_camera_watch  # noqa: PLC0415 - its cost is counted as imports

    secret = folder / "password"
    secret.write_bytes(PASSWORD)
    found = Cameras(login=CameraLogin("hub", secret), interfaces=("lo",))
    config, clock = Config(folder, folder, folder, cameras=found), HostClock(unsafe_assume_synchronised=True)
    ring_settings = RingSettings(slab_bytes=8 * 1024**2, bytes_max=256 * 1024**2)
    import_cpu_s, began = time.process_time(), time.monotonic()
    stop, logins = (
        threading.Event(),
        LoginFolder(folder / "logins", Secret(bytes(32)), found.login.read() if found.login else None),
    )
    with (
        closing(Database(folder / "journal.db", "status")) as journal,
        closing(SlabLog(folder / "ring", Secret(bytes(32)), ring_settings, clock)) as ring,
    ):
        recorder = Recorder(ring, clock, RtspDialer(), RecorderSettings(confirm_s=CONFIRM_S))
        thread = threading.Thread(target=recorder.run)
        thread.start()
        watch = build_camera_watch(config, clock, recorder, journal, logins, stop)

        def has_all() -> bool:
            names = tuple(watch.streams)
            return len(names) >= cameras and all(
                any(chunk.meta.kind is ChunkKind.MEDIA for chunk in ring.footage(name, EVER).chunks) for name in names
            )

        async def run() -> None:
            task = asyncio.create_task(watch.run(lambda: None))
            while not has_all() and time.monotonic() - began < WAIT_S_MAX:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.1)
            task.cancel()

        asyncio.run(run())
        seconds, cpu_s = time.monotonic() - began, time.process_time() - import_cpu_s
        stop.set()
        recorder.stop()
        thread.join()
        if not has_all():
            raise SystemExit(1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return ColdStart(cameras, round(seconds, 2), round(cpu_s, 2), round(import_cpu_s, 2), peak)


def main() -> None:
    """Be the cameras, or the hub."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=("cameras", "hub"))
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path, nargs="?")
    said = parser.parse_args()
    if said.role == "cameras":
        _film(said.count)
    else:
        print(json.dumps(msgspec.to_builtins(_record(said.count, said.folder))))  # noqa: T201 - for the bench


if __name__ == "__main__":
    main()
