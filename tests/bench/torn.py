"""`./bench torn`: what is still found in slabs that were torn, zeroed, flipped, swapped and repeated in many ways.

Rules of this file: what must be found is told from the bytes alone, by FORMAT.md; a chunk counts as found if it can be
read, and then it must hold what was written.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from agent.acquire.stream import CameraId
from agent.buffer.chunk import ChunkKind, StoredChunk
from agent.buffer.recovery import ReadAt, Recovered, recover
from agent.buffer.slab import BLOCK_BYTES
from agent.errors import BadInputError
from tests.bench.figures import Figure
from tests.bench.print_figures import print_figures, write_report
from tests.simulators.ring_image import FLOOD, KEK, QUIET, Key, Laid, RingImage, SlabImage, make_ring
from tests.simulators.ring_log import EVERYTHING

SUMMARY: Final = "what is found in slabs that were torn, zeroed, flipped, swapped or repeated"
CASES: Final = 1000
CASES_PER_RING: Final = 125
SECTOR_BYTES: Final = 512
_HEADER_BYTES: Final = 160  # of a chunk
_SLAB_HEADER_BYTES, _FOOTER_BYTES = 128, 36  # what is read of the first and of the last block


class Verdict(msgspec.Struct, frozen=True):
    """What one case came to."""

    damage: str
    written: int  # chunks that the ring had before the damage
    valid: int  # of which every byte is there and which the format lets a reader find
    found: int
    missing: int  # valid, but not found
    invented: int  # found, but nobody wrote it like that
    is_tail_safe: bool  # writing goes on behind everything that was found

    @property
    def is_exact(self) -> bool:
        """Whether exactly the valid chunks were found."""
        return not self.missing + self.invented and self.is_tail_safe


class Report(msgspec.Struct, frozen=True):
    """The JSON file."""

    seed: int
    cases: tuple[Verdict, ...]
    figures: tuple[Figure, ...]
    verdicts: tuple[str, ...]


Damage = Callable[["Torn", int, random.Random], None]


class Torn:
    """A ring's slabs while they are damaged."""

    def __init__(self, image: RingImage) -> None:
        self.image = image
        self.raws: list[bytes | bytearray] = [slab.raw for slab in image.slabs]

    def put(self, slot: int, offset: int, octets: bytes) -> None:
        """Overwrite bytes of a slab, inside of it only."""
        raw = self.writable(slot)
        octets = octets[: max(0, len(raw) - offset)]
        raw[offset : offset + len(octets)] = octets

    def flip(self, slot: int, offset: int, bit: int) -> None:
        """Flip a bit of a slab."""
        raw = self.writable(slot)
        if offset < len(raw):
            raw[offset] ^= 1 << bit

    def truncate(self, slot: int, size: int) -> None:
        """Let a slab's file end."""
        del self.writable(slot)[size:]

    def writable(self, slot: int) -> bytearray:
        """Return the bytes of a slab, to be changed."""
        raw = self.raws[slot]
        if not isinstance(raw, bytearray):
            raw = self.raws[slot] = bytearray(raw)
        return raw


def _truncate(torn: Torn, slot: int, chance: random.Random) -> None:
    slab = torn.image.slabs[slot]
    torn.truncate(slot, chance.randrange(slab.end))


def _zero(torn: Torn, slot: int, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 8)):
        at, size = _block(torn.image.slabs[slot], chance)
        torn.put(slot, at, bytes(size))


def _stale(torn: Torn, slot: int, chance: random.Random) -> None:
    slab = torn.image.slabs[slot]
    for _ in range(chance.randint(1, 8)):
        at, size = _block(slab, chance)
        torn.put(slot, at, slab.stale[at : at + size])


def _flip(torn: Torn, slot: int, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 20)):
        torn.flip(slot, chance.randrange(torn.image.slabs[slot].end), chance.randrange(8))


def _flip_a_header(torn: Torn, slot: int, chance: random.Random) -> None:
    for chunk in chance.sample(torn.image.slabs[slot].chunks, chance.randint(1, 3)):
        torn.flip(slot, chunk.offset + chance.randrange(_HEADER_BYTES), chance.randrange(8))


def _tear_the_index(torn: Torn, slot: int, chance: random.Random) -> None:
    slab = torn.image.slabs[slot]
    places = [(len(slab.raw) - BLOCK_BYTES, _FOOTER_BYTES)]
    if slab.index:
        places.append((slab.index.offset, slab.index.length))
    at, size = chance.choice(places)
    kept = chance.randrange(size)
    torn.put(slot, at + kept, slab.stale[at + kept : at + size] if chance.random() < 0.5 else bytes(size - kept))


def _tear_the_tail(torn: Torn, slot: int, chance: random.Random) -> None:
    """Keep only some of the sectors of the last few batches, as a cut does with what was not synced."""
    slab = torn.image.slabs[slot]
    begins = sorted({chunk.batch for chunk in slab.chunks})[-chance.randint(1, 3) :]
    is_prefix, share = chance.random() < 0.5, chance.random()
    border = chance.randrange(begins[0], slab.end)
    for at in range(begins[0], slab.end, SECTOR_BYTES):
        if at >= border if is_prefix else chance.random() > share:
            torn.put(slot, at, slab.stale[at : at + SECTOR_BYTES])


def _tear_the_header(torn: Torn, slot: int, chance: random.Random) -> None:
    at = chance.randrange(_SLAB_HEADER_BYTES)
    torn.put(slot, at, bytes(BLOCK_BYTES - at))


def _swap(torn: Torn, slot: int, chance: random.Random) -> None:
    """Let two blocks change places, in one slab or across two."""
    other = chance.randrange(len(torn.raws)) if chance.random() < 0.5 else slot
    for _ in range(chance.randint(1, 3)):
        one, two = (_block(torn.image.slabs[of], chance)[0] // BLOCK_BYTES * BLOCK_BYTES for of in (slot, other))
        first, second = (bytes(torn.raws[of][at : at + BLOCK_BYTES]) for of, at in ((slot, one), (other, two)))
        torn.put(slot, one, second)
        torn.put(other, two, first)


def _repeat_a_batch(torn: Torn, slot: int, chance: random.Random) -> None:
    """Let a whole batch stand at another place too: behind the end, or over others."""
    slab = torn.image.slabs[slot]
    begins = sorted({chunk.batch for chunk in slab.chunks})
    batch = chance.choice(begins)
    end = next((begin for begin in begins if begin > batch), slab.end)
    target = slab.end if chance.random() < 0.5 else chance.choice(begins)
    torn.put(slot, target, slab.raw[batch:end][: len(slab.raw) - BLOCK_BYTES - target])


DAMAGES: Final[dict[str, Damage]] = {
    "truncated": _truncate,
    "zeroed blocks": _zero,
    "stale blocks": _stale,
    "flipped bits": _flip,
    "flipped bits in chunk headers": _flip_a_header,
    "torn index or footer": _tear_the_index,
    "torn tail": _tear_the_tail,
    "torn slab header": _tear_the_header,
    "swapped blocks": _swap,
    "a batch twice": _repeat_a_batch,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what this bench can be told."""
    parser.add_argument("--cases", type=int, default=CASES, metavar="N", help=f"how many ({CASES})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed tears in the same way (1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every case there")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Tear, look and print."""
    with console.status(f"{arguments.cases} cases"):
        done = tuple(cases(arguments.cases, arguments.seed))
    table = Table(title="Rings that were damaged", title_justify="left")
    for title in ("damage", "cases", "exact", "chunks", "valid", "found", "missing", "invented"):
        table.add_column(title, justify="left" if title == "damage" else "right")
    kinds = Counter(kind for one in done for kind in one.damage.split(", "))
    for kind in sorted(kinds):
        of = [one for one in done if kind in one.damage.split(", ")]
        sums = (sum(getattr(one, name) for one in of) for name in ("written", "valid", "found", "missing", "invented"))
        table.add_row(kind, str(len(of)), str(sum(one.is_exact for one in of)), *map(str, sums))
    console.print(table)
    judged = (
        Figure(f"of {len(done)} cases, not exactly the valid chunks", "", sum(not one.is_exact for one in done), 0),
        Figure("chunks that nobody wrote like that", "", sum(one.invented for one in done), 0),
    )
    print_figures(console, judged)
    if arguments.json:
        verdicts = tuple(figure.verdict.value for figure in judged)
        write_report(arguments.json, Report(arguments.seed, done, judged, verdicts))


def cases(count: int, seed: int) -> Iterator[Verdict]:
    """Tear rings in `count` ways, each ring in `CASES_PER_RING`."""
    place = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - a directory of its own is made there
    for first in range(0, count, CASES_PER_RING):
        with tempfile.TemporaryDirectory(dir=place) as folder:
            image = make_ring(Path(folder), seed + first)
        for number in range(first, min(first + CASES_PER_RING, count)):
            yield case(image, random.Random(f"{seed}/{number}"))  # noqa: S311 - repeatable damage


def case(image: RingImage, chance: random.Random) -> Verdict:
    """Tear a ring in one to three ways and recover what there is."""
    torn = Torn(image)
    kinds = chance.sample(sorted(DAMAGES), chance.choice((1, 1, 1, 2, 3)))
    for kind in kinds:
        slot = chance.randrange(len(torn.raws))
        if kind == "torn tail":
            slot = chance.choice([slot for slot, slab in enumerate(image.slabs) if not slab.index])
        if kind == "torn index or footer":
            slot = chance.choice([slot for slot, slab in enumerate(image.slabs) if slab.index])
        DAMAGES[kind](torn, slot, chance)
    return judge(torn, ", ".join(kinds))


def judge(torn: Torn, damage: str) -> Verdict:
    """Recover a torn ring and compare what can be read with what must be there."""
    image = torn.image
    valid: list[Laid] = []
    runs: set[tuple[str, int]] = set()  # of which a stream chunk is known: without one nobody can read a run
    for slab, raw in zip(image.slabs, torn.raws, strict=True):
        there, known = valid_chunks(slab, raw)
        valid += there
        runs |= {chunk.key[:2] for chunk in known if chunk.kind is ChunkKind.STREAM}
    expected = {chunk.key for chunk in valid if chunk.kind is ChunkKind.MEDIA and chunk.key[:2] in runs}
    recovered = _recover(torn)
    slots = {header.number: slot for slot, header in recovered.headers.items()}
    read: dict[Key, bytes] = {}
    ends: dict[int, int] = {}
    for chunk in _footage(recovered):
        slot, end = slots[chunk.slab], chunk.offset + chunk.length
        with suppress(BadInputError):  # what cannot be read is left out, as in a cut
            _, payload = image.slabs[slot].opener.open(bytes(torn.raws[slot][chunk.offset : end]))
            read[chunk.meta.camera, chunk.meta.run, chunk.meta.sequence] = payload
            ends[slot] = max(ends.get(slot, BLOCK_BYTES), end)
    right = {key for key, payload in read.items() if image.written.get(key) == payload}
    moved = {key for key in right - expected if _is_anywhere(torn, key)}
    return Verdict(
        damage=damage,
        written=sum(chunk.kind is ChunkKind.MEDIA for slab in image.slabs for chunk in slab.chunks),
        valid=len(expected),
        found=len(right),
        missing=len(expected - right),
        invented=len(read) - len(right) + len(right - expected - moved),
        is_tail_safe=all(place.end >= ends.get(place.slot, BLOCK_BYTES) for place in recovered.open.values()),
    )


def valid_chunks(slab: SlabImage, raw: bytes | bytearray) -> tuple[list[Laid], list[Laid]]:
    """Return the chunks of a slab that must be found, and those that a reader will know of.

    By the slab's index, if index and footer are whole: all, of which the damaged ones cannot be read. Else those whose
    place can be told: they begin at a block's border, or behind a chunk with a whole header whose place can be told.
    """
    if raw[:_SLAB_HEADER_BYTES] != slab.raw[:_SLAB_HEADER_BYTES]:
        return [], []

    def is_same(begin: int, end: int) -> bool:
        return raw[begin:end] == slab.raw[begin:end]

    footer = len(slab.raw) - BLOCK_BYTES
    if slab.index and is_same(slab.index.offset, slab.index.end) and is_same(footer, footer + _FOOTER_BYTES):
        return [chunk for chunk in slab.chunks if is_same(chunk.offset, chunk.end)], list(slab.chunks)
    valid, follows = [], BLOCK_BYTES
    for chunk in slab.chunks:
        if chunk.offset in {follows, chunk.batch} or chunk.offset % BLOCK_BYTES == 0:
            if is_same(chunk.offset, chunk.offset + _HEADER_BYTES):
                follows = chunk.end
            if is_same(chunk.offset, chunk.end):
                valid.append(chunk)
    return valid, valid


def _block(slab: SlabImage, chance: random.Random) -> tuple[int, int]:
    """Choose a sector or a block of a slab behind its header: offset and size."""
    size = chance.choice((SECTOR_BYTES, BLOCK_BYTES))
    return chance.randrange(BLOCK_BYTES // size, slab.end // size) * size, size


def _recover(torn: Torn) -> Recovered:
    @contextmanager
    def open_slot(slot: int) -> Iterator[ReadAt]:
        raw = torn.raws[slot]
        yield lambda offset, length: bytes(raw[offset : offset + length])

    return recover(range(len(torn.raws)), open_slot, torn.image.volume, KEK)


def _footage(recovered: Recovered) -> Iterator[StoredChunk]:
    for camera in (*QUIET, FLOOD):
        yield from recovered.index.footage(CameraId(camera), EVERYTHING).chunks


def _is_anywhere(torn: Torn, key: Key) -> bool:
    """Whether a chunk stands whole at some place of its slab."""
    return any(
        slab.raw[chunk.offset : chunk.end] in raw
        for slab, raw in zip(torn.image.slabs, torn.raws, strict=True)
        for chunk in slab.chunks
        if chunk.key == key
    )
