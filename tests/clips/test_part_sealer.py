"""Ring, cutter, sealer, outbox in one stream: what comes out is exactly the plan, for its recipients only."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from agent.clips.part_sealer import PartSealer
from agent.clock import WallTime, Window
from agent.command.request import Recipient
from agent.crypto import Secret, sha256_hex
from agent.cut.plan import CutPlan, PartSettings, plan_next
from agent.deliver.age import generate_identity
from agent.deliver.unseal import open_age
from agent.errors import BadInputError, UnavailableError
from agent.outside.cutter import ChildCutter
from agent.outside.cutter_child import ChildLimits
from agent.outside.outbox_files import OutboxFiles
from agent.outside.slab_files import SlabLog
from agent.ports import Cuts, OutboxFullError
from tests.simulators.clips import shown_by_pyav, window_of
from tests.simulators.export_site import NOW, RECIPE, RING, record
from tests.simulators.grants import grant_for
from tests.simulators.h264_source import CAMERA, film
from tests.simulators.set_clock import SetClock

IDENTITY, RECIPIENT = generate_identity()
NAME = "c1.cam-1.0000.mp4.age"


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[SlabLog]:
    """Make a ring with four seconds of film in it."""
    with closing(SlabLog(tmp_path / "ring", Secret(bytes(32)), RING, SetClock(NOW))) as log:
        record(log, film(RECIPE))
        yield log


@pytest.fixture
def cuts() -> Iterator[Cuts]:
    """Cut by real children, and leave none behind."""
    with ChildCutter().cuts() as cuts:
        yield cuts


def planned(ring: SlabLog, window: Window) -> CutPlan:
    """Plan the whole window as one part."""
    granted = grant_for(CAMERA, window)
    command = replace(granted.command, recipients=(Recipient("vault", RECIPIENT),))
    plan = plan_next(
        grant=replace(granted, command=command),
        camera=CAMERA,
        next_part=0,
        delivered_until=window.start,
        footage=ring.footage(CAMERA, window),
        now=NOW,
        settings=PartSettings(),
    )
    assert isinstance(plan, CutPlan)
    return plan


def numbers(path: Path) -> list[int]:
    """Open a sealed file with the officer's key and read the pictures' numbers."""
    clip = b"".join(open_age(io.BytesIO(path.read_bytes()), IDENTITY))
    return [number for _, number in shown_by_pyav(clip)]


def test_a_part_is_cut_and_sealed(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """The file is what the report and the digest say, and nobody without the key can read it."""
    outbox = OutboxFiles(tmp_path / "outbox")
    report, sealed = PartSealer(ring, outbox).seal(cuts, planned(ring, window_of(0.5, 1.9)), NAME, ())
    content = outbox.path(NAME).read_bytes()
    assert (len(content), sha256_hex(content)) == (sealed.size, sealed.sha256)
    assert (report.pictures, report.gaps) == (35, ())
    assert numbers(outbox.path(NAME)) == list(range(13, 48))
    clear = b"".join(open_age(io.BytesIO(content), IDENTITY))
    assert (sha256_hex(clear), report.clear_sha256) == (sealed.clear_sha256, sealed.clear_sha256)
    assert sum(run.count for run in report.reencoded_at) == report.reencoded > 0
    assert content.startswith(b"age-encryption.org/v1\n")
    stranger, _ = generate_identity()
    with pytest.raises(BadInputError):
        b"".join(open_age(io.BytesIO(content), stranger))


def test_nothing_in_the_clear_is_ever_on_the_disk(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """Neither the file nor anything beside it is an MP4."""
    PartSealer(ring, OutboxFiles(tmp_path / "outbox")).seal(cuts, planned(ring, window_of(0, 3)), NAME, ())
    disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"ftyp" not in disk
    assert b"moov" not in disk


def test_a_window_between_two_pictures_leaves_no_file(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """A report without pictures has no file."""
    outbox = OutboxFiles(tmp_path / "outbox")
    between = Window(WallTime(window_of(0, 1).start + 1), WallTime(window_of(0, 1).start + 1000))
    report, _ = PartSealer(ring, outbox).seal(cuts, planned(ring, between), NAME, ())
    assert report.pictures == 0
    assert not outbox.names()


def test_a_chunk_that_is_gone_is_left_out_and_told(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """The plan names a chunk that has left the ring since: the rest goes, and the report says what is missing."""
    outbox = OutboxFiles(tmp_path / "outbox")
    plan = planned(ring, window_of(0, 3))
    chunks = tuple(replace(c, slab=99) if c.meta.sequence == 3 else c for c in plan.chunks)
    report, _ = PartSealer(ring, outbox).seal(cuts, replace(plan, chunks=chunks), NAME, ())
    assert report.gaps
    shown = numbers(outbox.path(NAME))
    assert shown == sorted(shown)
    assert set(shown) < set(range(75))
    assert report.pictures == len(shown)


def test_a_header_that_is_gone_can_be_tried_again_later(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """Without the stream's description there is nothing to cut."""
    outbox = OutboxFiles(tmp_path / "outbox")
    plan = planned(ring, window_of(0, 1))
    gone = replace(plan, headers=tuple(replace(header, slab=99) for header in plan.headers))
    with pytest.raises(UnavailableError, match="left the ring"):
        PartSealer(ring, outbox).seal(cuts, gone, NAME, ())
    assert not outbox.names()


def test_failures_leave_no_file(ring: SlabLog, cuts: Cuts, tmp_path: Path) -> None:
    """A child that is too slow and an outbox that is full are told as what they are."""
    plan = planned(ring, window_of(0, 3))
    small, slow = OutboxFiles(tmp_path / "small", bytes_max=1000), OutboxFiles(tmp_path / "slow")
    with pytest.raises(OutboxFullError):
        PartSealer(ring, small).seal(cuts, plan, NAME, ())
    with pytest.raises(UnavailableError, match="longer than"):
        PartSealer(ring, slow).seal(ChildCutter(ChildLimits(deadline_s=0.05)).cuts(), plan, NAME, ())
    assert not small.names() | slow.names()
