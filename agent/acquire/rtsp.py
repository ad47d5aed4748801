"""One RTSP session over TCP (RFC 2326), OPTIONS to TEARDOWN: a machine fed with messages and asked what to do next.

Rules of this file: no socket, no clock, no randomness; every way a session can end is an `Ending`; no error quotes what
was sent, so none can hold a credential.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.digest import Authenticator
from agent.acquire.rtsp_message import Message, parse_message
from agent.acquire.sdp import SessionDescription, parse_sdp, usable_url
from agent.acquire.stream import Track
from agent.clock import SECOND_NS, Instant
from agent.errors import BadInputError, ConfigurationError

ANSWER_S_MAX: Final = 10
SESSION_TIMEOUT_S_DEFAULT: Final = 60  # RFC 2326 section 12.37
SESSION_TIMEOUT_S_MIN: Final = 5
KEEP_ALIVE_S_MAX: Final = 25
MESSAGES_MAX: Final = 200  # within `MESSAGES_PER_S`: a camera that talks more keeps the hub from its other cameras
MESSAGES_PER_S: Final = 10
CHANNEL_MAX: Final = 254
_SESSION: Final = re.compile(r"([!-:<-~]{1,200})\s*(?:;.*)?")
_TIMEOUT: Final = re.compile(r";\s*timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)
_INTERLEAVED: Final = re.compile(r"interleaved\s*=\s*([0-9]{1,3})(?:\s*-\s*([0-9]{1,3}))?", re.IGNORECASE)
_CSEQ: Final = re.compile(r"[0-9]{1,10}")
_AGENT: Final = "Transom"
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BUSY, _LOST = 200, 401, 403, 404, 453, 454
_NO_TRANSPORT, _UNAVAILABLE = 461, 503
_NOT_ALLOWED: Final = frozenset({405, 501, 551})


class Ending(StrEnum):
    """Why a session ended, by what must happen next."""

    LOGIN_REFUSED = "login refused"  # a person must correct it; trying again soon locks the account
    UNUSABLE = "unusable stream"  # a person must change the camera's settings
    NOT_FOUND = "no such stream"
    BUSY = "camera busy"  # too many sessions: try later
    LOST = "session lost"  # the camera forgot it: connect again
    REDIRECTED = "redirected"
    SILENT = "no answer"
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
class Ended:
    """The session is over; close the connection. `why` is for people."""

    ending: Ending
    why: str


Effect = Send | Follow | Ended


class _Step(Enum):
    """The conversation: each step is the request that is on its way; PLAYING has none but keep-alives."""

    OPTIONS = "OPTIONS"
    DESCRIBE = "DESCRIBE"
    SETUP = "SETUP"
    PLAY = "PLAY"
    PLAYING = "PLAYING"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    cseq: int
    due: Instant


class Session:
    """One session with one camera. Raises ConfigurationError for a URL or login that cannot be used.

    `cnonce` is fresh randomness for the digest answers of this session.
    """

    def __init__(self, url: str, login: Login | None, cnonce: str, now: Instant) -> None:
        if not url.lower().startswith("rtsp://") or usable_url(url) != url:
            raise ConfigurationError("the camera's stream address is not an rtsp:// URL without user and password")
        self._url = url
        self._authenticator = Authenticator(login)
        self._cnonce = cnonce
        self._effects: deque[Effect] = deque()
        self._cseq = 0
        self._pending: _Request | None = None
        self._has_get_parameter = False
        self._description: SessionDescription | None = None
        self._session = ""
        self._keep_alive_s = KEEP_ALIVE_S_MAX
        self._keep_alive_due: Instant | None = None
        self._messages, self._messages_since = 0, now
        self._step = _Step.OPTIONS
        self._request("OPTIONS", url, now)

    @property
    def is_playing(self) -> bool:
        """Whether the camera said yes to PLAY."""
        return self._step is _Step.PLAYING

    def feed(self, octets: bytes, now: Instant) -> None:
        """Take one whole message from the camera. Raises BadInputError if it is none."""
        message = parse_message(octets)
        if self._step is _Step.ENDED:
            return
        if now - self._messages_since > MESSAGES_PER_S * SECOND_NS:
            self._messages, self._messages_since = 0, now
        self._messages += 1
        if self._messages > MESSAGES_MAX:
            self._end(Ending.FAILED, f"the camera sent {self._messages} messages within {MESSAGES_PER_S} s")
        elif message.status:
            self._take_response(message, now)
        else:
            self._answer_request(message)

    def next_effect(self, now: Instant) -> Effect | None:
        """Return what to do next, None if there is nothing until the next message or `deadline`."""
        if not self._effects:
            self._act_on_time(now)
        return self._effects.popleft() if self._effects else None

    def deadline(self) -> Instant | None:
        """When `next_effect` must be asked at the latest."""
        if self._step is _Step.PLAYING:
            return self._keep_alive_due
        return self._pending.due if self._pending else None

    def leave(self, now: Instant) -> None:
        """End the session politely, so that the camera frees its place at once."""
        if self._session and self._step is not _Step.ENDED:
            self._request("TEARDOWN", self._aggregate_url(), now)
        self._step, self._pending = _Step.ENDED, None

    def _act_on_time(self, now: Instant) -> None:
        if self._step is _Step.PLAYING and self._keep_alive_due is not None and now >= self._keep_alive_due:
            # Unanswered keep-alives end nothing: many cameras never answer them, and missing video is noticed anyway.
            self._request("GET_PARAMETER" if self._has_get_parameter else "OPTIONS", self._aggregate_url(), now)
            self._keep_alive_due = Instant(now + self._keep_alive_s * SECOND_NS)
        elif self._step is not _Step.PLAYING and self._pending is not None and now >= self._pending.due:
            method = self._pending.method
            self._end(Ending.SILENT, f"the camera did not answer {method} within {ANSWER_S_MAX} s")

    def _request(self, method: str, url: str, now: Instant, *headers: tuple[str, str]) -> None:
        self._cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self._cseq}", f"User-Agent: {_AGENT}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self._session:
            lines.append(f"Session: {self._session}")
        authorization = self._authenticator.authorization(method, url, self._cnonce)
        if authorization is not None:
            lines.append(f"Authorization: {authorization}")
        due = Instant(now + ANSWER_S_MAX * SECOND_NS)
        self._pending = _Request(method, url, headers, self._cseq, due)
        self._effects.append(Send("\r\n".join([*lines, "", ""]).encode("latin-1")))

    def _answer_request(self, message: Message) -> None:
        cseq = message.header("cseq")
        if not _CSEQ.fullmatch(cseq):
            return
        is_known = message.method == "OPTIONS"
        status = "200 OK\r\nPublic: OPTIONS" if is_known else "501 Not Implemented"
        self._effects.append(Send(f"RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n\r\n".encode()))

    def _take_response(self, message: Message, now: Instant) -> None:
        pending, cseq = self._pending, message.header("cseq")
        if pending is None or (cseq and cseq != str(pending.cseq)):  # some cameras leave CSeq out
            return
        self._pending = None
        if message.status == _UNAUTHORIZED:
            if self._authenticator.challenged(message.headers_of("www-authenticate")):
                self._request(pending.method, pending.url, now, *pending.headers)
            else:
                self._end(Ending.LOGIN_REFUSED, "the camera refuses this user and password; correct them in its entry")
            return
        self._authenticator.accepted()
        match self._step:
            case _Step.OPTIONS:
                self._has_get_parameter = "GET_PARAMETER" in message.header("public").upper()
                self._step = _Step.DESCRIBE
                self._request("DESCRIBE", self._url, now, ("Accept", "application/sdp"))
            case _Step.PLAYING:
                self._kept_alive(pending, message)
            case _Step.DESCRIBE | _Step.SETUP | _Step.PLAY if message.status != _OK:
                self._refused(pending.method, message.status)
            case _Step.DESCRIBE:
                self._described(message, now)
            case _Step.SETUP:
                self._set_up(message, now)
            case _Step.PLAY:
                self._step = _Step.PLAYING
                self._keep_alive_due = Instant(now + self._keep_alive_s * SECOND_NS)

    def _described(self, message: Message, now: Instant) -> None:
        base_url = usable_url(message.header("content-base")) or usable_url(message.header("content-location"))
        self._description = parse_sdp(message.body, base_url or self._url)
        try:
            video = self._description.video
        except BadInputError as error:
            self._end(Ending.UNUSABLE, str(error))
            return
        self._step = _Step.SETUP
        self._request("SETUP", video.control_url, now, ("Transport", "RTP/AVP/TCP;unicast;interleaved=0-1"))

    def _set_up(self, message: Message, now: Instant) -> None:
        session = _SESSION.fullmatch(message.header("session"))
        if session is None or self._description is None:
            raise BadInputError("the camera answered SETUP without a session")
        self._session = session[1]
        timeout = _TIMEOUT.search(message.header("session"))
        timeout_s = max(int(timeout[1]) if timeout else SESSION_TIMEOUT_S_DEFAULT, SESSION_TIMEOUT_S_MIN)
        self._keep_alive_s = min(timeout_s * 2 // 5, KEEP_ALIVE_S_MAX)
        transport = message.header("transport")
        channels = _INTERLEAVED.search(transport)
        if channels is None and "tcp" not in transport.lower():
            self._end(
                Ending.UNUSABLE, "the camera does not send video over the RTSP connection; allow RTP over TCP in it"
            )
            return
        channel = int(channels[1]) if channels else 0
        if channel > CHANNEL_MAX or (channels and channels[2] and int(channels[2]) != channel + 1):
            raise BadInputError("the camera answered SETUP with channels that are no pair")
        video = self._description.video
        track = Track(channel, "video", video.encoding, video.payload_type, video.clock_rate_hz, video.fmtp)
        self._effects.append(Follow(self._description.text, (track,)))
        self._step = _Step.PLAY
        self._request("PLAY", self._aggregate_url(), now, ("Range", "npt=0.000-"))

    def _kept_alive(self, pending: _Request, message: Message) -> None:
        if message.status == _LOST:
            self._end(Ending.LOST, "the camera has forgotten the session")
        elif pending.method == "GET_PARAMETER" and message.status in _NOT_ALLOWED:
            self._has_get_parameter = False

    def _refused(self, method: str, status: int) -> None:
        if status in {_FORBIDDEN, _BUSY, _UNAVAILABLE, _LOST, _NOT_FOUND, _NO_TRANSPORT}:
            ending, why = {
                _FORBIDDEN: (
                    Ending.LOGIN_REFUSED,
                    "this user may not watch; give it the right to live video in the camera",
                ),
                _BUSY: (Ending.BUSY, "too many viewers or too little bandwidth; close other viewers of the camera"),
                _UNAVAILABLE: (Ending.BUSY, "the camera is too busy; it is tried again"),
                _LOST: (Ending.LOST, "the camera has forgotten the session"),
                _NOT_FOUND: (Ending.NOT_FOUND, "there is no such stream; search for the camera again"),
                _NO_TRANSPORT: (Ending.UNUSABLE, "the camera refuses RTP over TCP; allow it in the camera's settings"),
            }[status]
        elif status // 100 == 3:  # noqa: PLR2004 - the class of redirections
            ending, why = Ending.REDIRECTED, "the camera points to another address, which is not followed"
        else:
            ending, why = Ending.FAILED, "the camera cannot do what is asked"
        self._end(ending, f"{method} was answered with {status}: {why}")

    def _aggregate_url(self) -> str:
        return self._description.control_url if self._description else self._url

    def _end(self, ending: Ending, why: str) -> None:
        self._step, self._pending = _Step.ENDED, None
        self._effects.append(Ended(ending, why))
