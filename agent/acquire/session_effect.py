"""What an RTSP session asks its shell to do, and the ways it ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.acquire.stream import Track


class Ending(StrEnum):
    """Why a session ended, by what must happen next."""

    LOGIN_REFUSED = "login refused"  # a person must correct it; trying again soon locks the account
    UNUSABLE = "unusable stream"  # a person must change the camera's settings
    NOT_FOUND = "no such stream"
    BUSY = "camera busy"  # too many sessions: try later
    LOST = "session lost"  # the camera forgot it: connect again
    REDIRECTED = "redirected"  # `Ended.location` says where to, if it may be followed
    SILENT = "no answer"
    UNTRUSTED = "camera unconfirmed"  # it asks for the password in clear, and nobody has said yet who it is
    FAILED = "camera failed"


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes to the camera."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Follow:
    """Media of these tracks is about to come."""

    sdp: str
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class NeedPorts:
    """The camera refuses to send over the connection: open a pair of UDP ports (RTP, RTCP) for each of its tracks.

    Answer with `use_ports` before asking for the next effect; else the session ends as UNUSABLE.
    """

    tracks: int


@dataclass(frozen=True, slots=True)
class UsePorts:
    """The first pairs of ports are in use, one for each of these pairs: the camera's own RTP and RTCP ports.

    0 where the camera does not say. Ports beyond are for tracks that it refused: close them. PLAY comes next.
    """

    server_ports: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over; close the connection. `why` is for people."""

    ending: Ending
    why: str
    location: str = ""  # of REDIRECTED: dial this at once (three times in a row at most); empty: it is not followed
    retry_s: int = 0  # the camera asks to be left alone for so long


Effect = Send | Follow | NeedPorts | UsePorts | Ended
