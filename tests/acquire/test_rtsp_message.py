"""Messages as cameras write them: where they end, what their headers say, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.rtsp_message import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    Message,
    MessageBuffer,
    message_end,
    parse_message,
    write_answer,
    write_request,
)
from agent.errors import BadInputError


def with_header(line: str) -> Message:
    """Read an answer with this header."""
    return parse_message(f"RTSP/1.0 200 OK\r\n{line}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize(
    ("line", "session", "timeout_s"),
    [
        ("Session: 12345678", "12345678", 60),
        ("Session: 12345678;timeout=30", "12345678", 30),
        ("session:  ab-c.d ; Timeout = 30", "ab-c.d", 30),
        ('Session: 1;timeout="30"', "1", 30),
        ("Session: 1;timeout=30s", "1", 30),
        ("Session: 1;timeout=30.5", "1", 30),
        ("Session: 1, timeout=30", "1", 30),
        ("Session: 1;timeout:30", "1", 30),
        ("Session: 1;x=y;timeout=3", "1", 3),
        ("Session: 1;timeout=0", "1", 60),
        ("Session: 1;timeout=-1", "1", 60),
        ("Session: 1;timeout=", "1", 60),
        ("Session: a b", "", 60),
        ("Session: ;timeout=30", "", 30),
        ("Session: " + "x" * 201, "", 60),
        ("X: y", "", 60),
    ],
)
def test_sessions_and_their_timeouts(line: str, session: str, timeout_s: int) -> None:
    """The session's name is what stands before its parameters; its timeout is read in every form cameras write."""
    message = with_header(line)
    assert (message.session, message.session_timeout_s) == (session, timeout_s)


@pytest.mark.parametrize(("line", "cseq"), [("CSeq: 7", 7), ("cseq:007", 7), ("CSeq: x", None), ("X: y", None)])
def test_numbers_of_answers(line: str, cseq: int | None) -> None:
    """An answer's number is read with zeros in front; one that is none is as if it were left out."""
    assert with_header(line).cseq == cseq


@pytest.mark.parametrize(
    ("lines", "supports"),
    [
        ("Public: OPTIONS, GET_PARAMETER", True),
        ("Public: OPTIONS\r\nPublic: get_parameter", True),
        ("Allow: OPTIONS,GET_PARAMETER,PLAY", True),
        ("Public: OPTIONS GET_PARAMETER", True),
        ("Public: OPTIONS, X_GET_PARAMETER", False),
        ("X: GET_PARAMETER", False),
    ],
)
def test_methods_of_a_camera(lines: str, *, supports: bool) -> None:
    """A method is supported if it stands in Public or Allow as a whole word, however it is separated."""
    assert with_header(lines).supports("GET_PARAMETER") is supports


def test_requests_and_answers_are_read_back() -> None:
    """What is written here is read here."""
    asked = parse_message(write_request("PLAY", "rtsp://c/", [("CSeq", "1"), ("X", "y")]))
    assert (asked.method, asked.cseq, asked.header("x")) == ("PLAY", 1, "y")
    answered = parse_message(write_answer("200 OK", 9, [("Public", "OPTIONS")]))
    assert (answered.status, answered.cseq, answered.supports("OPTIONS")) == (200, 9, True)


def test_the_connection_beside_datagrams_holds_messages_only() -> None:
    """Messages come out whole, however they are split, and blank lines between them are nothing."""
    first, second = b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    sent = b"\r\n" + first + b"\r\n\r\n" + second + b"\n"
    for size in (1, 7, len(sent)):
        buffer = MessageBuffer()
        pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
        assert [message for piece in pieces for message in buffer.feed(piece)] == [first, second]


@pytest.mark.parametrize("octets", [b"$\x00\x00\x01x", b"R" * HEAD_BYTES_MAX, b"\x00"])
def test_the_connection_beside_datagrams_is_bounded(octets: bytes) -> None:
    """Media, noise, and a message without an end are refused there."""
    with pytest.raises(BadInputError):
        list(MessageBuffer().feed(octets))


@settings(max_examples=200)
@given(st.binary(min_size=1, max_size=300), st.integers(0, 100))
def test_message_ends_are_found_or_refused(noise: bytes, body_bytes: int) -> None:
    """A message's end is where its Content-Length says, whatever comes behind it; noise is refused or waits."""
    octets = f"RTSP/1.0 200 OK\r\ncontent-LENGTH : {body_bytes}\r\n\r\n".encode() + bytes(body_bytes)
    assert message_end(bytearray(octets + noise), 0, len(octets + noise)) == len(octets)
    assert message_end(bytearray(octets), 0, len(octets) - 1) == 0
    try:
        message_end(bytearray(noise), 0, len(noise))
    except BadInputError:
        assert not noise[:1].isupper() or b"\r\n\r\n" in noise


@pytest.mark.parametrize(
    "octets",
    [b"R" * HEAD_BYTES_MAX, f"RTSP/1.0 200 OK\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n\r\n".encode()],
)
def test_message_limits(octets: bytes) -> None:
    """A head without an end and a body over the limit are refused before they are kept."""
    with pytest.raises(BadInputError):
        message_end(bytearray(octets), 0, len(octets))


def test_too_many_headers_are_refused() -> None:
    """A message may have 64 headers."""
    with pytest.raises(BadInputError):
        parse_message(b"RTSP/1.0 200 OK\r\n" + b"A: b\r\n" * 65 + b"\r\n")


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from([b"RTSP/1.0 200 OK\r\n", b"\r\n\r\n"])), max_size=8))
def test_any_bytes_are_messages_or_bad_input(pieces: list[bytes]) -> None:
    """Noise on the connection gives messages whose headers can be asked for anything, or BadInputError."""
    buffer = MessageBuffer()
    try:
        for piece in pieces:
            for octets in buffer.feed(piece):
                message = parse_message(octets)
                assert message.session_timeout_s > 0
                assert 0 <= message.retry_s <= 300
                assert not set(message.session) & set(" \r\n;,")
    except BadInputError:
        pass
