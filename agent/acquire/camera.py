"""A camera as the hub knows it: who it is, where it is now, how to log in, and which stream to record."""

from __future__ import annotations

from dataclasses import dataclass

from agent.acquire.encoding import Encoding
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.crypto import Secret


@dataclass(frozen=True, slots=True)
class Login:
    """A camera's user and password; the password never prints."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class CameraStream:
    """Everything the recorder needs to record one camera. `url` is `rtsp[s]://host[:port]/path` without userinfo."""

    camera: CameraId
    name: str
    url: str
    login: Login | None
    clock: ClockOffset | None  # None: the camera does not tell its time
    has_sound: bool = False  # whether to record the camera's sound as well; off unless the owner wants it
    pin: str = ""  # SHA-256 in hex of the TLS certificate that it showed first; empty: none is known yet
    encoding: Encoding | None = None  # as the camera says itself; None: it was not asked yet
