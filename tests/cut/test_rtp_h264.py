"""H.264's payloads become NAL units."""

from __future__ import annotations

from agent.cut.rtp_h264 import H264Payload, announced_sets


def take(*payloads: bytes) -> list[bytes | None]:
    """Take payloads in their order."""
    subject = H264Payload()
    return [nal for payload in payloads for nal in subject.take(payload, is_marked=False)]


def test_single_aggregated_and_fragmented_units_come_out_whole() -> None:
    """The header of a fragmented unit is put together from both of its parts (RFC 6184 5.8)."""
    assert take(b"\x41ab", b"\x78\0\2\x67a\0\1\x68", b"\x7c\x85ab", b"\x7c\5cd", b"\x7c\x45e") == [
        b"\x41ab", b"\x67a", b"\x68", b"\x65abcde",
    ]  # fmt: skip


def test_what_does_not_fit_together_is_a_loss() -> None:
    """A lying size, a fragment without its beginning or end, half a header, interleaved mode."""
    assert take(b"\x78\0\2\x67a\0\x09\x68") == [b"\x67a", None]
    assert take(b"\x7c\5cd") == [None]
    assert take(b"\x7c\x85ab", b"\x41ab") == [None, b"\x41ab"]
    assert take(b"\x7c\x85ab", b"\x7c\x85cd", b"\x7c\x45e") == [None, b"\x65cde"]
    assert take(b"\x7c") == [None]
    assert take(b"\x79\0\0\0\1\x67", b"") == [None]


def test_only_parameter_sets_are_taken_from_the_sdp() -> None:
    """Broken base64 and other units are left out."""
    assert announced_sets("a=1; sprop-parameter-sets=!!!!,Z0,aM4=,ZQ==") == [b"g", b"h\xce"]
    assert announced_sets("") == []
