"""Lines are parsed strictly, and any other bytes are refused with one kind of error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import BadInputError
from firmware_bridge.messages import (
    REQUEST_BYTES_MAX,
    Answer,
    Install,
    Led,
    Ping,
    Progress,
    SetLed,
    read_answer,
    read_request,
    write_line,
)


@pytest.mark.parametrize("request_", [Ping(), SetLed(Led.BLINK), Install("/var/lib/transom-bundles/a.raucb")])
def test_requests_come_back(request_: Ping | SetLed | Install) -> None:
    """What the client writes is what the server reads."""
    assert read_request(write_line(request_)) == request_


@pytest.mark.parametrize("message", [Answer(ok=True), Answer(ok=False, error="refused", text="no"), Progress(5, "x")])
def test_answers_come_back(message: Answer | Progress) -> None:
    """What the server writes is what the client reads."""
    assert read_answer(write_line(message)) == message


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"op":"reboot"}',
        b'{"op":"ping","now":true}',
        b'{"op":"led","state":"red"}',
        b'{"op":"install","bundle":""}',
        b'{"op":"install","bundle":"' + b"a" * 1025 + b'"}',
        b'{"op":"ping"}' + b" " * REQUEST_BYTES_MAX,
        b"[" * REQUEST_BYTES_MAX,
    ],
)
def test_other_requests_are_refused(line: bytes) -> None:
    """An unknown operation, member or value is not guessed at."""
    with pytest.raises(BadInputError):
        read_request(line)


@given(st.binary(max_size=200))
def test_junk_is_refused_on_both_sides(line: bytes) -> None:
    """Neither side can be made to raise anything else."""
    for read in (read_request, read_answer):
        with pytest.raises(BadInputError):
            read(line)
