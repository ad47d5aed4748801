"""What H.264 and H.265 share in RTP."""

from __future__ import annotations

import pytest

from agent.cut.rtp_h264 import H264Payload
from agent.cut.rtp_h265 import H265Payload
from agent.cut.rtp_nal import NAL_BYTES_MAX, Fragments, aggregated, decoded_sets, format_parameter, separated
from agent.errors import BadInputError


def test_a_nal_unit_without_an_end_is_too_long_at_some_point() -> None:
    """A camera that never ends a fragmented unit cannot fill the memory."""
    subject, piece = Fragments(), bytes(1024 * 1024)
    list(subject.take(b"h", piece, is_start=True, is_end=False))
    assert subject.is_pending
    for _ in range(NAL_BYTES_MAX // len(piece) - 2):
        assert list(subject.take(b"h", piece, is_start=False, is_end=False)) == []
    with pytest.raises(BadInputError, match="more than"):
        list(subject.take(b"h", 2 * piece, is_start=False, is_end=False))


@pytest.mark.parametrize(
    ("subject", "start", "end"),
    [(H264Payload(), b"\x7c\x85ab", b"\x7c\x45cd"), (H265Payload(), b"\x62\1\x93ab", b"\x62\1\x53cd")],
)
def test_a_unit_that_begins_in_the_middle_of_another_is_whole(
    subject: H264Payload | H265Payload, start: bytes, end: bytes
) -> None:
    """Whoever hears that the first one is broken drops what is pending: that is not yet the second one."""
    heard = []
    for payload in (start, start, end):
        for nal in subject.take(payload, is_marked=False):
            heard.append(nal)
            if nal is None:
                subject.drop()
    assert heard[0] is None
    assert [nal and nal[-4:] for nal in heard[1:]] == [b"abcd"]


def test_order_numbers_between_aggregated_units_are_skipped() -> None:
    """The first is of two bytes, the others of one (RFC 7798 4.4.2)."""
    assert list(aggregated(b"hh\0\1\0\1a\7\0\1b", 2, (2, 1))) == [b"a", b"b"]


def test_start_codes_inside_a_unit_take_it_apart() -> None:
    """As some cameras send parameter sets and key picture; a unit without any stays the very same bytes."""
    assert list(separated(b"gsps\0\0\0\1hpps\0\0\1eidr\0\0\3\1x")) == [b"gsps", b"hpps", b"eidr\0\0\3\1x"]
    whole = b"e" + bytes(range(1, 200))
    (same,) = separated(whole)
    assert same is whole
    assert list(separated(b"\0\0\1\0\0\1")) == []
    assert sum(1 for _ in separated(b"a\0\0\1" * 10_000)) <= 65


def test_parameters_of_the_sdp_are_found_by_name() -> None:
    """Case and blanks do not matter, values keep their equals signs."""
    assert format_parameter("A=1; Sprop-SPS =Zw==;b", "sprop-sps") == "Zw=="
    assert format_parameter("b", "b") == ""
    assert decoded_sets("Zw, ,Zw==,!") == [b"g", b"g"]
