"""Cameras that nobody of us wrote, as processes: GStreamer's RTSP server, and ipycam with a film of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import segno

ROOT = Path(__file__).parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"  # has python3-gi, which is in no wheel for this interpreter
GST_PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
)
FPS = 15
IPYCAM_NAME = "Loading bay"


def tool(name: str, package: str) -> str:
    """Find a system program."""
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install {package}"
    return found


@contextmanager
def gst_camera(
    user: str, password: str, log: Path, *, enter: Sequence[str] = (), at: str = "127.0.0.1:0/live"
) -> Iterator[tuple[str, list[int]]]:
    """Run GStreamer's RTSP server; yields its address and the growing list of its pictures' capture ticks.

    `enter` is a command that runs another one on the camera's host, `at` its host, port (0: any) and path.
    """
    host, _, path = at.partition("/")
    ticks: list[int] = []
    command = [
        *enter,
        SYSTEM_PYTHON,
        str(ROOT / "tests/simulators/gst_camera.py"),
        "--user",
        user,
        "--fps",
        str(FPS),
        "--at",
        at,
    ]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    with process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(password.encode() + b"\n")
            process.stdin.flush()
            words = process.stdout.readline().split()
            assert words[:1] == [b"ready"], f"install {GST_PACKAGES}: {log.read_text()[-400:]}"
            listener = threading.Thread(target=lambda out: ticks.extend(map(int, out)), args=(process.stdout,))
            listener.start()
            yield f"rtsp://{host.partition(':')[0]}:{int(words[1])}/{path}", ticks
            process.stdin.close()
            listener.join(10)
        finally:
            process.kill()


@contextmanager
def ipycam(
    folder: Path,
    password: str,
    *,
    code: str = "",
    name: str = IPYCAM_NAME,
    address: str = "127.0.0.1",
    enter: Sequence[str] = (),
) -> Iterator[None]:
    """Run ipycam as its own command line does, for user "hub"; its ports and its multicast are those it chose itself.

    It films a test pattern, or a QR code with the text `code`. Only for a private network: it greets all it can reach.
    `enter` is a command that runs another one on the camera's host.
    """
    film = folder / "film.mp4"
    scene = ["-f", "lavfi", "-i", "testsrc2=s=640x360"]
    if code:
        segno.make(code).save(str(folder / "code.png"), scale=5, border=4)
        scene = ["-loop", "1", "-i", str(folder / "code.png"), "-vf", "pad=640:360:-1:-1:white,format=yuv420p"]
    make = [tool("ffmpeg", "ffmpeg"), "-v", "error", *scene, "-t", "4", "-r", str(FPS)]
    subprocess.run([*make, "-c:v", "libx264", "-preset", "ultrafast", film], check=True, timeout=30)
    config = {
        "name": name,
        "serial_number": f"SN-{name}",
        "local_ip": address,
        "username": "hub",
        "password": password,
        "main_width": 640,
        "main_height": 360,
        "main_fps": FPS,
        "main_bitrate": "1M",
        "sub_width": 320,
        "sub_height": 180,
        "sub_fps": FPS,
        "hw_accel": "cpu",
        "show_timestamp": False,
    }
    (folder / "camera.json").write_text(json.dumps(config))
    with (folder / "ipycam.log").open("wb") as log:
        command = [*enter, sys.executable, "-m", "ipycam", "--config", str(folder / "camera.json")]
        command += ["--source", str(film)]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
