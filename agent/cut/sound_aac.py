"""A camera's AAC blocks become the blocks of the clip, copied: those that carry no sound from outside.

A block of AAC-LC codes 2048 samples, of which the second half overlaps the next block. Cameras differ in whether a
block's time stamp is that of its first sample or of the one decoded with it, 1024 later. A block is therefore copied
only if 1024 samples before its time stamp and 2048 behind it lie in the granted window.

Rules of this file: only plain AAC-LC, mono or stereo, is copied; the configuration in the clip is written anew, and
silence between blocks is always the same few bytes (ISO/IEC 14496-3).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from msgspec import Struct

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.bits import BitReader, bytes_of
from agent.cut.sound_gaps import STEADY_NS_MAX, WHY_SOUND_EDGE, WHY_SOUND_LOST, Mark
from agent.cut.sound_units import AAC_BLOCK_SAMPLES, SoundUnit, format_parameters
from agent.errors import BadInputError

SAMPLING_RATES_HZ: Final = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350,
)  # fmt: skip
SILENT_BLOCKS: Final = {1: bytes.fromhex("00c800802380"), 2: bytes.fromhex("21004990021900238000")}
BLOCKS_MAX: Final = 100_000  # of one part
_AAC_LC: Final = 2
_CONFIG_BYTES_MIN: Final = 2


class AacConfiguration(Struct, frozen=True):
    """What a decoder must know of AAC-LC."""

    rate_hz: int
    channels: int  # 1 or 2

    def encoded(self) -> bytes:
        """Write it as AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1): type, rate, channels, 1024 samples in a block."""
        index = SAMPLING_RATES_HZ.index(self.rate_hz)
        return bytes_of(f"{_AAC_LC:05b}{index:04b}{self.channels:04b}000")


def read_configuration(fmtp: str) -> AacConfiguration:
    """Read `config=` of an SDP's format parameters. Raises BadInputError for all but plain AAC-LC, mono or stereo."""
    try:
        config = bytes.fromhex(format_parameters(fmtp).get("config", ""))
    except ValueError as error:
        raise BadInputError("the camera's AAC configuration is no hexadecimal number") from error
    if len(config) < _CONFIG_BYTES_MIN:
        raise BadInputError("the camera does not say how its AAC is coded", cure="set its sound to G.711")
    reader = BitReader(config)
    kind, index = reader.bits(5), reader.bits(4)
    channels = reader.bits(4)
    if kind != _AAC_LC or index >= len(SAMPLING_RATES_HZ) or channels not in SILENT_BLOCKS or reader.bits(1):
        raise BadInputError(
            f"a kind of AAC that is not cut (object type {kind}, {channels} channels)",
            cure="set the camera's sound to AAC-LC, mono or stereo, or to G.711",
        )
    return AacConfiguration(SAMPLING_RATES_HZ[index], channels)


class BlockLine:
    """Collects the blocks that may be in the file, in the order they came, each with its place in samples."""

    def __init__(self, window: Window, granted: Window, configuration: AacConfiguration) -> None:
        self.start: WallTime | None = None  # of the first block
        self.blocks: list[bytes] = []
        self.marks: list[Mark] = []  # what is known to be missing
        self._places: list[int] = []  # of the blocks, in samples from the first
        self._covered: list[list[int]] = []  # [first sample, end) with sound
        self._window, self._granted = window, granted
        self._rate_hz, self._silence = configuration.rate_hz, SILENT_BLOCKS[configuration.channels]

    @property
    def end(self) -> WallTime | None:
        """The moment behind the last block; at an inner border it may lie in the next part's window."""
        return None if self.start is None else WallTime(self._time_at(self._places[-1] + AAC_BLOCK_SAMPLES))

    @property
    def durations(self) -> list[int]:
        """How long each block stays, in samples."""
        return [after - before for before, after in pairwise(self._places)] + [AAC_BLOCK_SAMPLES] * bool(self._places)

    @property
    def covered(self) -> list[tuple[int, int]]:
        """The stretches with sound, in ns of hub time."""
        return [(self._time_at(begin), self._time_at(end)) for begin, end in self._covered]

    def put(self, unit: SoundUnit) -> None:
        """Take a block if it may be in the file; what the line has of its time already is kept."""
        if unit.time is None or unit.time not in self._window:
            return
        if unit.is_after_loss:
            self.marks.append((unit.time, WHY_SOUND_LOST))
        reach = AAC_BLOCK_SAMPLES * SECOND_NS // self._rate_hz + 1
        if unit.time - reach < self._granted.start or unit.time + 2 * reach > self._granted.end:
            self.marks.append((unit.time, WHY_SOUND_EDGE))
            return
        if self.start is None:
            self.start = unit.time
        due = self._places[-1] + AAC_BLOCK_SAMPLES if self._places else 0
        place = ((unit.time - self.start) * self._rate_hz + SECOND_NS // 2) // SECOND_NS
        if abs(place - due) <= STEADY_NS_MAX * self._rate_hz // SECOND_NS:
            place = due
        elif place - due < -AAC_BLOCK_SAMPLES // 2:
            return
        self._fill(due, (place - due + AAC_BLOCK_SAMPLES // 2) // AAC_BLOCK_SAMPLES)
        self._append(place, unit.payload)

    def set_back(self, time: WallTime) -> None:
        """Begin a run at `time`: of what the line has from there on, the newer sound is kept."""
        kept = [place for place in self._places if self._time_at(place + AAC_BLOCK_SAMPLES) <= time]
        self._places, self.blocks = kept, self.blocks[: len(kept)]
        end = kept[-1] + AAC_BLOCK_SAMPLES if kept else 0
        self._covered = [[begin, min(stop, end)] for begin, stop in self._covered if begin < end]
        if not kept:
            self.start = None

    def _fill(self, due: int, count: int) -> None:
        """Bridge a hole with silence: players go by the blocks and not by the times."""
        if len(self.blocks) + count >= BLOCKS_MAX:
            raise BadInputError(f"more than {BLOCKS_MAX} blocks of sound in one part", cure="ask for shorter parts")
        self._places += [due + number * AAC_BLOCK_SAMPLES for number in range(count)]
        self.blocks += [self._silence] * count

    def _append(self, place: int, block: bytes) -> None:
        self._places.append(place)
        self.blocks.append(block)
        if self._covered and abs(place - self._covered[-1][1]) < AAC_BLOCK_SAMPLES // 2:
            self._covered[-1][1] = place + AAC_BLOCK_SAMPLES
        else:
            self._covered.append([place, place + AAC_BLOCK_SAMPLES])

    def _time_at(self, place: int) -> int:
        return (self.start or 0) + place * SECOND_NS // self._rate_hz
