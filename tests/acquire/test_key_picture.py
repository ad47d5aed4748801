"""What the first packets of a picture say about it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.key_picture import SEI_BYTES_MAX, UNITS_MAX, is_all_key, key_finder

BUFFERING, TIMING, RIGHT_AT_ONCE, IN_A_WHILE = (
    b"\x00\x02\x00\x80",
    b"\x01\x01\x12",
    b"\x06\x01\xc4",
    b"\x06\x02\x04\x80",
)


def answer(encoding: str, payload: bytes, head: bytes = b"\x80" + bytes(11)) -> bool | None:
    """Ask about a packet that stands between others, as in the buffer."""
    packet = head + payload
    return key_finder(encoding)(b"\xff" * 9 + packet + b"\x65" * 9, 9, 9 + len(packet))


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        (b"\x65", True),  # IDR slice
        (b"\x67", True),  # SPS
        (b"\x41", False),
        (b"\x02", False),  # a data partition
        (b"\x68", None),  # PPS
        (b"\x09\xf0", None),  # AUD
        (b"\x0e", None),  # prefix of a scalable layer
        (b"\x06\x05\x02ab\x80", None),  # SEI: user data
        (b"\x06" + RIGHT_AT_ONCE, True),
        (b"\x06" + BUFFERING + TIMING + RIGHT_AT_ONCE, True),
        (b"\x06\x01\x04\x00\x00\x03\x01\x02" + RIGHT_AT_ONCE, True),  # behind emulation prevention
        (b"\x06" + IN_A_WHILE, None),  # refreshed strip by strip: this picture is not right yet
        (b"\x06\x05\xff\x10" + bytes(271) + RIGHT_AT_ONCE, None),
        (b"\x06\x06", None),
        (b"\x7c\x85", True),  # FU-A: its start tells, the rest does not
        (b"\x7c\x05", None),
        (b"\x7c\x45", None),
        (b"\x7c\x81", False),
        (b"\x7c", None),
        (b"\x18\x00\x02\x09\xf0\x00\x02\x67\x42", True),  # STAP-A: AUD and SPS
        (b"\x18\x00\x02\x09\xf0\x00\x04\x06" + RIGHT_AT_ONCE + b"\x00\x01\x41", True),
        (b"\x18\x00\x02\x09\xf0\x00\x01\x41\x00\x01\x65", False),  # the first one that tells
        (b"\x18\xff\xff\x09", None),
        (b"\x18" + b"\x00\x00" * UNITS_MAX + b"\x00\x01\x65", None),
        (b"\x19\x00\x00\x00\x01\x65", None),  # STAP-B, MTAP16, MTAP24, FU-B
        (b"\x1a\x65\x65\x65\x65\x65", None),
        (b"\x1b\x65\x65\x65\x65\x65", None),
        (b"\x1d\x85\x00\x00", None),
        (b"", None),
    ],
)
def test_h264(payload: bytes, is_key: object) -> None:
    """RFC 6184: IDR, SPS and recovery points are key, slices of other pictures are not, the rest does not tell."""
    assert answer("H264", payload) is is_key


def h265(kind: int, *more: int) -> bytes:
    """Make a NAL unit of a kind."""
    return bytes([kind << 1, 1, *more])


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        *((h265(kind, 0), False) for kind in (0, 1, 9, 15, 22, 31)),
        *((h265(kind, 0), True) for kind in range(16, 22)),  # BLA, IDR, CRA
        (h265(32, 0), True),  # VPS
        (h265(33, 0), True),  # SPS
        *((h265(kind, 0), None) for kind in (34, 35, 39, 40, 47)),  # PPS, AUD, SEI, reserved
        (bytes([19 << 1 | 1, 0xF9, 0]), True),  # of another layer
        (h265(49, 0x80 | 19), True),  # FU: its start tells, the rest does not
        (h265(49, 19), None),
        (h265(49, 0x40 | 19), None),
        (h265(49, 0x80 | 1), False),
        (h265(49), None),
        (h265(48, 0, 3, *h265(35, 0), 0, 3, *h265(32, 0)), True),  # AP: AUD and VPS
        (h265(48, 0, 3, *h265(35, 0), 0, 3, *h265(1, 0)), False),
        (h265(48, 0xFF, 0xFF, *h265(35, 0)), None),
        (h265(50, 0, 0, *h265(19, 0)), None),  # PACI
        (h265(19), None),
        (b"", None),
    ],
)
def test_h265(payload: bytes, is_key: object) -> None:
    """RFC 7798: pictures of random access, VPS and SPS are key, other pictures are not, the rest does not tell."""
    assert answer("H265", payload) is is_key


def test_jpeg_is_key_unless_its_beginning_is_lost() -> None:
    """Each JPEG picture stands for itself, if its first fragment is there: the one with the tables."""
    assert is_all_key("JPEG")
    assert not is_all_key("H264")
    assert answer("JPEG", b"\0\0\0\0\1\xff\x28\x18") is True
    assert answer("JPEG", b"\0\0\5\x50\1\xff\x28\x18") is False
    assert answer("JPEG", b"\0\0\0\0\1", head=b"\x91" + bytes(15) + b"\xbe\xde\0\1" + bytes(4)) is True
    assert answer("JPEG", b"\0\0\0") is None


def test_an_encoding_that_is_not_recorded_has_no_key_pictures() -> None:
    """Nothing is stored of what nobody can enter."""
    assert answer("MP4V-ES", b"\x65") is None


@pytest.mark.parametrize(("encoding", "key"), [("H264", b"\x65\x88"), ("H265", h265(19, 0))])
def test_payload_is_found_behind_sources_and_extension_and_before_padding(encoding: str, key: bytes) -> None:
    """RFC 3550 section 5.1."""
    head = bytes([0x80 | 0x10 | 2]) + bytes(11) + bytes(8) + b"\xab\xac\x00\x01" + bytes(4)
    assert answer(encoding, key, head) is True
    for end in range(12, len(head) + 1):
        assert answer(encoding, b"", head[:end]) is None
    padded = bytes([0x80 | 0x20]) + bytes(11)
    assert answer(encoding, key + b"\x00\x00\x03", padded) is True
    assert answer(encoding, key + b"\x00" * 3 + bytes([len(key) + 4]), padded) is None
    assert answer(encoding, key + b"\xff", padded) is None


@settings(max_examples=300)
@given(st.sampled_from(["H264", "H265"]), st.binary(min_size=12, max_size=60))
def test_hostile_packets_are_answered_from_their_own_bytes(encoding: str, packet: bytes) -> None:
    """Whatever the lengths inside say: no error, and bytes of the neighbours change nothing."""
    find = key_finder(encoding)
    among_keys = b"\x65" * 20 + packet + b"\x65\x67\x26\x01" * (SEI_BYTES_MAX // 4)
    assert find(packet, 0, len(packet)) == find(among_keys, 20, 20 + len(packet))
