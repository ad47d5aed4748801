"""Every stream an ONVIF camera sends, from encoders and a server nobody of us wrote, comes back as it was sent.

All cameras are recorded at once. What is in the ring is held against the server's own log of the packets it made.
"""

from __future__ import annotations

import re
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Final, TypeVar

import pytest

from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId, StreamHeader
from agent.acquire.timeline import hub_time
from agent.buffer.chunk import StoredChunk
from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.sound_gaps import STEADY_NS_MAX, WHY_SOUND_EDGE
from agent.outside.cutter import ChildCutter
from tests.simulators.foreign_cameras import tool
from tests.simulators.foreign_streams import Frame, GstStreams, depacketize, gst_streams, of_channel, split
from tests.simulators.heard import hear, power
from tests.simulators.recording_hub import RecordingHub
from tests.simulators.stream_sorts import SORTS
from tests.simulators.wire_tap import WireTap

_Item = TypeVar("_Item")
SECONDS: Final = 4
TAIL_TICKS: Final = 2 * 90_000  # what the server made last may never have been sent


@dataclass(frozen=True)
class Recorded:
    """What the ring has of one camera, in its one run."""

    header: StreamHeader
    chunks: list[StoredChunk]
    payloads: list[bytes]

    @property
    def frames(self) -> list[Frame]:
        """All frames in their order."""
        return split(b"".join(self.payloads))

    @property
    def video(self) -> list[bytes]:
        """The video's RTP packets."""
        return of_channel(self.frames, self.header.video.channel)


@dataclass(frozen=True)
class Day:
    """All that was recorded, and the server's logs."""

    server: GstStreams
    heard: dict[str, bytes]  # everything that each camera wrote on its connection
    cameras: dict[str, Recorded]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Record all cameras side by side, none of them with a failure."""
    folder = tmp_path_factory.mktemp("streams")
    with (
        gst_streams(folder / "gst", {name: one.mount for name, one in SORTS.items()}) as server,
        WireTap(server.port) as tap,
        RecordingHub(folder / "ring") as hub,
    ):
        for name in SORTS:
            hub.record(name, tap.url(name), has_sound=SORTS[name].sound is not None or name == "h264-extended")
        for name in SORTS:
            hub.wait_recorded(CameraId(name), SECONDS)
        healths = [hub.health(CameraId(name)) for name in SORTS]
        hub.stop()
        assert {(one.state, one.error, one.reconnects, one.chunks_lost) for one in healths} == {
            (CameraState.RECORDING, "", 0, 0)
        }
        cameras = {}
        for name in SORTS:
            (run,) = hub.runs(CameraId(name))
            payloads = [hub.ring.read(chunk) for chunk in run]
            cameras[name] = Recorded(hub.header(CameraId(name)), run, payloads)
        heard = {name: bytes(tap.heard[f"OPTIONS {tap.url(name)} RTSP/1.0"]) for name in SORTS}
        yield Day(server, heard, cameras)


def place(stored: list[_Item], sent: list[_Item]) -> int:
    """Say where in what was sent the stored begins; it must be an unbroken piece of it."""
    places = [at for at, one in enumerate(sent) if stored and one == stored[0]]
    found = [at for at in places if sent[at : at + len(stored)] == stored]
    assert found, f"{len(stored)} of {len(sent)} are not one piece, wherever it begins of {places[:20]}"
    return found[0]


def rtp(packet: bytes) -> int:
    """Return a packet's timestamp."""
    return int.from_bytes(packet[4:8])


def ticks_after(before: bytes, after: bytes) -> int:
    """Return how much later a packet's timestamp is than another's."""
    return (rtp(after) - rtp(before) + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("name", SORTS)
def test_every_video_packet_comes_back(day: Day, name: str) -> None:
    """From a key picture on, in one piece, nothing missing, doubled, changed or in another order."""
    sent, stored = day.server.sent(name), day.cameras[name].video
    at = place(stored, [packet.octets for packet in sent])
    assert sent[at].is_key
    # What the server makes before PLAY it does not always send, the first packet for one; the wire is judged below.
    assert at <= 1 or sent[at - 1].octets[1] >= 0x80
    assert ticks_after(stored[-1], sent[-1].octets) < TAIL_TICKS
    keys_before = {rtp(packet.octets) for packet in sent[:at] if packet.is_key}
    assert len(keys_before) <= (2 if SORTS[name].encoding == "JPEG" else 1)  # made before PLAY


@pytest.mark.parametrize("name", SORTS)
def test_what_came_over_the_wire_is_stored_as_it_came(day: Day, name: str) -> None:
    """Picture, sound and reports, in the order in which they came; from the first key picture on, all of it."""
    camera = day.cameras[name]
    channels = {channel for track in camera.header.tracks for channel in (track.channel, track.channel + 1)}
    heard = [frame for frame in split(without_messages(day.heard[name])) if frame.channel in channels]
    at = place(camera.frames, heard)
    before = {frame.rtp for frame in heard[:at] if frame.channel == camera.header.video.channel}
    if SORTS[name].encoding == "JPEG":  # the server sends its first picture without the beginning
        assert len(before) <= 1
    else:
        assert not before  # it begins with a key picture


def without_messages(wire: bytes) -> bytes:
    """Leave the answers out, which come first, and the one to the goodbye at the end."""
    return re.sub(rb"RTSP/1\.0 200 OK\r\n(?:[\w-]+: .*\r\n)+\r\n(?:v=0\r\n(?:[a-z]=.*\r\n)+)?", b"", wire)


@pytest.mark.parametrize("name", SORTS)
def test_chunks_begin_where_the_encoder_says_that_decoding_may(day: Day, name: str) -> None:
    """The first chunk is key; a chunk is marked key if and only if a key unit begins with its first packet."""
    key_units = {rtp(packet.octets) for packet in day.server.sent(name) if packet.is_key}
    camera = day.cameras[name]
    assert camera.chunks[0].meta.is_key
    assert [chunk.meta.sequence for chunk in camera.chunks] == list(range(1, len(camera.chunks) + 1))
    marked = set()
    for chunk, payload in zip(camera.chunks, camera.payloads, strict=True):
        first = next(frame for frame in split(payload) if frame.channel == camera.header.video.channel)
        assert first.rtp == chunk.meta.first_rtp
        if chunk.meta.is_key:
            assert first.rtp in key_units
            marked.add(first.rtp)
    if SORTS[name].encoding != "JPEG":  # there every picture is key, and a chunk holds many
        assert min(map(len, camera.payloads[:-1])) > 0
        stored_keys = key_units & {rtp(packet) for packet in camera.video}
        assert stored_keys == marked


@pytest.mark.parametrize("name", SORTS)
def test_every_picture_can_be_put_together_again(day: Day, name: str, tmp_path: Path) -> None:
    """GStreamer's own depacketizer makes of the ring's packets what the encoder made."""
    encoding, camera = SORTS[name].encoding, day.cameras[name]
    made = depacketize(camera.video, encoding, tmp_path)
    assert made
    if encoding == "JPEG":  # its headers are made anew, and say the same
        (tmp_path / "sent").write_bytes(b"".join(day.server.units(name)))
        stored, sent = pictures(tmp_path / "JPEG.stream", "mjpeg"), pictures(tmp_path / "sent", "mjpeg")
    else:
        stored = nal_units(made)
        sent = [unit for picture in day.server.units(name) for unit in nal_units(picture)]
    assert len(stored) >= SECONDS
    place(stored, sent)


def nal_units(stream: bytes) -> list[bytes]:
    """Split a byte stream (H.264 annex B)."""
    return [unit.rstrip(b"\0") for unit in re.split(rb"\x00\x00\x01", stream) if unit.strip(b"\0")]


def pictures(stream: Path, kind: str) -> list[bytes]:
    """Decode a file with ffmpeg; return a digest of each picture."""
    options: list[str | Path] = ["-xerror", "-f", kind, "-i", stream, "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    command = [tool("ffmpeg", "ffmpeg"), "-v", "error", *options]
    lines = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.splitlines()
    return [line.rpartition(b",")[2] for line in lines if not line.startswith(b"#")]


@pytest.mark.parametrize("name", SORTS)
def test_sound_is_recorded_where_it_is_wanted(day: Day, name: str) -> None:
    """Its track is described as the server did, its packets are all there and unchanged; unasked-for, there is none."""
    camera, wanted = day.cameras[name], SORTS[name].sound
    assert (camera.header.video.encoding, camera.header.video.clock_rate_hz) == (SORTS[name].encoding, 90_000)
    channels = {frame.channel for frame in camera.frames}
    if wanted is None:
        assert len(camera.header.tracks) == 1
        assert channels <= {0, 1}
        return
    track = camera.header.tracks[1]
    assert track.media == "audio"
    assert (track.encoding, track.payload_type, track.clock_rate_hz, track.sound_channels) == wanted
    assert track.channel == 2
    assert channels <= {0, 1, 2, 3}
    sounds = of_channel(camera.frames, 2)
    place(sounds, [packet.octets for packet in day.server.sent(name, 1)])
    assert ticks_after(sounds[0], sounds[-1]) > (SECONDS - 1) * track.clock_rate_hz
    if track.encoding == "MPEG4-GENERIC":
        assert "config=" in track.fmtp


@pytest.mark.parametrize("name", ["h264-pcmu", "h264-slices-pcma", "h264-b-pictures-aac", "h264-aggregated-opus"])
def test_sound_between_the_pictures_does_not_touch_a_clip(day: Day, name: str, tmp_path: Path) -> None:
    """It has exactly the pictures of the window, and is to the byte the clip that is cut without the sound's frames."""
    camera = day.cameras[name]
    first = camera.chunks[0].meta.first_picture
    window = Window(WallTime(first + 1_450_000_000), WallTime(first + 3_150_000_000))
    clip, report = cut(camera, window, set(range(256)))
    assert cut(camera, window, {0, 1}) == (clip, report)
    shown = [hub_time(chunk.meta.anchor, one) for chunk, one in starts(camera)]
    expected = len([time for time in shown if window.start <= time < window.end])
    assert (report.pictures, report.refused, report.gaps) == (expected, 0, ())
    assert expected == 17
    mp4 = tmp_path / "clip.mp4"
    mp4.write_bytes(clip)
    assert len(pictures(mp4, "mp4")) == expected


@pytest.mark.parametrize("name", ["h264-pcmu", "h264-slices-pcma", "h264-b-pictures-aac", "h264-aggregated-opus"])
def test_sound_of_foreign_payloaders_is_heard_in_a_clip(day: Day, name: str) -> None:
    """GStreamer's tone of 440 Hz, timed by GStreamer's sender reports: all of it but a copied block's edges."""
    camera = day.cameras[name]
    first = camera.chunks[0].meta.first_picture
    window = Window(WallTime(first + 1_450_000_000), WallTime(first + 3_150_000_000))
    clip, report = cut(camera, window, set(range(256)), window)
    heard, rate_hz, _ = hear(clip)
    assert report.sound is not None
    assert (report.pictures, report.sound.clock) == (17, "sr")
    if is_steady(camera):  # on a busy machine GStreamer's own source skips some sound
        assert all(gap.why == WHY_SOUND_EDGE for gap in report.sound.gaps), (window, report.sound)
    assert len(heard) / rate_hz > 1.4
    assert power(heard, rate_hz, 440) > 0.9 * float((heard**2).mean()) > 0.01


def is_steady(camera: Recorded) -> bool:
    """Say whether the sound was sent without a hole: by its packets' timestamps it is nowhere off an even pace."""
    track = camera.header.tracks[1]
    packets = [packet for payload in camera.payloads for packet in of_channel(split(payload), track.channel)]
    steps = [ticks_after(before, after) for before, after in pairwise(packets)]
    usual = sorted(steps)[len(steps) // 2]
    places = list(accumulate((step - usual for step in steps), initial=0))
    return max(places) - min(places) <= STEADY_NS_MAX * track.clock_rate_hz // SECOND_NS


def cut(camera: Recorded, window: Window, channels: set[int], sound: Window | None = None) -> tuple[bytes, ClipReport]:
    """Let the child cut a window out of the frames of these channels."""
    pieces: list[bytes] = []
    wires = (
        b"".join(
            struct.pack(">cBH", b"$", frame.channel, len(frame.packet)) + frame.packet
            for frame in split(payload)
            if frame.channel in channels
        )
        for payload in camera.payloads
    )
    chunks = (
        WireChunk(chunk.meta.run, chunk.meta.sequence, chunk.meta.anchor, wire)
        for chunk, wire in zip(camera.chunks, wires, strict=True)
    )
    report = ChildCutter().cut(CutOrder(window, (camera.header,), sound), chunks, pieces.append)
    return b"".join(pieces), report


def starts(camera: Recorded) -> Iterator[tuple[StoredChunk, int]]:
    """Yield the chunk and the timestamp of each picture's first packet."""
    before = None
    for chunk, payload in zip(camera.chunks, camera.payloads, strict=True):
        for packet in of_channel(split(payload), 0):
            if rtp(packet) != before:
                before = rtp(packet)
                yield chunk, before


def test_the_streams_are_what_they_are_meant_to_be(day: Day) -> None:
    """Fragments, aggregates, slices, B pictures, extensions, sources, key pictures beyond a chunk: all were there."""

    def payloads(name: str) -> list[bytes]:
        return [packet[12:] for packet in day.cameras[name].video]

    types_264 = {name: {one[0] & 31 for one in payloads(name)} for name in ("h264-pcmu", "h264-aggregated-opus")}
    assert {7, 8, 28} <= types_264["h264-pcmu"]
    assert 24 in types_264["h264-aggregated-opus"]
    assert {32, 33, 34, 49} <= {one[0] >> 1 & 63 for one in payloads("h265-g726")}
    assert {48, 49} <= {one[0] >> 1 & 63 for one in payloads("h265-aggregated")}
    sliced = groupby(payloads_by_picture(day.cameras["h264-slices-pcma"].video), key=lambda pair: pair[0])
    assert max(len([one for _, one in group if slice_begins(one)]) for _, group in sliced) == 4
    video = day.cameras["h264-b-pictures-aac"].video
    assert any(ticks_after(before, after) < 0 for before, after in pairwise(video))
    assert all(packet[0] & 0x10 for packet in day.cameras["h264-extended"].video)
    assert {packet[0] & 15 for packet in day.cameras["h264-mixed"].video} == {2}
    large = day.cameras["h264-large"]
    assert max(map(len, large.video)) > 50_000
    key_bytes: dict[int, int] = {}
    for packet in large.video:
        key_bytes[rtp(packet)] = key_bytes.get(rtp(packet), 0) + len(packet)
    assert max(key_bytes.values()) > 500_000


def payloads_by_picture(video: list[bytes]) -> list[tuple[int, bytes]]:
    """Return each packet's timestamp and payload."""
    return [(rtp(packet), packet[12:]) for packet in video]


def slice_begins(payload: bytes) -> bool:
    """Say whether an H.264 packet holds the beginning of a slice, whole or the first piece."""
    kind = payload[0] & 31
    return kind in {1, 5} or (kind == 28 and bool(payload[1] & 0x80) and payload[1] & 31 in {1, 5})
