"""How one camera's recording goes, as a value that the owner's page, the status messages and the watchdog can show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockSource
from agent.clock import Instant, WallTime


class CameraState(StrEnum):
    """Where the recorder stands with a camera."""

    CONNECTING = "connecting"
    RECORDING = "recording"
    WAITING = "waiting"  # after a failure, until the next try
    LOGIN_REFUSED = "login refused"  # waiting too, but long: cameras lock accounts, and a person must look
    CERTIFICATE_REFUSED = "certificate refused"  # long as well: it is another camera, or somebody in between
    STOPPED = "stopped"
    OFF = "recording off"  # by the owner's policy


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How one camera does now, and its counters since the recorder began with it."""

    camera: CameraId
    state: CameraState = CameraState.CONNECTING
    last_byte: WallTime | None = None
    last_byte_at: Instant | None = None
    next_try_at: Instant | None = None  # while waiting
    bytes_received: int = 0
    bytes_per_s: float = 0.0  # of the last 10 s, as are the pictures
    pictures: int = 0
    pictures_per_s: float = 0.0
    packets: int = 0  # of video, received
    packets_lost: int = 0  # by their numbers; over TCP too: cameras throw away what they cannot send
    loss_share: float = 0.0  # of the last minute, 0 to 1
    datagrams_dropped: int = 0  # of UDP, by this hub: its buffers were too small
    runs: int = 0
    chunks: int = 0
    chunks_lost: int = 0  # the ring could not take them
    key_interval_s: float | None = None  # between the newest two key pictures, or since the newest if that is longer
    reconnects: int = 0
    reports_ignored: int = 0  # sender reports that contradict arrival
    clock_offset_ns: int | None = None  # the camera's clock minus the hub's; None: it does not tell its time
    clock_offset_error_ns: int = 0
    time_source: ClockSource | None = None  # of the newest pictures' times; None: there are none yet
    time_error_ns: int | None = None
    is_unconfirmed: bool = False  # something answers at its address; whether it is the camera is not known yet
    error: str = ""  # the last one, with what a person can do; never a credential
