"""Uploads go as fast as the caps allow: over real sockets, several at once, on a line that is narrow itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.clips.upload_turns import UploadTurns
from agent.clock import SECOND_NS, WallTime, parse_rfc3339
from agent.command.request import UploadTarget
from agent.crypto import Secret, sha256_hex
from agent.deliver.cap import NO_CAPS, CappedHours, Caps
from agent.deliver.pace import BEHIND_SHARE, BURST_NS, PIECE_BYTES_MAX, REQUEST_BYTES_MIN, WIRE_FACTOR
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.turns import Freight, Urgency
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader, Patience
from agent.outside.pacer import CAP_EVERY_NS, MEASURE_BYTES_FIRST, Pacer, WithdrawnError
from tests.simulators.eventually import eventually
from tests.simulators.private_network import in_private_network
from tests.simulators.set_clock import SetClock
from tests.simulators.tus_server import TusStore, tus_server

PATIENT = Patience(connect_s=5, silence_s=20, request_s=60, upload_s=20)
MBIT = 125_000


@dataclass
class Road:
    """Who is on it, as the line of uploads would say."""

    ahead: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    asked: int = 0

    def is_ahead(self, part: str) -> bool:
        """Say whether a part goes first."""
        return part in self.ahead

    def has_ahead(self) -> bool:
        """Say whether any does."""
        return bool(self.ahead)

    def may_go_on(self, part: str) -> bool:
        """Count the question, and answer it."""
        self.asked += 1
        return part not in self.withdrawn


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[TusStore, str, str]]:
    """Run a store."""
    with tus_server(tmp_path) as running:
        yield running


def sealed(folder: Path, name: str, size: int) -> SealedPart:
    """Make a part's file."""
    content = os.urandom(size)
    (folder / name).write_bytes(content)
    return SealedPart(name, folder / name, size, sha256_hex(content), MEDIA_TYPE_CLIP)


async def send(served: tuple[TusStore, str, str], pacer: Pacer, *parts: SealedPart) -> list[bool]:
    """Send parts at once; say of each whether all of it went."""
    store, url, pem = served
    target = UploadTarget(f"{url}/files", f"{url}/receipts", Secret(store.token))
    async with HttpsUploader([pem], HostClock(), PATIENT, pacer=pacer) as uploader:
        places = [await uploader.create(part, target) for part in parts]
        sending = [uploader.send(part, target, place, lambda: True) for part, place in zip(parts, places, strict=True)]
        return await asyncio.gather(*sending)


def seconds_of(served: tuple[TusStore, str, str], pacer: Pacer, *parts: SealedPart) -> float:
    """Send parts at once until all are there; return the seconds."""
    began = time.monotonic()
    assert all(asyncio.run(send(served, pacer, *parts)))
    assert sorted(map(bytes, served[0].uploads)) == sorted(part.path.read_bytes() for part in parts)
    return time.monotonic() - began


@pytest.mark.parametrize("count", [1, 4])
def test_an_absolute_cap_holds_over_real_sockets(served: tuple[TusStore, str, str], tmp_path: Path, count: int) -> None:
    """No faster than the cap, of one upload or several together; how little slower is `./bench uplink`'s question."""
    pacer = Pacer(HostClock(), Caps(kbit_s_max=4000))
    parts = [sealed(tmp_path, f"p{number}", 6 * MBIT // count) for number in range(count)]
    seconds = seconds_of(served, pacer, *parts)
    at_once = 4 * MBIT * BURST_NS / SECOND_NS + count * pacer._pace.piece_bytes(is_behind=False)
    assert 4 * MBIT * seconds + at_once * WIRE_FACTOR >= 6 * MBIT * WIRE_FACTOR
    assert 4 * MBIT * seconds * 0.3 <= 6 * MBIT * WIRE_FACTOR
    assert pacer.sent_bytes == 6 * MBIT // count * count


def test_a_slow_link_gets_short_requests(served: tuple[TusStore, str, str], tmp_path: Path) -> None:
    """A request that takes minutes would hold up who comes next, and end by the store's patience."""
    assert Pacer(HostClock(), Caps(kbit_s_max=64)).request_bytes(4_000_000) == REQUEST_BYTES_MIN
    pacer = Pacer(HostClock(), Caps(kbit_s_max=1000))
    pacer._pace.set(125_000, 10_000)  # as if it had been measured so
    pacer._looked = HostClock().instant()
    seconds_of(served, pacer, sealed(tmp_path, "p", 100_000))
    assert served[0].seen.count("PATCH") == 2


def test_what_may_not_go_any_more_stops_in_the_middle(served: tuple[TusStore, str, str], tmp_path: Path) -> None:
    """Consent that ends while a capped request waits ends the request, not the part after it."""
    road = Road()
    pacer = Pacer(HostClock(), Caps(kbit_s_max=64), road)
    part = sealed(tmp_path, "p", 65_536)  # eight seconds

    async def life() -> None:
        sending = asyncio.create_task(send(served, pacer, part))
        async with asyncio.timeout(20):
            while not pacer.sent_bytes:  # noqa: ASYNC110 - no event is sent for it
                await asyncio.sleep(0.01)
        road.withdrawn.add("p")
        assert await asyncio.wait_for(sending, 20) == [False]

    asyncio.run(life())
    assert pacer.sent_bytes < part.size
    assert served[0].uploads != [bytearray(part.path.read_bytes())]


def test_who_waits_long_asks_all_the_while() -> None:
    """Every half second, also before the first byte."""
    road = Road()
    pacer = Pacer(HostClock(), Caps(kbit_s_max=64), road)

    async def life() -> None:
        with pacer.passage("p") as passage:
            await pacer.leave(passage, 16_000)
            road.withdrawn.add("p")
            with pytest.raises(WithdrawnError):
                await asyncio.wait_for(pacer.leave(passage, 16_000), 20)

    asyncio.run(life())
    assert road.asked >= 1
    assert pacer.sent_bytes == 16_000


def test_the_backlog_is_held_back_only_while_something_goes_first() -> None:
    """On a link that nobody has capped, by what it was measured to take."""
    road = Road()
    pacer = Pacer(clock := SetClock(WallTime(SECOND_NS)), NO_CAPS, road)
    for _ in range(3):
        with pacer.passage("old") as passage:
            passage.is_answered = True
            pacer.sent_bytes += 1_000_000
            clock.go_on(1)
    assert pacer.figures().uplink_bit_s == pytest.approx(8e6 * WIRE_FACTOR, rel=0.01)
    assert pacer.figures().cap_bit_s is None
    with pacer.passage("old") as old, pacer.passage("new") as new:
        assert pacer.piece_bytes(old) == PIECE_BYTES_MAX
        road.ahead.add("new")
        assert pacer.piece_bytes(old) == pytest.approx(1_000_000 * WIRE_FACTOR * BEHIND_SHARE / 10, rel=0.01)
        assert pacer.piece_bytes(new) == PIECE_BYTES_MAX
        road.ahead.clear()
        assert pacer.piece_bytes(old) == PIECE_BYTES_MAX


def test_a_picture_of_now_has_the_line_before_yesterday(served: tuple[TusStore, str, str], tmp_path: Path) -> None:
    """On one capped line: the upload of yesterday gets a quarter beside it, and goes on after it."""
    cap, clock = 4 * MBIT, HostClock()
    turns = UploadTurns(clock)
    pacer = Pacer(clock, Caps(kbit_s_max=4000), turns)
    old, new = sealed(tmp_path, "old", 9 * MBIT), sealed(tmp_path, "new", 4 * MBIT)
    store, url, pem = served
    target = UploadTarget(f"{url}/files", f"{url}/receipts", Secret(store.token))

    async def life() -> None:
        now = clock.now()
        yesterday, minute = WallTime(now - 86_400 * SECOND_NS), WallTime(now - 60 * SECOND_NS)
        beside: list[tuple[int, float]] = []  # bytes of the others while one had its turn, and for how many seconds
        urgencies = Urgency(yesterday, yesterday), Urgency(minute, WallTime(now + 60 * SECOND_NS))

        async def bring(part: SealedPart, taken: WallTime, urgency: Urgency) -> None:
            place = await uploader.create(part, target)
            freight = Freight(part.id, part.id, url, 0, taken, part.size, urgency)
            async with turns.turn(freight, lambda: True):
                before, began = pacer.sent_bytes, time.monotonic()
                assert await uploader.send(part, target, place)
                beside.append((pacer.sent_bytes - before - part.size, time.monotonic() - began))

        async with HttpsUploader([pem], clock, PATIENT, pacer=pacer) as uploader:
            going = asyncio.create_task(bring(old, yesterday, urgencies[0]))
            await eventually(lambda: pacer.sent_bytes)
            await bring(new, now, urgencies[1])
            [(old_bytes, took_s)] = beside
            assert old_bytes <= (BEHIND_SHARE * cap) * (took_s + 0.2) + 0.2 * cap  # what was under way before its turn
            assert not going.done()
            await going

    asyncio.run(life())
    assert sorted(map(bytes, store.uploads)) == sorted(part.path.read_bytes() for part in (old, new))


def test_a_capped_request_measures_nothing() -> None:
    """What the hub itself holds back is no slow line; else a share of it would fall and fall."""

    async def life() -> None:
        pacer = Pacer(HostClock(), Caps(kbit_s_max=2000))
        with pacer.passage("p") as passage:
            for _ in range(8):
                await pacer.leave(passage, 20_000)
            passage.is_answered = True
        assert pacer.figures().uplink_bit_s is None

    asyncio.run(life())


def test_hours_count_within_seconds() -> None:
    """Not only at the next start; and all the while that nobody knows what time it is."""
    clock = SetClock(parse_rfc3339("2026-11-27T07:59:58Z"))
    pacer = Pacer(clock, Caps(hours=(CappedHours(from_="08:00", to="18:00", kbit_s_max=800),), zone="UTC"))
    assert pacer.figures().cap_bit_s is None
    clock.go_on(CAP_EVERY_NS / SECOND_NS)
    assert pacer.figures().cap_bit_s == 800_000
    clock.go_on(12 * 3600)
    assert pacer.figures().cap_bit_s is None
    clock.trusted = False
    clock.go_on(CAP_EVERY_NS / SECOND_NS)
    assert pacer.figures().cap_bit_s == 800_000


def on_narrow_line(work: Callable[[], None], rate: str) -> None:
    """Run `work` in a network whose loopback lets through so much; skip where that cannot be made."""
    if os.geteuid() != 0 or shutil.which("tc") is None:
        pytest.skip("a narrow line needs root and tc")

    def narrowed() -> None:
        limit = f"tc qdisc add dev lo root tbf rate {rate} burst 64kb latency 300ms"
        made = subprocess.run(limit.split(), check=False, capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"a narrow line needs the kernel's tbf: {made.stderr.strip()}")
        subprocess.run(["ip", "link", "set", "lo", "mtu", "1500"], check=True)
        work()

    in_private_network(narrowed)


def test_a_share_of_a_line_that_is_narrow_itself(tmp_path: Path) -> None:
    """Of 32 Mbit/s that it must find out first, half: measured, and then kept."""

    def work() -> None:
        with tus_server(tmp_path) as served:
            pacer = Pacer(HostClock(), Caps(uplink_share=0.5))
            assert pacer.request_bytes(4_000_000) == MEASURE_BYTES_FIRST
            learning = sealed(tmp_path, "first", 4 * 1024 * 1024)
            asyncio.run(send(served, pacer, learning))
            figures = pacer.figures()
            assert figures.uplink_bit_s is not None
            assert 0.5 * 32e6 < figures.uplink_bit_s < 1.15 * 32e6
            assert figures.cap_bit_s == pytest.approx(figures.uplink_bit_s / 2, rel=0.01)
            part = sealed(tmp_path, "second", 3_000_000)
            before = time.monotonic()
            assert asyncio.run(send(served, pacer, part)) == [True]
            rate = part.size * 8 * WIRE_FACTOR / (time.monotonic() - before)
            assert rate <= figures.cap_bit_s * 1.15
            assert served[0].uploads[-1] == part.path.read_bytes()

    on_narrow_line(work, "32mbit")
