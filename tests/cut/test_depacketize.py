"""Wire bytes become access units, whole or marked."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import StreamHeader
from agent.clock import WallTime
from agent.cut.clip import WireChunk
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.rtp import interleaved_frames
from agent.cut.rtp_h264 import announced_sets
from agent.errors import BadInputError
from tests.simulators.h264_source import (
    EPOCH,
    Recipe,
    Source,
    film,
    packetize,
    rtp_frame,
    without_packets,
)

SDP_SETS = 2  # an SPS and a PPS lead the first unit of a run


def units_of(source: Source) -> list[AccessUnit]:
    """Depacketise a whole source."""
    return depacketize([source.header], source.chunks)


@pytest.mark.parametrize(
    "recipe", [Recipe(), Recipe(slices=3, gop=5), Recipe(b_frames=2), Recipe(gop=1, profile="baseline")]
)
def test_every_picture_comes_back_as_it_was_sent(recipe: Recipe) -> None:
    """STAP-A, FU-A and single NAL units give back the NAL units, across chunks and wrapping counters."""
    source = film(recipe)
    units = units_of(source)
    assert [unit.nals[SDP_SETS * (n == 0) :] for n, unit in enumerate(units)] == list(source.units)
    assert [unit.time for unit in units] == [source.times[shown] for shown in source.order]
    assert [n for n, unit in enumerate(units) if unit.is_key] == sorted(source.key_units)
    assert [n for n, unit in enumerate(units) if unit.is_gap or unit.is_torn] == [0]
    assert not any(unit.is_torn for unit in units)


def test_a_key_chunk_begins_with_the_picture_whose_time_it_states() -> None:
    """The child and the ring's index compute the same border."""
    source = film(Recipe(gop=10))
    header = source.header
    for chunk in source.chunks[1:]:
        (first, *_) = depacketize([header], [chunk])
        assert first.time in source.times


def test_parameter_sets_come_from_the_sdp() -> None:
    """A camera that never sends them in band is readable."""
    units = units_of(film(Recipe(pictures=5), in_band=False))
    assert [nal[0] & 31 for nal in units[0].nals[:2]] == [7, 8]
    assert announced_sets("a=1; sprop-parameter-sets=!!!!,Z0,aM4=") == [b"g", b"h\xce"]


def test_every_single_loss_is_noticed() -> None:
    """Whichever packet is lost, the unit it belonged to is torn or missing, and a gap is marked there."""
    source = film(Recipe(pictures=8, gop=4, slices=2))
    clean = units_of(source)
    count = sum(frame[0] == 0 for chunk in source.chunks for frame in interleaved_frames(chunk.wire))
    for lost in range(1, count - 1):
        units = units_of(without_packets(source, [lost]))
        kept = [unit for unit in units if not unit.is_torn]
        missing = {unit.time for unit in clean} - {unit.time for unit in kept}
        changed = {u.time for u in kept if u.nals not in {c.nals for c in clean}}
        assert missing or changed, lost
        assert any(unit.is_gap for unit in units[1:]) or any(unit.is_torn for unit in units), lost
        assert len(changed) <= 1  # only parameter sets, SEI or a delimiter were lost


def test_missing_chunks_and_new_runs_are_gaps() -> None:
    """What stands behind a missing chunk or at the head of a run is marked."""
    first, second = film(Recipe(gop=10)), film(Recipe(gop=10), run=2, start=WallTime(EPOCH + 10**10))
    chunks = [*first.chunks[:2], *first.chunks[3:], *second.chunks]
    units = depacketize([first.header, second.header], chunks)
    starts = [n for n, unit in enumerate(units) if unit.is_gap]
    missing = len(depacketize([first.header], first.chunks[:2]))
    run = len(depacketize([first.header], [*first.chunks[:2], *first.chunks[3:]]))
    assert starts == [0, missing, run]
    assert units[run].run == 2


def test_sets_sent_with_the_old_time_stamp_belong_to_the_next_picture() -> None:
    """H.264 7.4.1.2.3: parameter sets begin a new access unit, whatever their time stamp says."""
    source = film(Recipe(pictures=2))
    sps, pps, last = b"\x67\x01", b"\x68\x01", b"\x41\x9a\x00"
    packets = ((0, b"\x65\x88\x00"), (0, sps), (0, pps), (3600, last))
    wire = b"".join(rtp_frame(n, stamp, payload, marker=True) for n, (stamp, payload) in enumerate(packets))
    chunk = WireChunk(1, 0, source.chunks[0].anchor, wire)
    bare = msgspec.structs.replace(source.header.video, fmtp="")
    units = depacketize([msgspec.structs.replace(source.header, tracks=(bare,))], [chunk])
    assert [unit.nals for unit in units] == [(b"\x65\x88\x00",), (sps, pps, last)]


def test_sets_between_the_slices_of_one_picture_do_not_divide_it() -> None:
    """GStreamer's payloader repeats the parameter sets before every slice of a key picture: it stays one picture."""
    source = film(Recipe(pictures=2, slices=3))
    clean = units_of(source)
    sets = [nal for nal in source.units[0] if nal[0] & 31 in (7, 8)]
    nals = [nal for nal in source.units[0] if nal[0] & 31 == 5]
    sent = [payload for nal in nals for one in (*sets, nal) for payload in packetize([one])]
    wire = b"".join(rtp_frame(n, 0, payload, marker=n == len(sent) - 1) for n, payload in enumerate(sent))
    (unit,) = depacketize([source.header], [WireChunk(1, 0, source.chunks[0].anchor, wire)])
    assert (unit.is_key, unit.is_torn, unit.slices) == (True, False, clean[0].slices)
    assert len(unit.slices) == 3


def test_a_picture_that_just_stops_is_torn() -> None:
    """At the end of what was recorded, a picture without its marker may be half a picture."""
    source = film(Recipe(pictures=3))
    payloads = packetize(source.units[0])
    wire = b"".join(rtp_frame(n, 0, payload, marker=False) for n, payload in enumerate(payloads))
    (unit,) = depacketize([source.header], [WireChunk(1, 0, source.chunks[0].anchor, wire)])
    assert unit.is_torn


def test_other_codecs_are_refused_by_name() -> None:
    """What no camera of ONVIF sends is not supported, and the error says so."""
    source = film(Recipe(pictures=1))
    track = msgspec.structs.replace(source.header.video, encoding="VP8")
    with pytest.raises(BadInputError, match="codec not supported: VP8"):
        depacketize([msgspec.structs.replace(source.header, tracks=(track,))], source.chunks)


def test_a_run_without_its_stream_header_is_bad_input() -> None:
    """Nobody can tell what its bytes are."""
    source = film(Recipe(pictures=1))
    with pytest.raises(BadInputError, match="no stream header"):
        depacketize([], source.chunks)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.binary(max_size=40), st.booleans()), max_size=20))
def test_hostile_payloads_raise_bad_input_only(packets: list[tuple[int, int, bytes, bool]]) -> None:
    """Whatever a camera puts into its packets, units come out or BadInputError."""
    source = film(Recipe(pictures=1))
    wire, sequence = b"", 0
    for skip, tick, payload, marker in packets:
        sequence += skip
        wire += rtp_frame(sequence, tick, payload, marker=marker)
        wire += b"$\0" + len(payload).to_bytes(2, "big") + payload
    header: StreamHeader = source.header
    for unit in depacketize([header], [WireChunk(1, 0, source.chunks[0].anchor, wire)]):
        assert unit.slices


def test_only_the_tracks_own_payload_type_is_read() -> None:
    """Whatever else travels on the channel is left alone."""
    source = film(Recipe(pictures=3))
    other = msgspec.structs.replace(source.header.video, payload_type=97)
    assert depacketize([msgspec.structs.replace(source.header, tracks=(other,))], source.chunks) == []
