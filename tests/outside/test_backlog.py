"""The memory between recorder and disk: bounded, in order, and it never gives away what is being written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outside.backlog import Backlog, StreamPayload, WaitingChunk
from tests.simulators.ring_content import media, stream

STREAM = StreamPayload(stream()[0], b"")


def chunk(sequence: int, size: int = 840) -> WaitingChunk:
    """Return a chunk of `size + 160` bytes of memory."""
    return WaitingChunk(media(sequence), bytes(size), STREAM)


def taken(backlog: Backlog, bytes_max: int = 10**9) -> list[int]:
    """Take and return the sequence numbers."""
    return [waiting.meta.sequence for waiting in backlog.take(bytes_max)]


def test_chunks_come_out_after_the_release_in_order() -> None:
    """What was put after the last release is not given yet."""
    backlog = Backlog(10_000)
    backlog.put(chunk(1))
    assert taken(backlog) == []
    backlog.put(chunk(2))
    backlog.release()
    backlog.put(chunk(3))
    assert taken(backlog) == [1, 2]
    backlog.settle(1)
    assert taken(backlog) == [2]


def test_the_oldest_gives_way_but_not_what_is_being_written() -> None:
    """At the limit the oldest chunk that is not on its way to disk is dropped and counted."""
    backlog = Backlog(3_000)
    for sequence in (1, 2, 3):
        backlog.put(chunk(sequence))
    backlog.release()
    assert taken(backlog, 1_000) == [1]
    backlog.put(chunk(4))
    assert backlog.dropped == 1
    backlog.settle(0)
    backlog.release()
    assert taken(backlog) == [1, 3, 4]


def test_one_chunk_larger_than_the_batch_is_given_alone() -> None:
    """A batch has at least one chunk, or the largest would wait for ever."""
    backlog = Backlog(10_000)
    backlog.put(chunk(1, 5_000))
    backlog.put(chunk(2))
    backlog.release()
    assert taken(backlog, 100) == [1]


def test_closing_wakes_and_releases() -> None:
    """The consumer hears of the end and gets the rest."""
    backlog = Backlog(10_000)
    assert backlog.wait(0) is False
    backlog.put(chunk(1))
    backlog.close()
    assert backlog.wait(60) is True
    assert taken(backlog) == [1]


def test_a_payload_is_copied_and_its_memory_used_again() -> None:
    """The caller may use its buffer again at once, and a settled chunk's memory never shows in another that waits."""
    backlog = Backlog(10**6)
    wire = bytearray(b"one")
    for text in (b"one", b"two", b"six"):
        wire[:] = text
        backlog.put(WaitingChunk(media(1), memoryview(wire), STREAM))
    backlog.release()
    assert [bytes(waiting.payload) for waiting in backlog.take(10**6)] == [b"one", b"two", b"six"]
    backlog.settle(1)
    backlog.put(WaitingChunk(media(2), b"four", STREAM))
    backlog.release()
    assert [bytes(waiting.payload) for waiting in backlog.take(10**6)] == [b"two", b"six", b"four"]


@given(st.lists(st.sampled_from(["put", "release", "take", "settle"]), max_size=60))
@settings(max_examples=60)
def test_memory_is_bounded_and_order_is_kept(steps: list[str]) -> None:
    """Whatever the two sides do: never more than the limit, never a chunk twice, never one before an older one."""
    backlog, put = Backlog(5_000), 0
    written: list[int] = []
    flying: list[int] = []
    for step in steps:
        if step == "put":
            put += 1
            backlog.put(chunk(put))
        elif step == "release":
            backlog.release()
        elif step == "take" and not flying:
            flying = taken(backlog, 2_000)
        elif step == "settle":
            backlog.settle(len(flying))
            written += flying
            flying = []
        assert backlog.waiting_bytes <= 5_000
    assert written == sorted(set(written))
    assert len(written) + backlog.dropped + backlog.waiting_bytes // 1_000 == put
