"""Frames between the daemon and the child."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.cut.clip import CutOrder
from agent.cut.messages import (
    Failure,
    Job,
    Kind,
    Work,
    decode_chunk,
    decode_codes,
    decode_failure,
    decode_job,
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


@example(b"\x81\xaa" + bytes(9) + b"\x80")  # a member's name that is no UTF-8
@given(st.binary(max_size=60))
def test_hostile_messages_raise_bad_input_only(content: bytes) -> None:
    """Neither side can break the other."""
    for read in (decode_job, decode_chunk, decode_report, decode_failure, decode_codes):
        try:
            read(content)
        except BadInputError:
            continue
    try:
        read_frame(io.BytesIO(content))
    except BadInputError:
        return
