"""H.265's payloads become NAL units."""

from __future__ import annotations

import base64

import pytest

from agent.cut.rtp_h265 import H265Payload, announced_sets
from tests.simulators.h265_source import H265Recipe, film_h265, packetize_h265


def take(*payloads: bytes, fmtp: str = "") -> list[bytes | None]:
    """Take payloads in their order."""
    subject = H265Payload(fmtp)
    return [nal for payload in payloads for nal in subject.take(payload, is_marked=False)]


@pytest.mark.parametrize("has_order", [False, True])
def test_every_unit_comes_back_as_it_was_sent(*, has_order: bool) -> None:
    """Single, aggregated and fragmented, with decoding order numbers where the SDP announces them (RFC 7798 4.4)."""
    source = film_h265(H265Recipe(pictures=6, x265="slices=2"))
    for unit in source.units:
        fmtp = "sprop-max-don-diff=1" if has_order else "sprop-max-don-diff=0"
        assert take(*packetize_h265(unit, 60, has_order=has_order), fmtp=fmtp) == list(unit)


def test_what_does_not_fit_together_is_a_loss() -> None:
    """A lying size, a fragment without its beginning or end, half a header, PACI."""
    assert take(b"\x60\x01\0\3\x40\1a\0\x09\x42") == [b"\x40\1a", None]
    assert take(b"\x62\x01\1ab") == [None]
    assert take(b"\x62\x01\x81ab", b"\x02\x01ab") == [None, b"\x02\x01ab"]
    assert take(b"\x62\x01\x81ab", b"\x62\x01\x41c") == [b"\x02\x01abc"]
    assert take(b"\x62\x01", b"\x64\x01ab", b"") == [None, None]


def test_only_parameter_sets_are_taken_from_the_sdp() -> None:
    """All three parameters may hold several; broken base64 and other units are left out."""
    vps, sps, pps = b"\x40\x01a", b"\x42\x01b", b"\x44\x01c"
    text = {name: base64.b64encode(nal).decode() for name, nal in (("vps", vps), ("sps", sps), ("pps", pps))}
    fmtp = f"sprop-sps={text['sps']},!!!!; sprop-vps={text['vps']};sprop-pps={text['pps']},JgEB"
    assert announced_sets(fmtp) == [vps, sps, pps]
