"""Frames between the daemon and the child."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.clock import WallTime
from agent.cut.clip import CutOrder
from agent.cut.look import EDGE_BYTES, SAMPLES, SNAPSHOT_BYTES_MAX, Look, LookOrder, Signs
from agent.cut.messages import (
    Failure,
    Job,
    Kind,
    Work,
    decode_chunk,
    decode_codes,
    decode_failure,
    decode_job,
    decode_look,
    decode_report,
    frame,
    message_frame,
    read_frame,
)
from agent.errors import BadInputError
from tests.simulators.clips import window_of
from tests.simulators.h264_source import Recipe, film


def test_the_vector_of_the_format() -> None:
    """END is five bytes; a body over the limit is refused by its head alone."""
    assert frame(Kind.END) == bytes.fromhex("0000000003")
    with pytest.raises(BadInputError, match="not a message"):
        read_frame(io.BytesIO(bytes.fromhex("0100000102")))


def test_jobs_chunks_and_failures_come_back() -> None:
    """What one side says is what the other hears."""
    source = film(Recipe(pictures=3))
    job = Job(Work.CUT, CutOrder(window_of(0, 1), (source.header,)))
    stream = io.BytesIO(
        message_frame(Kind.JOB, job)
        + message_frame(Kind.CHUNK, source.chunks[0])
        + message_frame(Kind.FAILED, Failure(is_input=True, what="x" * 1000))
    )
    assert decode_job(read_frame(stream)[1]) == job
    assert decode_chunk(read_frame(stream)[1]) == source.chunks[0]
    assert decode_failure(read_frame(stream)[1]) == Failure(is_input=True, what="x" * 300)


def test_codes_are_cut_to_their_limits() -> None:
    """A child that says too much is heard in part."""
    _, body = read_frame(io.BytesIO(message_frame(Kind.CODES, ["y" * 5000] * 20)))
    assert decode_codes(body) == ["y" * 2048] * 8


SIGNS = Signs(
    taken=WallTime(7),
    width=1920,
    height=1080,
    brightness=100,
    lightest=150,
    white=3,
    detail=380,
    sharpness=None,
    colour=6,
    edges=bytes(EDGE_BYTES),
    samples=bytes(SAMPLES),
    likeness=(1000, 0),
    changed=None,
)


def test_a_look_is_read_back() -> None:
    """Order and answer."""
    order = LookOrder((bytes(EDGE_BYTES),), bytes(SAMPLES), SNAPSHOT_BYTES_MAX)
    job = Job(Work.LOOK, CutOrder(window_of(0, 1), ()), order)
    assert decode_job(read_frame(io.BytesIO(message_frame(Kind.JOB, job)))[1]) == job
    _, body = read_frame(io.BytesIO(message_frame(Kind.LOOK, Look(SIGNS, b"jpeg"))))
    assert decode_look(body) == Look(SIGNS, b"jpeg")


@pytest.mark.parametrize(
    "change",
    [
        {"brightness": 256},
        {"white": -1},
        {"detail": 1001},
        {"sharpness": 1001},
        {"width": 0},
        {"height": 16_385},
        {"edges": bytes(EDGE_BYTES - 1)},
        {"samples": bytes(SAMPLES + 1)},
        {"likeness": (1, 2, 1001)},
        {"likeness": "a picture of somebody"},
        {"changed": 0.5},
    ],
)
def test_a_look_outside_its_ranges_is_refused(change: dict[str, object]) -> None:
    """Small numbers come back and nothing else: a child has no room for a picture."""
    body = msgspec.msgpack.encode(Look(msgspec.structs.replace(SIGNS, **change)))
    with pytest.raises(BadInputError):
        decode_look(body)
    with pytest.raises(BadInputError):
        decode_look(msgspec.msgpack.encode(Look(SIGNS, bytes(SNAPSHOT_BYTES_MAX + 1))))


@example(b"\x81\xaa" + bytes(9) + b"\x80")  # a member's name that is no UTF-8
@given(st.binary(max_size=60))
def test_hostile_messages_raise_bad_input_only(content: bytes) -> None:
    """Neither side can break the other."""
    for read in (decode_job, decode_chunk, decode_report, decode_failure, decode_codes, decode_look):
        try:
            read(content)
        except BadInputError:
            continue
    try:
        read_frame(io.BytesIO(content))
    except BadInputError:
        return
