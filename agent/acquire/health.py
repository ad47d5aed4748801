"""How one camera's recording goes, as a value that the owner's page, the status messages and the watchdog can show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.acquire.stream import CameraId
from agent.clock import Instant, WallTime


class CameraState(StrEnum):
    """Where the recorder stands with a camera."""

    CONNECTING = "connecting"
    RECORDING = "recording"
    WAITING = "waiting"  # after a failure, until the next try
    LOGIN_REFUSED = "login refused"  # waiting too, but long: cameras lock accounts, and a person must look
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """One camera's counters since the recorder began with it."""

    camera: CameraId
    state: CameraState = CameraState.CONNECTING
    last_byte: WallTime | None = None
    last_byte_at: Instant | None = None
    next_try_at: Instant | None = None  # while waiting
    bytes_received: int = 0
    runs: int = 0
    chunks: int = 0
    chunks_lost: int = 0  # the ring could not take them
    key_interval_s: float | None = None  # between the last two chunks that began with a key picture
    reconnects: int = 0
    reports_ignored: int = 0  # sender reports that contradict arrival
    error: str = ""  # the last one, with what a person can do; never a credential
