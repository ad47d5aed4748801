"""What a camera says before its pictures come: each function takes any bytes and may raise BadInputError, nothing else.

Rules of this file: a target asks for what callers rely on, by public names only, and raises AssertionError where it
does not hold. `PASSWORD` stands nowhere in what is fed, so where it turns up it was given away.
"""

from __future__ import annotations

import base64
from typing import Final

from agent.acquire.camera import CameraStream, Login
from agent.acquire.camera_clock import narrowed, next_question, offset_from_second, read_camera_time
from agent.acquire.clock_recovery import Timeline
from agent.acquire.digest import STALE_NONCES_MAX, Authenticator
from agent.acquire.discovery import DATAGRAM_BYTES_MAX, NAME_CHARACTERS_MAX, ProbeKind, bracketed
from agent.acquire.lenient_xml import parse_xml
from agent.acquire.rtsp import Ended, NeedPorts, Session
from agent.acquire.rtsp_message import BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX, message_end, parse_message
from agent.acquire.sdp import FMTP_BYTES_MAX, TRACKS_MAX, parse_sdp
from agent.acquire.search import CAMERAS_PER_SENDER_MAX, Search
from agent.acquire.stream import CameraId
from agent.acquire.stream_url import usable_url
from agent.acquire.username_token import NONCE_BYTES, username_token
from agent.clock import SECOND_NS, Instant, WallTime
from agent.crypto import Secret
from agent.errors import BadInputError
from tests.fuzz.seeds_camera import BETWEEN, PROBE_ID, SENDER, START_S, URL
from tests.fuzz.storable import check_storable
from tests.simulators.rtsp_camera import ntp64

PASSWORD: Final = "wachtwoord-7391"  # noqa: S105 - planted, to be looked for
LOGIN: Final = Login("owner", Secret(PASSWORD))
STREAM: Final = CameraStream(CameraId("door"), "Door", URL, LOGIN, None)
START: Final = WallTime(START_S * SECOND_NS)
GIVEN_AWAY: Final = (PASSWORD.encode(), base64.b64encode(f"owner:{PASSWORD}".encode()))
EFFECTS_MAX: Final = 8  # that one message may cause
REQUEST_BYTES_MAX: Final = 64 * 1024


def check_secrets(said: str) -> None:
    """Raise AssertionError if what is said to people holds the login."""
    assert not any(secret in said.encode() for secret in GIVEN_AWAY)


def rtsp_message(raw: bytes) -> None:
    """Check that a message ends within its limits and nowhere earlier, and is either a request or a response."""
    buffer = bytearray(raw)
    end = message_end(buffer, 0, len(raw)) if raw else 0
    assert 0 <= end <= min(len(raw), HEAD_BYTES_MAX + BODY_BYTES_MAX)
    if end:
        assert message_end(buffer, 0, end) == end
        assert message_end(buffer, 0, end - 1) == 0
    message = parse_message(raw[:end] if end else raw)
    assert len(message.headers) <= HEADERS_MAX
    assert all(name == name.lower().strip() for name, _ in message.headers)
    assert bool(message.method) != bool(message.status)


def sdp(raw: bytes) -> None:
    """Check that whatever is offered can be asked for in one line, without anybody's login in it."""
    offered = parse_sdp(raw, URL)
    assert len(offered.tracks) <= TRACKS_MAX
    for url in (offered.control_url, *(track.control_url for track in offered.tracks)):
        assert url == usable_url(url) != ""
        assert "@" not in url.partition("://")[2].partition("/")[0]
    for track in offered.tracks:
        assert len(track.fmtp) <= FMTP_BYTES_MAX
        assert track.media.isalpha()
        assert track.encoding == track.encoding.upper()
    _ = offered.video


def digest(raw: bytes) -> None:
    """Check that an answer is one line, gives the password to Basic only, and that a wrong login ends after some tries.

    Each line is the header of one refusal; `accepted` means that the camera took the login in between.
    """
    authenticator, tries = Authenticator(LOGIN), 0
    lines = raw.decode("latin-1").split("\n")
    for line in (raw.decode("latin-1"), *lines):
        if line == "accepted":
            authenticator.accepted()
            tries = 0
        elif authenticator.challenged([line]):
            tries += 1
            assert tries <= 1 + STALE_NONCES_MAX
        answer = authenticator.authorization("DESCRIBE", URL, "0a1b2c")
        if answer is not None:
            octets = answer.encode("latin-1")
            assert not set(octets) & set(b"\r\n\0")
            assert PASSWORD.encode() not in octets
            assert answer.startswith("Basic ") or GIVEN_AWAY[1] not in octets


def rtsp_session(raw: bytes) -> None:
    """Check that requests stay whole lines and effects few, and that no ending tells the login.

    `BETWEEN` stands between the messages; `wait N` and `leave` are no messages but happen on our side.
    """
    now = Instant(0)
    session = Session(URL, LOGIN, "cnonce", now, has_sound=True)
    _drain(session, now)
    for octets in raw.split(BETWEEN):
        now = Instant(now + SECOND_NS // 20)
        try:
            if octets.startswith(b"wait ") and octets[5:].isdigit():
                now = Instant(now + int(octets[5:9]) * SECOND_NS)
            elif octets == b"leave":
                session.leave(now)
            else:
                session.feed(octets, now)
        except BadInputError as error:
            check_secrets(str(error))
        _drain(session, now)
        deadline = session.deadline()
        assert deadline is None or deadline > now


def _drain(session: Session, now: Instant) -> None:
    effects = []
    while (effect := session.next_effect(now)) is not None:
        effects.append(effect)
        assert len(effects) <= EFFECTS_MAX
        octets = getattr(effect, "octets", b"")
        if octets:
            assert len(octets) <= REQUEST_BYTES_MAX
            assert octets.endswith(b"\r\n\r\n")
            assert octets.count(b"\r\n\r\n") == 1
            assert not set(octets.replace(b"\r\n", b"")) & set(b"\r\n\0")
            assert PASSWORD.encode() not in octets
        if isinstance(effect, NeedPorts):
            session.use_ports([(5000 + 2 * track, 5001 + 2 * track) for track in range(effect.tracks)], now)
        if isinstance(effect, Ended):
            check_secrets(f"{effect.why} {effect.location}")
            assert effect.location == usable_url(effect.location)


def camera_clock(raw: bytes) -> None:
    """Check that any time a camera tells makes a login, and mappings that can be stored."""
    asked, offsets = START, []
    for document in raw.split(BETWEEN)[:8]:
        try:
            second = read_camera_time(parse_xml(document, DATAGRAM_BYTES_MAX))
        except BadInputError:
            continue
        answered = WallTime(asked + SECOND_NS // 100)
        offsets.append(offset_from_second(second, asked, answered))
        asked = WallTime(asked + SECOND_NS)
    clock = narrowed(offsets)
    if clock is None:
        return
    assert clock.low_ns <= clock.high_ns
    assert 0 < next_question(clock, asked, 3) - asked <= SECOND_NS
    username_token(LOGIN, WallTime(asked + clock.estimate_ns), bytes(NONCE_BYTES))
    timeline = Timeline(90_000, clock)
    timeline.arrived(0, asked)
    for moment in (asked, asked + clock.estimate_ns):
        timeline.reported(ntp64(moment) % 2**64, 0, 0, asked)
        check_storable(timeline.anchor)


def discovery(raw: bytes) -> None:
    """Check that a datagram brings few cameras, all at the address that sent it, with names that can be shown."""
    search = Search(dict.fromkeys(ProbeKind, PROBE_ID))
    found = search.take(raw, SENDER)
    assert len(found) <= CAMERAS_PER_SENDER_MAX
    for camera in found:
        assert len(camera.name) <= NAME_CHARACTERS_MAX
        assert (camera.name + camera.hardware).isprintable()
        for address in camera.addresses:
            host = address.partition("://")[2].partition("/")[0]
            assert host == bracketed(SENDER) or host.startswith(bracketed(SENDER) + ":")
            assert address.isascii()
            assert address.isprintable()
            assert " " not in address
    if search.counts.bad:
        raise BadInputError("not a discovery reply")
