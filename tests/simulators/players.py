"""Players that people have: each gives a clip's pictures as it would show them, one after the other, in gray."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from agent.demo import block_code

PLAY_S: Final = 60
_NOBODY: Final = 65_534
Player = Callable[[Path, Path], list[str]]
"""Clip and file for the raw pictures to the command that plays one into the other."""


def _ffmpeg(clip: Path, raw: Path) -> list[str]:
    shown = ["-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", str(raw)]
    return [tool("ffmpeg", "ffmpeg"), "-v", "error", "-y", "-i", str(clip), *shown]


def _mpv(clip: Path, raw: Path) -> list[str]:
    shown = ["--of=rawvideo", "--ovc=rawvideo", "--vf=format=gray", f"--o={raw}"]
    return [tool("mpv", "mpv"), "--no-config", "--no-audio", "--really-quiet", "--no-terminal", *shown, str(clip)]


def _vlc(clip: Path, raw: Path) -> list[str]:
    # Its transcoder drops pictures that come faster than it believes the file to be; it never makes more than come.
    out = f"#transcode{{vcodec=GREY,fps=120}}:std{{access=file,mux=raw,dst={raw}}}"
    command = [tool("vlc", "vlc-bin vlc-plugin-base"), "-I", "dummy", "--no-audio", "--play-and-exit", "-q", str(clip)]
    return [*_as_nobody(), *command, f"--sout={out}"]


def _gstreamer(clip: Path, raw: Path) -> list[str]:
    source = [tool("gst-launch-1.0", "gstreamer1.0-tools"), "-q", "filesrc", f"location={clip}", "!", "qtdemux"]
    shown = ["!", "decodebin", "!", "videoconvert", "!", "video/x-raw,format=GRAY8", "!", "filesink"]
    return [*source, *shown, f"location={raw}"]


PLAYERS: Final[dict[str, Player]] = {"ffmpeg": _ffmpeg, "mpv": _mpv, "VLC": _vlc, "GStreamer": _gstreamer}


def tool(name: str, package: str) -> str:
    """Find a program."""
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install {package}"
    return found


def _as_nobody() -> list[str]:
    """VLC refuses to run as root."""
    if os.geteuid():
        return []
    return [tool("setpriv", "util-linux"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def shown_ticks(player: str, clip: bytes, width: int, height: int) -> list[int | None]:
    """Play a clip; return the ticks drawn in the pictures that the player gives, in its order (None: unreadable)."""
    with tempfile.TemporaryDirectory() as folder:  # which a player that refuses to be root can reach
        Path(folder).chmod(0o777)
        return _shown_in(player, clip, Path(folder), width, height)


def _shown_in(player: str, clip: bytes, folder: Path, width: int, height: int) -> list[int | None]:
    video, raw = folder / "clip.mp4", folder / "pictures.gray"
    video.write_bytes(clip)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    command = PLAYERS[player](video, raw)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, timeout=PLAY_S, check=False)
    assert raw.exists(), done.stderr.decode(errors="replace")[-500:]
    pictures = np.frombuffer(raw.read_bytes(), np.uint8)
    assert len(pictures) % (width * height) == 0
    return [block_code.read(picture) for picture in pictures.reshape(-1, height, width)]
