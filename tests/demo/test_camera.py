"""The camera as a program: it says where it is, takes orders, ends cleanly, and owes no picture."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import pytest
import zxingcpp

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo import block_code
from agent.demo.camera import CameraSettings, VirtualCamera, running_camera
from agent.demo.h264_rtp import AccessUnit, EncoderSettings
from agent.errors import ConfigurationError, UnavailableError
from tests.simulators.eventually import until

LOGIN = Login("hub", Secret("pw"))


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command line with a password on stdin."""
    command = [sys.executable, "-m", "agent.demo.camera", "--user", "hub", "--password-stdin", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, bufsize=1) as process:
        try:
            assert process.stdin
            process.stdin.write("pw with blanks\n")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["quit", "end of stdin", "SIGTERM"])
def test_the_program_says_ready_and_ends_cleanly(how: str) -> None:
    """One JSON line with addresses and cadence, exit code 0 however it is asked to stop, nothing on stderr."""
    with program("--name", "Yard", "--fps", "10", "--width", "320", "--height", "180", "--clock-offset-ms", "5") as run:
        assert run.stdin
        assert run.stdout
        assert run.stderr
        ready = json.loads(run.stdout.readline())
        assert {ready["event"], ready["name"], ready["period_ticks"], ready["clock_offset_ms"]} == {
            "ready",
            "Yard",
            9000,
            5,
        }
        assert ready["onvif"].endswith("/onvif/device_service")
        assert ready["rtsp"].startswith("rtsp://127.0.0.1:")
        match how:
            case "quit":
                run.stdin.write('nonsense\n{"show_qr": ""}\n{"show_qr": "HELLO", "seconds": 1}\n{"quit": true}\n')
            case "end of stdin":
                run.stdin.close()
            case name:
                run.send_signal(signal.Signals[name])
        said = [json.loads(line)["event"] for line in run.stdout]
        assert said == (["error", "error"] if how == "quit" else [])
        assert run.wait(10) == 0
        assert run.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(("--width", "333"), "picture size"), (("--fps", "7"), "exact period")],
)
def test_settings_that_cannot_work_end_with_code_2(arguments: tuple[str, ...], why: str) -> None:
    """A mistake in the settings is named, with what to do, and the exit code is 2."""
    with program(*arguments) as run:
        assert run.wait(10) == 2
        assert run.stderr
        error = run.stderr.read()
        assert why in error
        assert "Traceback" not in error


def test_a_taken_port_is_said_plainly() -> None:
    """Two cameras cannot have the same port."""
    with running_camera(CameraSettings(login=LOGIN, interface="")) as (_, ready):
        port = int(ready.onvif.split(":")[2].split("/")[0])
        same = CameraSettings(login=LOGIN, interface="", http_port=port)
        with pytest.raises(UnavailableError, match="cannot listen"), running_camera(same):
            pass


def test_unknown_algorithms_and_odd_sizes_are_refused() -> None:
    """Settings that no camera can have are found when they are made."""
    for bad in ({"digest_algorithms": ()}, {"encoder": EncoderSettings(height=362)}):
        with pytest.raises(ConfigurationError):
            CameraSettings(login=LOGIN, **bad)  # type: ignore[arg-type] - that is the point


class Collector:
    """A viewer that keeps what it is shown."""

    def __init__(self, stop_after: int) -> None:
        self.units: list[AccessUnit] = []
        self._stop_after = stop_after

    def show(self, unit: AccessUnit) -> None:
        """Keep one."""
        if len(self.units) < self._stop_after:
            self.units.append(unit)

    def wait(self) -> None:
        """Wait until all have come."""
        until(lambda: len(self.units) >= self._stop_after)


def test_a_camera_that_was_late_makes_up_for_every_picture() -> None:
    """After a stall of half a second every picture is still there, on its nominal tick."""
    encoder = EncoderSettings(width=320, height=180, fps=30, gop=15)
    collector = Collector(25)
    with running_camera(CameraSettings(login=LOGIN, interface="", encoder=encoder)) as (running, ready):
        running._main.viewers.add(collector)
        loop = running.filming.get_loop() if running.filming else None
        assert loop
        loop.call_soon_threadsafe(time.sleep, 0.5)
        collector.wait()
    ticks = [unit.ticks for unit in collector.units]
    assert ticks == list(range(ticks[0], ticks[0] + 25 * ready.period_ticks, ready.period_ticks))
    assert ready.cadence.is_tick(ticks[0])


def test_a_code_is_shown_for_its_time() -> None:
    """`show_code` puts the code into the pictures until its time is over; both streams show it and tell the time."""
    large, small = Collector(3), Collector(3)
    wanted = EncoderSettings(gop=1, bitrate_bps=4_000_000)
    camera = VirtualCamera(CameraSettings(login=LOGIN, interface="", encoder=wanted))
    camera._main.viewers.add(large)
    camera._sub.viewers.add(small)
    camera.show_code("TRANSOM", 60)
    now = camera._clock.now_ticks()
    for seconds in (0, 30, 61):
        camera._take_picture(now + seconds * 90_000)
    for units in (large.units, small.units):
        decoder = av.CodecContext.create("h264", "r")
        texts = []
        for unit in units:
            [frame] = decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in unit.nal_units)))
            luma = frame.to_ndarray(format="gray")
            assert block_code.read(luma) == unit.ticks
            texts.append([found.text for found in zxingcpp.read_barcodes(luma)])
        assert texts == [["TRANSOM"], ["TRANSOM"], []]
