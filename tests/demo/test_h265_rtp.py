"""The virtual camera's H.265 is H.265: groups as set, packets as RFC 7798 has them, pictures that decode."""

from __future__ import annotations

import av
import numpy as np

from agent.demo.h264_rtp import PACKET_BYTES_MAX, AccessUnit, EncoderSettings
from agent.demo.h265_rtp import H265Encoder, h265_parameter_sets
from tests.simulators.h265_source import kind

SETTINGS = EncoderSettings(width=320, height=180, gop=5, bitrate_bps=4_000_000, codec="H265")


def film(pictures: int, *, asked: frozenset[int] = frozenset()) -> list[AccessUnit]:
    """Film noise, which is dear."""
    encoder, chance, units = H265Encoder(SETTINGS), np.random.default_rng(1), []
    for number in range(pictures):
        planes = chance.integers(0, 255, (270, 320), np.uint8)
        units += encoder.encode(planes, number * 6000, is_key=number in asked)
    return units + encoder.flush()


def test_key_pictures_are_where_they_are_set_and_asked_for() -> None:
    """Every fifth picture is an IDR with its parameter sets, and one more on request."""
    units = film(12, asked=frozenset({7}))
    keys = [number for number, unit in enumerate(units) if unit.is_key]
    assert keys[:3] == [0, 5, 7]
    assert [unit.ticks for unit in units] == [number * 6000 for number in range(12)]
    for number in keys:
        kinds = {kind(nal) for nal in units[number].nal_units}
        assert {32, 33, 34} <= kinds
        assert kinds & {19, 20}


def test_packets_put_together_again_are_the_pictures() -> None:
    """None is too long; aggregates and fragments give back every NAL unit; the decoder shows every picture."""
    units, decoder, shown = film(6), av.CodecContext.create("hevc", "r"), 0
    for unit in units:
        payloads = list(unit.payloads())
        assert max(map(len, payloads)) <= PACKET_BYTES_MAX
        assert put_together(payloads) == [*sets(unit), *others(unit)]
        shown += len(decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in unit.nal_units))))
    assert shown + len(decoder.decode(None)) == len(units)
    assert any(len(list(unit.payloads())) > len(unit.nal_units) for unit in units)


def sets(unit: AccessUnit) -> list[bytes]:
    """Return a picture's parameter sets."""
    return [nal for nal in unit.nal_units if kind(nal) in (32, 33, 34)]


def others(unit: AccessUnit) -> list[bytes]:
    """Return the rest."""
    return [nal for nal in unit.nal_units if kind(nal) not in (32, 33, 34)]


def put_together(payloads: list[bytes]) -> list[bytes]:
    """Read RTP payloads as RFC 7798 section 4.4 has them."""
    nals: list[bytes] = []
    for payload in payloads:
        match kind(payload):
            case 48:
                at = 2
                while at < len(payload):
                    length = int.from_bytes(payload[at : at + 2], "big")
                    nals.append(payload[at + 2 : at + 2 + length])
                    at += 2 + length
            case 49 if payload[2] & 0x80:
                nals.append(bytes((payload[0] & 0x81 | (payload[2] & 0x3F) << 1, payload[1])) + payload[3:])
            case 49:
                nals[-1] += payload[3:]
            case _:
                nals.append(payload)
    return nals


def test_the_description_has_all_parameter_sets() -> None:
    """As the stream will send them."""
    told = h265_parameter_sets(SETTINGS)
    assert [kind(nal) for nal in (told.vps, told.sps, told.pps)] == [32, 33, 34]
    assert [part.partition("=")[0] for part in told.fmtp.split(";")] == ["sprop-vps", "sprop-sps", "sprop-pps"]
    assert set(sets(film(1)[0])) == {told.vps, told.sps, told.pps}
