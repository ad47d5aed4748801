"""One RTSP session (RFC 2326), OPTIONS to TEARDOWN: a machine fed with messages and asked what to do next.

Rules of this file: no socket, no clock, no randomness; every way a session can end is an `Ending`; no error quotes what
was sent, so none can hold a credential. Media comes over the connection itself; only a camera that refuses that may
send datagrams, and never in a session over TLS, since those would show the pictures to the network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.digest import Authenticator
from agent.acquire.keep_alive import KeepAlive
from agent.acquire.rtsp_message import Message, parse_message, write_answer, write_request
from agent.acquire.sdp import SessionDescription, parse_sdp
from agent.acquire.session_effect import Effect, Ended, Ending, Follow, NeedPorts, Send, UsePorts
from agent.acquire.stream_url import is_dialable, is_tls, redirected, resolved, usable_url
from agent.acquire.transport import TrackSetup
from agent.clock import SECOND_NS, Instant
from agent.errors import BadInputError, ConfigurationError

__all__ = ["Effect", "Ended", "Ending", "Follow", "NeedPorts", "Send", "Session", "UsePorts"]

ANSWER_S_MAX: Final = 10
MESSAGES_MAX: Final = 200  # within `MESSAGES_PER_S`: a camera that talks more keeps the hub from its other cameras
MESSAGES_PER_S: Final = 10
_AGENT: Final = "Transom"
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BUSY, _LOST = 401, 403, 404, 453, 454
_NO_RANGE, _NO_TRANSPORT, _UNAVAILABLE = 457, 461, 503
_PROVISIONAL, _SUCCESS, _REDIRECTION = 1, 2, 3  # hundreds of a status
_ANSWERED: Final = frozenset({"OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE", "REDIRECT", "TEARDOWN"})


class _Step(Enum):
    """The conversation: each step is the request that is on its way; PORTS has none, PLAYING none but keep-alives."""

    OPTIONS = "OPTIONS"
    DESCRIBE = "DESCRIBE"
    SETUP = "SETUP"
    PORTS = "PORTS"
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


_REFUSALS: Final = {
    _FORBIDDEN: (Ending.LOGIN_REFUSED, "this user may not watch; give it the right to live video in the camera"),
    _BUSY: (Ending.BUSY, "too many viewers or too little bandwidth; close other viewers of the camera"),
    _UNAVAILABLE: (Ending.BUSY, "the camera is too busy; it is tried again"),
    _LOST: (Ending.LOST, "the camera has forgotten the session"),
    _NOT_FOUND: (Ending.NOT_FOUND, "there is no such stream; search for the camera again"),
    _NO_TRANSPORT: (Ending.UNUSABLE, "the camera refuses to send video this way; allow RTP over TCP in its settings"),
}


class Session:
    """One session with one camera. Raises ConfigurationError for a URL or login that cannot be used.

    `cnonce` is fresh randomness for the digest answers of this session; TLS, for `rtsps`, is the shell's business. To
    a device that is not `is_trusted` no password is shown (Basic); a digest of it is.
    """

    def __init__(
        self,
        url: str,
        login: Login | None,
        cnonce: str,
        now: Instant,
        *,
        has_sound: bool = False,
        is_trusted: bool = True,
    ) -> None:
        if not is_dialable(url):
            raise ConfigurationError(
                "the camera's stream address is no rtsp:// or rtsps:// URL without user and password"
            )
        self._url, self._has_sound, self._is_trusted = url, has_sound, is_trusted
        self._authenticator = Authenticator(login)
        self._cnonce = cnonce
        self._effects: deque[Effect] = deque()
        self._cseq = 0
        self._pending: _Request | None = None
        self._description: SessionDescription | None = None
        self._setup = TrackSetup((), url)
        self._session, self._timeout_s = "", 0
        self._keep_alive = KeepAlive()
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
            self._take_request(message)

    def use_ports(self, ports: Sequence[tuple[int, int]], now: Instant) -> None:
        """Answer `NeedPorts` with pairs of open local ports; too few leave the sound out, none ends the session."""
        if self._step is _Step.PORTS and ports:
            self._setup.use_ports(ports)
            self._step = _Step.SETUP
            self._set_up_next(now)

    def next_effect(self, now: Instant) -> Effect | None:
        """Return what to do next, None if there is nothing until the next message or `deadline`."""
        if not self._effects:
            self._act_on_time(now)
        return self._effects.popleft() if self._effects else None

    def deadline(self) -> Instant | None:
        """When `next_effect` must be asked at the latest."""
        if self._step is _Step.PLAYING:
            return self._keep_alive.due
        return self._pending.due if self._pending else None

    def leave(self, now: Instant) -> None:
        """Take leave of the camera, whichever way the session ended, so that it frees its place at once."""
        if self._session:
            self._request("TEARDOWN", self._aggregate_url(), now)
        self._step, self._pending, self._session = _Step.ENDED, None, ""

    def _act_on_time(self, now: Instant) -> None:
        if self._step is _Step.PLAYING:
            if (method := self._keep_alive.next_request(now)) is not None:
                self._request(method, self._aggregate_url(), now)
        elif self._step is _Step.PORTS:
            self._end(Ending.UNUSABLE, "the camera wants to send datagrams (UDP), and this hub has no ports for them")
        elif self._pending is not None and now >= self._pending.due:
            self._end(Ending.SILENT, f"the camera did not answer {self._pending.method} within {ANSWER_S_MAX} s")

    def _request(self, method: str, url: str, now: Instant, *headers: tuple[str, str]) -> None:
        self._cseq += 1
        lines = [("CSeq", str(self._cseq)), ("User-Agent", _AGENT), *headers]
        if self._session:
            lines.append(("Session", self._session))
        authorization = self._authenticator.authorization(method, url, self._cnonce)
        if authorization is not None:
            lines.append(("Authorization", authorization))
        due = Instant(now + ANSWER_S_MAX * SECOND_NS)
        self._pending = _Request(method, url, headers, self._cseq, due)
        self._effects.append(Send(write_request(method, url, lines)))

    def _take_request(self, message: Message) -> None:
        """Answer a request of the camera's own, and do what it means."""
        method = message.method
        if message.cseq is not None:  # without one there is nothing to answer to
            headers = [("Public", "OPTIONS")] if method == "OPTIONS" else []
            if self._session and message.header("session"):
                headers.append(("Session", self._session))
            status = "200 OK" if method in _ANSWERED else "501 Not Implemented"
            self._effects.append(Send(write_answer(status, message.cseq, headers)))
        if method == "ANNOUNCE":
            self._end(Ending.LOST, "the camera has changed its stream; it is asked for it anew")
        elif method == "TEARDOWN":
            self._session = ""
            self._end(Ending.LOST, "the camera has ended the session")
        elif method == "REDIRECT":
            self._redirected(method, message)

    def _take_response(self, message: Message, now: Instant) -> None:
        pending = self._pending
        if pending is None or message.cseq not in {None, pending.cseq}:  # some cameras leave CSeq out
            return
        if message.status // 100 == _PROVISIONAL:
            return
        self._pending = None
        if message.status == _UNAUTHORIZED:
            self._challenged(pending, message, now)
            return
        self._authenticator.accepted()
        match self._step:
            case _Step.OPTIONS:
                self._keep_alive.learn(message)
                self._step = _Step.DESCRIBE
                self._request("DESCRIBE", self._url, now, ("Accept", "application/sdp"))
            case _Step.PLAYING if message.status != _LOST:
                self._keep_alive.refused(pending.method, message.status)
            case _ if message.status // 100 != _SUCCESS:
                self._refused(pending, message, now)
            case _Step.DESCRIBE:
                self._described(message, now)
            case _Step.SETUP:
                self._set_up(message, now)
            case _Step.PLAY:
                self._step = _Step.PLAYING
                self._keep_alive.begin(self._timeout_s, now)

    def _challenged(self, pending: _Request, message: Message, now: Instant) -> None:
        if self._authenticator.challenged(message.headers_of("www-authenticate")):
            if self._authenticator.is_in_clear and not self._is_trusted:
                self._end(Ending.UNTRUSTED, "the camera asks for the password in clear; first it is asked who it is")
                return
            self._request(pending.method, pending.url, now, *pending.headers)
        elif self._step is _Step.PLAYING:
            self._keep_alive.end()  # pictures still come: take them while they do, without locking the account
        else:
            self._session = ""  # a goodbye would be one more wrong login
            self._end(Ending.LOGIN_REFUSED, "the camera refuses this user and password; correct them in its entry")

    def _described(self, message: Message, now: Instant) -> None:
        bases = (message.header("content-base"), message.header("content-location"))
        base_url = next((resolved(base, self._url) for base in bases if usable_url(base)), self._url)
        self._description = parse_sdp(message.body, base_url)
        try:
            video = self._description.video
        except BadInputError as error:
            self._end(Ending.UNUSABLE, str(error))
            return
        sound = self._description.sound if self._has_sound else None
        self._setup = TrackSetup((video,) if sound is None else (video, sound), self._url)
        self._step = _Step.SETUP
        self._set_up_next(now)

    def _set_up_next(self, now: Instant) -> None:
        """Ask for the next track, or play those that were granted."""
        if (ask := self._setup.next_request()) is not None:
            self._request("SETUP", ask[0], now, ("Transport", ask[1]))
            return
        if self._setup.has_ports:
            self._effects.append(UsePorts(self._setup.server_ports))
        self._effects.append(Follow(self._description.text if self._description else "", self._setup.tracks))
        self._step = _Step.PLAY
        self._request("PLAY", self._aggregate_url(), now, ("Range", "npt=0.000-"))

    def _set_up(self, message: Message, now: Instant) -> None:
        is_sound = bool(self._setup.tracks)
        if not (self._session or message.session):
            raise BadInputError("the camera answered SETUP without a session")
        if not is_sound:
            self._session, self._timeout_s = message.session or self._session, message.session_timeout_s
        elif message.session not in {"", self._session}:  # it would have to be played on its own
            self._setup.leave_sound_out()
            self._set_up_next(now)
            return
        if self._setup.take(message.header("transport")):
            self._set_up_next(now)
        else:
            self._ask_for_ports("SETUP was answered with another way")

    def _ask_for_ports(self, what: str) -> None:
        if self._setup.has_ports or is_tls(self._url):
            ending, why = _REFUSALS[_NO_TRANSPORT]
            self._end(ending, f"{what}: {why}")
        else:
            self._step = _Step.PORTS
            self._effects.append(NeedPorts(self._setup.wanted))

    def _refused(self, pending: _Request, message: Message, now: Instant) -> None:
        status, what = message.status, f"{pending.method} was answered with {message.status}"
        if self._step is _Step.SETUP and self._setup.tracks:
            self._setup.leave_sound_out()
            self._set_up_next(now)
        elif self._step is _Step.SETUP and status == _NO_TRANSPORT:
            self._ask_for_ports(what)
        elif self._step is _Step.PLAY and status == _NO_RANGE and pending.headers:  # live video has no beginning
            self._request("PLAY", pending.url, now)
        elif status // 100 == _REDIRECTION:
            self._redirected(what, message)
        else:
            ending, why = _REFUSALS.get(status, (Ending.FAILED, "the camera cannot do what is asked"))
            self._session = "" if status == _LOST else self._session
            self._end(ending, f"{what}: {why}", retry_s=message.retry_s)

    def _redirected(self, what: str, message: Message) -> None:
        location = redirected(self._url, message.header("location"))
        where = "another address of its own" if location else "another host or without TLS, which is not followed"
        self._end(Ending.REDIRECTED, f"{what}: the camera points to {where}", location=location)

    def _aggregate_url(self) -> str:
        return self._description.control_url if self._description else self._url

    def _end(self, ending: Ending, why: str, *, location: str = "", retry_s: int = 0) -> None:
        self._step, self._pending = _Step.ENDED, None
        self._effects.append(Ended(ending, why, location, retry_s))
