"""Judges the sound of a clip by the camera's log: which of its blocks each block is, or which samples it was made from.

Rules of this file: a time is read from the sound itself, or from the bytes of a block that the log knows; what the
clip's tables say is what is judged by it. FORMAT.md lists what is checked, under "Sound".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.camera_log import CameraLog, SoundHead
from agent.demo.clip_heard import BLOCK_SAMPLES, RATES_HZ, SILENT_BLOCKS, Heard, decode, find, levels, likeness
from agent.demo.clip_units import hash_of
from agent.demo.sound_code import Wave
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedTrack

LATE_NS_MAX: Final = 20_000_000
BORDER_NS: Final = 1000  # a camera's reports tell no sample's time more exactly
AAC: Final = "MPEG4-GENERIC"
OPUS: Final = "OPUS"
_OPUS_EDGE_NS: Final = 40_000_000  # a packet at each edge, and what it tells of others
_SEARCHED_MS: Final = 500  # before and behind where the clip's tables put a sound
_ALIKE: Final = 0.5  # a stretch as like as this is no accident
_HEARD: Final = 0.35  # of 2 ms of sound, that much is enough to say it is there
_LEAKED: Final = 0.6  # behind the end, that much is not what coding adds
_CHIPS: Final = 16  # behind the end that are looked at one by one
_SIGMAS: Final = 5  # of the noise that coding adds
_EXACT: Final = ("PCMU", "PCMA")
_OFF_SAMPLES: Final = 0.25  # from the middle of a sample: more is not the camera's sampling clock


class HowHeard(StrEnum):
    """Where a block of sound comes from."""

    COPIED = "copied"  # the camera's, byte by byte
    REENCODED = "re-encoded"  # not the camera's; what it sounds like is
    SILENCE = "silence"  # the same few bytes wherever they stand


class SoundAccount(msgspec.Struct, frozen=True):
    """One block of sound explained."""

    file: int  # counts from 0
    block: int  # counts from 1
    how: HowHeard
    first: int | None  # the first of the camera's samples that it tells of; None: of none
    samples: int  # how many of them


class SoundProof(msgspec.Struct, frozen=True):
    """All blocks explained, and what is wrong; stretches are (first sample, end) of the camera's samples."""

    accounts: tuple[SoundAccount, ...]
    outside: tuple[tuple[int, int], ...]
    missing: tuple[tuple[int, int], ...]
    late_ns: int  # the worst distance of a sound from its picture; negative: it is early
    faults: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Say whether exactly the window's sound is there, but for what the file format costs at its edges."""
        return not (self.outside or self.missing or self.faults)

    def count(self, how: HowHeard) -> int:
        """Count the blocks that came about like this."""
        return sum(account.how is how for account in self.accounts)


@dataclass(frozen=True)
class SoundPart:
    """The sound of one file, and the picture it stands beside."""

    number: int
    content: bytes
    track: BoxedTrack
    starts_s: float  # when its track begins
    shown_s: float  # when the file shows that picture
    taken: WallTime  # when it was taken

    def time_of(self, at: int) -> WallTime:
        """Return when sound must have been taken that is played at a tick of the track, to be with its picture."""
        played_s = self.starts_s + at / self.track.timescale_hz
        return WallTime(self.taken + round((played_s - self.shown_s) * SECOND_NS))


def judge_sound(parts: Sequence[SoundPart], log: CameraLog, window: Window) -> SoundProof:
    """Judge the sound of all files of a clip together; without a part, all sound of the window is missing."""
    sound = log.sound
    if sound is None:
        raise BadInputError("a camera log that does not know sound")
    judges = [_PartJudge(part, log, sound, window) for part in parts]
    for judge in judges:
        judge.run()
    accounts = tuple(account for judge in judges for account in judge.accounts)
    faults = [fault for judge in judges for fault in judge.faults]
    copied = Counter(account.first for account in accounts if account.how is HowHeard.COPIED)
    faults += [
        f"the sound from sample {first} on is there {count} times" for first, count in copied.items() if count > 1
    ]
    if sound.encoding == AAC:
        missing = _missing_blocks(log, sound, window, set(copied))
    else:
        covered = np.zeros(0, np.int64)
        for judge in judges:
            faults += [f"file {judge.part.number}: samples from {n} on are in another file too"
                       for n in np.intersect1d(covered, judge.covered)[:1]]  # fmt: skip
            covered = np.union1d(covered, judge.covered)
        missing = _missing_samples(log, sound, window, covered)
    late = max((judge.late_ns for judge in judges), key=abs, default=0)
    outside = sorted(stretch for judge in judges for stretch in judge.outside)
    return SoundProof(accounts, tuple(outside), tuple(missing), late, tuple(faults))


class _PartJudge:
    """Explains the blocks of one file."""

    def __init__(self, part: SoundPart, log: CameraLog, sound: SoundHead, window: Window) -> None:
        self.part, self.log, self.sound, self.window = part, log, sound, window
        self.rate_hz = part.track.timescale_hz
        self.per_sample = sound.rate_hz / self.rate_hz  # samples of the camera's for one of the clip's
        self.accounts: list[SoundAccount] = []
        self.faults: list[str] = []
        self.outside: list[tuple[int, int]] = []
        self.late_ns = 0
        self.covered = np.zeros(0, np.int64)  # samples that the tables say are there and that can be heard

    def run(self) -> None:
        """Judge the file."""
        if self.part.track.entry != "mp4a":
            self._blame(f"sound of a kind that is not known here: {self.part.track.entry}")
            return
        if self.rate_hz not in RATES_HZ:
            self._blame(f"sound at {self.rate_hz} Hz, which AAC does not know")
            return
        decoded = decode(self.part.content, self.part.track)
        expected = self._sample_at(self.part.time_of(0))
        reach = _SEARCHED_MS * self.sound.rate_hz // 1000
        first, count = int(expected) - reach, int(len(decoded) * self.per_sample) + 2 * reach
        heard = Heard(decoded, *find(decoded, self.rate_hz, self.sound, first, count))
        if self.sound.encoding != AAC and self.part.track.total <= BLOCK_SAMPLES:
            heard = Heard(decoded, round(expected), 1.0)  # all of it fades in and nobody can read it: the tables count
        if heard.likeness < _ALIKE / 2:
            self._blame("what is heard there is not what this camera heard at that time")
            return
        self.late_ns = round((expected - heard.place) * SECOND_NS / self.sound.rate_hz)
        if abs(self.late_ns) > LATE_NS_MAX:
            self._blame(f"sound is {self.late_ns / 1e6:.1f} ms later than its picture")
        if self.sound.encoding == AAC:
            self._account_for_copies(heard)
        else:
            self._account_for_samples(heard)

    def _account_for_copies(self, heard: Heard) -> None:
        known = {sound.mark: sound for sound in self.log.sounds}
        before: int | None = None
        for number, sample in enumerate(self.part.track.samples, 1):
            block = self.part.content[sample.begin : sample.end]
            if block in SILENT_BLOCKS:
                self.accounts.append(SoundAccount(self.part.number, number, HowHeard.SILENCE, None, 0))
                before = None
                continue
            sent = known.get(hash_of(block))
            if sent is None:
                self._blame("these bytes are of no block that the camera sent", number)
                before = None
                continue
            self.accounts.append(SoundAccount(self.part.number, number, HowHeard.COPIED, sent.first, sent.samples))
            begin, end = self.log.heard_at(sent.first), self.log.heard_at(sent.first + sent.samples)
            if begin < self.window.start - BORDER_NS or end > self.window.end + BORDER_NS:
                self.outside.append((sent.first, sent.first + sent.samples))
            late_ns = self.part.time_of(sample.shown_at) - begin
            self.late_ns = max(self.late_ns, late_ns, key=abs)
            if abs(late_ns) > LATE_NS_MAX:
                self._blame(f"it is played {late_ns / 1e6:.1f} ms too late", number)
            if before == sent.first - BLOCK_SAMPLES:
                there = heard.samples[(number - 1) * BLOCK_SAMPLES : number * BLOCK_SAMPLES]
                if likeness(there, self.rate_hz, self.sound, sent.first) < _ALIKE:
                    self._blame(f"it does not sound as what was heard from sample {sent.first} on", number)
            before = sent.first

    def _account_for_samples(self, heard: Heard) -> None:
        place = round(heard.place)
        if abs(heard.place - place) > _OFF_SAMPLES and self.sound.rate_hz < self.rate_hz:
            self._blame(f"the sound begins {heard.place - place:+.2f} samples beside the camera's clock")
        end = place + round(self.part.track.total * self.per_sample)
        first, of_chip, of_stretch = levels(heard, self.rate_hz, self.sound)
        numbers = first + np.arange(len(of_chip))
        fades = place + BLOCK_SAMPLES * self.per_sample  # the first block has nothing before it to be added to
        is_there = (of_stretch > _HEARD) | (numbers < fades)
        self.covered = numbers[(numbers >= place) & (numbers < end) & is_there]
        leaked = self._leaked(numbers, of_chip, of_stretch, max(end, int(fades)))
        begin, until = _bounds(self.log, self.sound, self.window, -BORDER_NS)
        self.outside += _stretches([*self.covered[(self.covered < begin) | (self.covered >= until)].tolist(), *leaked])
        if leaked:
            self._blame(f"behind the end of the sound sample {leaked[0]} can still be heard")
        starts = [sample.shown_at for sample in self.part.track.samples]
        for number, (at, until) in enumerate(zip(starts, [*starts[1:], self.part.track.total], strict=True), 1):
            begins, ends = place + round(at * self.per_sample), place + round(until * self.per_sample)
            inside = self.covered[(self.covered >= begins) & (self.covered < ends)]
            if at != (number - 1) * BLOCK_SAMPLES:
                self._blame("it does not follow the block before it", number)
            how = HowHeard.REENCODED if len(inside) else HowHeard.SILENCE
            self.accounts.append(
                SoundAccount(
                    self.part.number, number, how, begins if len(inside) else None, ends - begins if len(inside) else 0
                )
            )

    def _leaked(self, numbers: NDArray[np.int64], of_chip: Wave, of_stretch: Wave, end: int) -> list[int]:
        """Find what is heard behind the end: right there, of G.711, and in stretches of 2 ms anywhere.

        What leaks begins right behind the end. What coding adds is noise, whose size is what else is heard there.
        """
        well_behind = end + self.sound.rate_hz // 1000  # so that 2 ms around it are behind the end, too
        leaked = [int(n) for n in numbers[(of_stretch > _LEAKED) & (numbers >= well_behind)]]
        of_one = -(-self.sound.rate_hz // self.sound.chips_hz)  # samples of a chip
        first = -(-end * self.sound.chips_hz // self.sound.rate_hz) * self.sound.rate_hz // self.sound.chips_hz
        behind = of_chip[numbers >= first]
        if self.sound.encoding in _EXACT and len(behind) > 2 * _CHIPS * of_one:
            noise = float(behind[_CHIPS * of_one :][: 4 * _CHIPS * of_one].std())
            counts = np.arange(1, _CHIPS * of_one + 1)
            least = np.maximum(_LEAKED, _SIGMAS * noise / np.sqrt(-(-counts // of_one)))
            leaks = counts[np.cumsum(behind[: len(counts)]) / counts > least]
            leaked += range(first, first + int(leaks.max(initial=0)))
        return leaked

    def _sample_at(self, time: WallTime) -> float:
        return (time - self.log.heard_at(0)) * self.sound.rate_hz / SECOND_NS

    def _blame(self, what: str, block: int | None = None) -> None:
        where = f"file {self.part.number}" + (f", block {block} of sound" if block else "")
        self.faults.append(f"{where}: {what}")


def _missing_blocks(log: CameraLog, sound: SoundHead, window: Window, copied: set[int | None]) -> list[tuple[int, int]]:
    """Find the blocks that must be there: not all cameras stamp alike, so two blocks at each edge need not be."""
    step_ns = -(-BLOCK_SAMPLES * SECOND_NS // sound.rate_hz)
    missing = []
    for sent in log.sounds:
        begin, end = log.heard_at(sent.first), log.heard_at(sent.first + sent.samples)
        is_inside = begin - step_ns >= window.start + BORDER_NS and end + step_ns <= window.end - BORDER_NS
        if is_inside and sent.first not in copied:
            missing.append((sent.first, sent.first + sent.samples))
    return missing


def _missing_samples(
    log: CameraLog, sound: SoundHead, window: Window, covered: NDArray[np.int64]
) -> list[tuple[int, int]]:
    edge_ns = _OPUS_EDGE_NS if sound.encoding == OPUS else BORDER_NS
    begin, end = _bounds(log, sound, window, edge_ns)
    sent = [np.arange(max(one.first, begin), min(one.first + one.samples, end)) for one in log.sounds]
    wanted = np.unique(np.concatenate(sent)) if sent else covered[:0]
    return _stretches(np.setdiff1d(wanted, covered).tolist())


def _bounds(log: CameraLog, sound: SoundHead, window: Window, edge_ns: int) -> tuple[int, int]:
    """Return the first sample of a window, and the first behind it; `edge_ns` makes the window smaller at each end."""
    moments = (window.start + edge_ns, window.end - edge_ns)
    first, end = (-(-(moment - log.heard_at(0)) * sound.rate_hz // SECOND_NS) for moment in moments)
    return first, end


def _stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Join numbers that follow each other: (first, end)."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number:
            found[-1] = found[-1][0], number + 1
        else:
            found.append((number, number + 1))
    return found
