"""The programs of the demo, each a process of its own as on a real site: cameras, bridge, hub."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from agent.demo.camera import Ready
from agent.errors import UnavailableError

START_S_MAX: Final = 20.0
STOP_S_MAX: Final = 5.0


class Program:
    """A child process; its log goes to a file, and it never outlives the demo."""

    def __init__(
        self,
        module: str,
        arguments: list[str],
        log: Path,
        *,
        with_stdout: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),  # added to our own
    ) -> None:
        self.log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules with our own arguments
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if with_stdout else errors,
                stderr=errors,
                env=os.environ | environment,
                start_new_session=True,  # Ctrl-C is the demo's to hand on
            )

    @property
    def is_running(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.send_signal(signal.SIGKILL)
        self._close()

    def stop(self) -> float:
        """Ask it to end (SIGTERM) and return how many seconds it took; after 5 it is killed."""
        asked = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._close()
        return time.monotonic() - asked

    def _close(self) -> None:
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _write_line(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise RuntimeError("a program without stdin")
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def _read_line(self, within_s: float) -> bytes:
        """Read one line from stdout. Raises UnavailableError with the end of the log if none comes."""
        pipe, line, deadline = self._process.stdout, b"", time.monotonic() + within_s
        while pipe is not None and not line.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                break
            piece = os.read(pipe.fileno(), 1)
            if not piece:
                break
            line += piece
        if not line.endswith(b"\n"):
            end = self.log.read_text(errors="replace")[-500:]
            raise UnavailableError(f"{self.log.stem} did not start: {end}", cure=f"see {self.log}")
        return line


class CameraProgram(Program):
    """A virtual camera; `ready` tells where it is once `wait_ready` has returned."""

    ready: Ready

    def __init__(self, name: str, user: str, password: str, log: Path, *options: str) -> None:
        arguments = ["--name", name, "--user", user, "--password-stdin", *options]
        super().__init__("agent.demo.camera", arguments, log, with_stdout=True)
        self._write_line(password.encode())

    def wait_ready(self) -> Ready:
        """Wait until the camera says where it is."""
        self.ready = msgspec.json.decode(self._read_line(START_S_MAX), type=Ready)
        return self.ready

    def show_code(self, text: str, seconds: float) -> None:
        """Hold a code before the camera."""
        self._write_line(msgspec.json.encode({"show_qr": text, "seconds": seconds}))

    def move(self, *, is_so: bool) -> None:
        """Let something move before the camera, or no longer: its events tell."""
        self._write_line(msgspec.json.encode({"motion": is_so}))

    def move_to(self, address: str) -> None:
        """Give the camera another address (it keeps its ports)."""
        self._write_line(msgspec.json.encode({"move_to": address}))


class HubProgram(Program):
    """The real daemon, from a configuration file."""

    def __init__(self, config: Path, log: Path, environment: Mapping[str, str] = MappingProxyType({})) -> None:
        super().__init__("agent", ["run", "--config", str(config)], log, environment=environment)


class BridgeProgram(Program):
    """The firmware bridge over a folder that looks like a box's hardware."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.socket, self._button = folder / "bridge.sock", folder / "tree/run/transom-bridge/button"
        thermal = folder / "tree/sys/class/thermal/thermal_zone0"
        storage = folder / "tree/sys/block/mmcblk0/device"
        for directory in (thermal, storage, self._button.parent, folder / "state", folder / "bundles"):
            directory.mkdir(parents=True, exist_ok=True)
        (thermal / "type").write_text("cpu-thermal\n")
        (thermal / "temp").write_text("48250\n")
        (storage / "life_time").write_text("0x02 0x02\n")
        (storage / "pre_eol_info").write_text("0x01\n")
        self._button.write_text("0\n")
        places = {"--socket": self.socket, "--tree": folder / "tree", "--disk": folder}
        places |= {"--state": folder / "state", "--bundles": folder / "bundles"}
        super().__init__("firmware_bridge", [text for place in places.items() for text in map(str, place)], log)

    def press_button(self) -> None:
        """Press the hub's button, as the owner does."""
        self._button.write_text(f"{time.monotonic_ns()}\n")
