"""The source is a camera that our own recorder records exactly, and that tells what it could not send."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from random import Random

from agent.acquire.camera import CameraStream
from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window
from agent.crypto import Secret
from agent.outside.host import HostClock
from agent.outside.rtsp_sockets import RtspDialer
from agent.outside.slab_files import SlabLog
from agent.recorder import Recorder, RecorderSettings
from tests.bench.loop import Loop, Picture, load_loop, packetise, save_loop
from tests.bench.read_back import read_back
from tests.bench.recorder_process import open_ring
from tests.bench.source import QUEUE_BYTES_MAX, Source

CAMERA = CameraId("camera-0")
SPS, PPS = bytes.fromhex("674d4028da01e0089f97011000000300100000030320f18329"), bytes.fromhex("68ef3880")
PICTURES = 20


def make_loop(picture_bytes: int = 4000, key_every: int = 5) -> Loop:
    """Make a short loop of pictures that no decoder could read: recording needs no more than their kind."""
    random = Random(1)  # noqa: S311 - the same pictures every time, no secret
    stream = b""
    for number in range(PICTURES):
        content = bytes(random.choices(range(1, 256), k=picture_bytes))
        is_key = number % key_every == 0
        head = b"\0\0\0\1".join((b"", SPS, PPS)) if is_key else b""
        stream += head + b"\0\0\0\1" + (b"\x65" if is_key else b"\x41") + content
    return packetise(stream)


@contextmanager
def serving(loop: Loop, queue_bytes_max: int = QUEUE_BYTES_MAX) -> Iterator[Source]:
    """Serve a loop in a thread."""
    source = Source(loop, queue_bytes_max)
    control, stop = os.pipe()
    thread = threading.Thread(target=source.serve, args=(control, lambda: False))
    thread.start()
    try:
        yield source
    finally:
        os.write(stop, b"\n")
        thread.join()
        source.close()
        os.close(control)
        os.close(stop)


def payloads(picture: Picture) -> list[bytes]:
    """Return what a picture's RTP packets carry."""
    return [picture.wire[begin + 16 : end] for begin, end in zip((0, *picture.ends), picture.ends, strict=False)]


def stored_payloads(ring: SlabLog) -> list[bytes]:
    """Return what the RTP packets in a ring carry, in order."""
    everything = Window(WallTime(1), WallTime(HostClock().now() + 3600 * SECOND_NS))
    found = []
    for chunk in ring.footage(CAMERA, everything).chunks:
        payload, at = ring.read(chunk), 0
        while at < len(payload):
            end = at + 4 + int.from_bytes(payload[at + 2 : at + 4], "big")
            if payload[at + 1] == 0:
                found.append(payload[at + 16 : end])
            at = end
    return found


def test_our_recorder_records_exactly_what_it_sends(tmp_path: Path) -> None:
    """Every packet of the loop, from a key picture on, lap after lap, byte for byte; and the judge says so too."""
    loop = make_loop()
    key = Secret(os.urandom(32))
    ring = open_ring(tmp_path / "ring", key)
    recorder = Recorder(ring, HostClock(), RtspDialer(), RecorderSettings(tick_ms=50))
    enough = 2 * PICTURES * len(loop.pictures[0].wire)
    with serving(loop) as source:
        recorder.add(CameraStream(CAMERA, "", f"rtsp://127.0.0.1:{source.port}/ours/0", None, None))
        thread = threading.Thread(target=recorder.run)
        thread.start()
        while not any(health.bytes_received > enough for health in recorder.health()):
            thread.join(0.05)
        recorder.stop()
        thread.join()
    ring.close()
    ring = open_ring(tmp_path / "ring", key)
    stored, found = stored_payloads(ring), read_back(ring, CAMERA)
    ring.close()
    first = next(number for number, picture in enumerate(loop.pictures) if payloads(picture)[1] == stored[1])
    expected = [
        one for picture in islice(cycle(loop.pictures), first, first + 5 * PICTURES) for one in payloads(picture)
    ]
    assert loop.pictures[first].is_key
    assert len(stored) > PICTURES * len(payloads(loop.pictures[1]))
    assert stored == expected[: len(stored)]
    assert found.is_whole
    assert source.sent["ours"].clients == 1
    assert source.sent["ours"].dropped == 0
    assert source.sent["ours"].bytes >= sum(len(one) + 16 for one in stored)


def test_who_does_not_read_misses_whole_pictures_and_is_counted() -> None:
    """Nothing is cut in half, and another viewer misses nothing."""
    loop = make_loop(picture_bytes=200_000, key_every=1)
    ask = "{} rtsp://127.0.0.1/{} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    with serving(loop, queue_bytes_max=300_000) as source:
        address = ("127.0.0.1", source.port)
        with socket.create_connection(address) as lazy, socket.create_connection(address) as keen:
            lazy.sendall(ask.format("PLAY", "lazy/0").encode())
            keen.sendall(ask.format("PLAY", "keen/0").encode())
            while not source.sent.get("lazy") or source.sent["lazy"].dropped < 3:
                assert keen.recv(1 << 20)
    lazy_sent, keen_sent = source.sent["lazy"], source.sent["keen"]
    assert lazy_sent.bytes % len(loop.pictures[0].wire) == 32  # the sender report
    assert keen_sent.pictures > lazy_sent.pictures


def test_every_client_joins_at_another_place() -> None:
    """Eight clients that ask at the same time get eight different first packets."""
    loop = make_loop()
    firsts = set()
    with serving(loop) as source:
        for number in range(8):
            with socket.create_connection(("127.0.0.1", source.port)) as link:
                link.sendall(f"PLAY rtsp://127.0.0.1/one/{number} RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
                came = b""
                while len(came.partition(b"\r\n\r\n")[2]) < 32 + 1000:
                    came += link.recv(4096)
                firsts.add(came.partition(b"\r\n\r\n")[2][32 + 100 : 32 + 1000])
    assert len(firsts) == 8


def test_a_loop_is_kept_in_a_file(tmp_path: Path) -> None:
    """What is read back is what was saved."""
    loop = make_loop()
    save_loop(loop, tmp_path / "some.loop")
    assert load_loop(tmp_path / "some.loop") == loop
