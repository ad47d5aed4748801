"""Encoding and packets: exact timestamps, whole NAL units again after packetising, reports that agree."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.demo.h264_rtp import (
    PACKET_BYTES_MAX,
    AccessUnit,
    EncoderSettings,
    H264Encoder,
    RtpSession,
    parameter_sets,
)

TICKS = 161_582_080_590_000 + 24_317
NALS = st.binary(min_size=1, max_size=5000).map(lambda rest: bytes((0x41,)) + rest)


def nal_units_of(packets: list[bytes]) -> list[bytes]:
    """Undo RFC 6184 packetisation, plainly."""
    units: list[bytes] = []
    for payload in (packet[12:] for packet in packets):
        kind = payload[0] & 0x1F
        if kind == 24:
            at = 1
            while at < len(payload):
                (size,) = struct.unpack_from(">H", payload, at)
                units.append(payload[at + 2 : at + 2 + size])
                at += 2 + size
        elif kind == 28:
            if payload[1] & 0x80:
                units.append(bytes((payload[0] & 0xE0 | payload[1] & 0x1F,)))
            units[-1] += payload[2:]
        else:
            units.append(payload)
    return units


@given(st.lists(NALS, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60)
def test_packets_hold_the_picture_and_no_more(nals: list[bytes], has_headers: bool) -> None:  # noqa: FBT001 - a test's case
    """NAL units come out as they went in, in packets under the limit, the last one marked, numbers rising."""
    headers = [b"\x67sps", b"\x68pps"] if has_headers else []
    session = RtpSession()
    packets = list(session.packets(AccessUnit(TICKS, has_headers, tuple(headers + nals))))
    assert nal_units_of(packets) == headers + nals
    assert max(map(len, packets)) <= PACKET_BYTES_MAX + 12
    heads = [struct.unpack(">BBHII", packet[:12]) for packet in packets]
    assert [bool(head[1] & 0x80) for head in heads] == [False] * (len(heads) - 1) + [True]
    assert {head[3] for head in heads} == {session.timestamp(TICKS)}
    assert [(b[2] - a[2]) % 65536 for a, b in pairwise(heads)] == [1] * (len(heads) - 1)


def test_a_report_names_the_same_instant_as_the_timestamps() -> None:
    """A sender report's NTP time is its RTP timestamp's capture tick within 1 ns, and it counts what was sent."""
    session = RtpSession()
    sent = list(session.packets(AccessUnit(TICKS, is_key=False, nal_units=(bytes((0x41,)) * 3000,))))
    kind, _, ssrc, ntp, rtp, packets, octets = struct.unpack(">xBHIQIII", session.sender_report(TICKS + 77)[:28])
    assert (kind, ssrc, packets, octets) == (200, session.ssrc, len(sent), sum(map(len, sent)) - 12 * len(sent))
    assert rtp == (TICKS + 77 + session.offset_ticks) % 2**32
    seconds, fraction = divmod(ntp, 2**32)
    error_s = (seconds - 2_208_988_800) * 90_000 + fraction * 90_000 / 2**32 - (TICKS + 77)
    assert abs(error_s / 90_000) < 1e-9


@pytest.mark.parametrize(("b_frames", "gop"), [(0, 10), (2, 12)])
def test_key_pictures_come_exactly_every_group_with_their_headers(b_frames: int, gop: int) -> None:
    """Every `gop` pictures an IDR with SPS and PPS before it, as announced; no picture is lost or renamed."""
    wanted = EncoderSettings(width=160, height=120, gop=gop, b_frames=b_frames)
    encoder, sets = H264Encoder(wanted), parameter_sets(wanted)
    noise = np.random.default_rng(2)
    pictures = [noise.integers(0, 255, (180, 160)).astype(np.uint8) for _ in range(36)]
    units = [u for n, p in enumerate(pictures) for u in encoder.encode(p, TICKS + n * 6000)] + encoder.flush()
    assert sorted(unit.ticks for unit in units) == [TICKS + n * 6000 for n in range(36)]
    keys = [unit for unit in units if unit.is_key]
    assert [(unit.ticks - TICKS) // 6000 for unit in keys] == list(range(0, 36, gop))
    for unit in keys:
        assert unit.nal_units[:2] == (sets.sps, sets.pps)
        assert unit.nal_units[-1][0] & 0x1F == 5
    has_reordering = [unit.ticks for unit in units] != sorted(unit.ticks for unit in units)
    assert has_reordering == (b_frames > 0)
    assert sets.fmtp.startswith(f"packetization-mode=1;profile-level-id={sets.sps[1:4].hex().upper()};sprop")
