"""Proves a clip by its camera's log to the last byte: where every sample comes from, and that there is nothing else.

Rules of this file: every sample counts, whether or not a player would show it; whatever cannot be explained is a fault.
FORMAT.md lists what is checked, in this order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec
import numpy as np

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.camera_log import CameraLog, LoggedPicture, SliceMark
from agent.demo.clip_frames import drawn_ticks
from agent.demo.clip_sound import SoundPart, SoundProof, judge_sound
from agent.demo.clip_units import Unit, What, mark_of, units_of
from agent.errors import BadInputError
from agent.opening.clip_boxes import CODECS, BoxedSample, BoxedTrack, take_apart

FAULTS_MAX: Final = 100  # more say nothing new
_TICK_ERROR_MAX: Final = 1  # a picture is shown at the nearest tick, or one beside it if two fell together


class How(StrEnum):
    """Where a sample's bytes come from."""

    COPIED = "copied"  # every slice is the camera's, bit by bit
    RENUMBERED = "renumbered"  # every slice is the camera's, but for the number of its parameter set
    REENCODED = "re-encoded"  # no slice is the camera's; what it shows is


class Account(msgspec.Struct, frozen=True):
    """One sample explained."""

    file: int  # counts from 0
    sample: int  # counts from 1, in decode order
    shown_at: int  # ticks of the file's time scale
    how: How
    picture: int | None  # the tick of the camera's picture that it shows; None: nobody can tell


class Proof(msgspec.Struct, frozen=True):
    """All samples explained, and what is wrong."""

    camera: str
    start: WallTime | None  # of the window it was judged by
    end: WallTime | None
    accounts: tuple[Account, ...]
    outside: tuple[int, ...]  # ticks of pictures that are in the clip and not in the window, or were never taken
    missing: tuple[int, ...]  # ticks of pictures that the camera took within the window and the clip has not
    faults: tuple[str, ...]
    sound_blocks: int = 0  # are in the files too; not judged if the log does not know sound
    sound: SoundProof | None = None  # None: not judged, there is none in the files or in the log

    @property
    def is_exact(self) -> bool:
        """Say whether exactly the window's pictures are there, and its sound, and nothing but them."""
        return self.are_pictures_exact and (self.sound is None or self.sound.is_exact)

    @property
    def are_pictures_exact(self) -> bool:
        """Say whether exactly the window's pictures are there, and nothing but them."""
        return not (self.outside or self.missing or self.faults)

    def count(self, how: How) -> int:
        """Count the samples that came about like this."""
        return sum(account.how is how for account in self.accounts)


def prove(
    files: Sequence[bytes], log: CameraLog, window: Window | None = None, *, has_sound: bool | None = None
) -> Proof:
    """Judge the files of one clip together.

    `window` is hub time; without it the clip is judged between its own first and last picture. `has_sound` says whether
    the window's sound must be there (None: only if there is some) or must not. Raises BadInputError if a file cannot be
    read at all.
    """
    register = _Register(log)
    accounts: list[Account] = []
    faults: list[str] = []
    sound_blocks = 0
    parts: list[SoundPart] = []
    unexplained: list[bytes] = []  # each file without the samples whose every byte is known to be the camera's
    for number, content in enumerate(files):
        judge = _FileJudge(number, content, log, register)
        unexplained.append(judge.run())
        accounts += judge.accounts
        faults += judge.faults
        sound_blocks += judge.sound_blocks
        parts += judge.sound_parts()
    shown = Counter(account.picture for account in accounts if account.picture is not None)
    faults += [f"the picture {ticks} is there {count} times" for ticks, count in shown.items() if count > 1]
    window = window or _own_window(log, shown)
    taken = {p.ticks for p in log.pictures if window and log.hub_time(p.ticks) in window}
    strangers = [p for p in log.pictures if p.ticks not in taken]
    for number, content in enumerate(unexplained):
        faults += [
            f"file {number}: bytes of the picture {ticks}, which is not in the window, stand at {place}"
            for ticks, place in find_middles(content, strangers)
        ]
    if sound_blocks and has_sound is False:
        faults.append(f"there are {sound_blocks} blocks of sound, and there must be none")
    is_judged = has_sound if has_sound is not None else sound_blocks > 0
    return Proof(
        camera=log.head.camera,
        start=window.start if window else None,
        end=window.end if window else None,
        accounts=tuple(accounts),
        outside=tuple(sorted(shown.keys() - taken)),
        missing=tuple(sorted(taken - shown.keys())),
        faults=tuple(faults[:FAULTS_MAX]),
        sound_blocks=sound_blocks,
        sound=judge_sound(parts, log, window) if files and is_judged and window and log.sound else None,
    )


def _own_window(log: CameraLog, shown: Iterable[int]) -> Window | None:
    times = sorted(map(log.hub_time, shown))
    return Window(times[0], WallTime(times[-1] + 1)) if times else None


class _Register:
    """The log's pictures by the marks of their slices."""

    def __init__(self, log: CameraLog) -> None:
        self.whole: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.without_id: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self.single: dict[str, int] = {}  # of slices that are too long to be alike by chance
        for picture in log.pictures:
            self.whole[tuple(mark.whole for mark in picture.slices)].append(picture.ticks)
            self.without_id[tuple(mark.without_id for mark in picture.slices)].append(picture.ticks)
            self.single |= {mark.without_id: picture.ticks for mark in picture.slices if mark.middle}


class _FileJudge:
    """Explains the samples of one file."""

    def __init__(self, number: int, content: bytes, log: CameraLog, register: _Register) -> None:
        self.number, self.content, self.log, self.register = number, content, log, register
        self.accounts: list[Account] = []
        self.faults: list[str] = []
        self.sound_blocks = 0
        self._tracks: Sequence[BoxedTrack] = ()

    def sound_parts(self) -> Iterator[SoundPart]:
        """Yield the file's sound, if it has some and one picture to stand by."""
        first = min((one for one in self.accounts if one.picture is not None), key=_shown_at, default=None)
        video = next((track for track in self._tracks if track.kind == "vide"), None)
        for track in self._tracks:
            if track.kind == "soun" and track.samples and first is not None and video is not None:
                shown_s = first.shown_at / video.timescale_hz
                taken = self.log.hub_time(first.picture or 0)
                starts_s = track.delay / video.timescale_hz  # movie and pictures have one time scale
                yield SoundPart(self.number, self.content, track, starts_s, shown_s, taken)

    def run(self) -> bytes:
        """Judge the file; return its bytes with zeros where samples are copies."""
        # 1 and 2: the boxes, and that mdat is the samples and nothing else.
        movie = take_apart(self.content)
        for fault in movie.faults:
            self._blame(fault)
        self._tracks = movie.tracks
        self.sound_blocks = sum(len(track.samples) for track in movie.tracks if track.kind == "soun")
        track = movie.video
        codec = CODECS.get(track.entry)
        if codec is None:
            raise BadInputError(f"a video of a kind that is not known here: {track.entry}")
        # 3: the units of each sample; 4: what each sample shows.
        marks = [self._marks(place, codec, track, sample) for place, sample in enumerate(track.samples, 1)]
        shown = drawn_ticks(self.content, codec, track)
        for place, sample in enumerate(track.samples, 1):
            drawn = shown.get(place - 1, [])
            if len(drawn) != 1:
                self._blame(f"{len(drawn)} pictures are decoded instead of one", place)
            elif drawn[0] is None:
                self._blame("the time that is drawn in the picture cannot be read", place)
            how, picture = self._origin(place, marks[place - 1], drawn[0] if drawn else None)
            self.accounts.append(Account(self.number, place, sample.shown_at, how, picture))
        self._check_times(track)
        rest = bytearray(self.content)
        for account, sample in zip(self.accounts, track.samples, strict=True):
            if account.how is not How.REENCODED:
                rest[sample.begin : sample.end] = bytes(sample.end - sample.begin)
        return bytes(rest)

    def _marks(self, place: int, codec: str, track: BoxedTrack, sample: BoxedSample) -> list[SliceMark]:
        try:
            units = units_of(codec, self.content[sample.begin : sample.end])
        except BadInputError as error:
            self._blame(str(error), place)
            return []
        for unit in units:
            if unit.what is What.OTHER or (unit.what is What.SET and not _is_repeated(unit, codec, track, sample)):
                self._blame(f"there is a {unit.what.value} (type {unit.number})", place)
        return [mark_of(codec, unit.content) for unit in units if unit.what is What.SLICE]

    def _origin(self, place: int, marks: Sequence[SliceMark], drawn: int | None) -> tuple[How, int | None]:
        """Say where a sample's slices come from; what they show must be what the camera's picture shows."""
        for how, known, key in (
            (How.COPIED, self.register.whole, tuple(mark.whole for mark in marks)),
            (How.RENUMBERED, self.register.without_id, tuple(mark.without_id for mark in marks)),
        ):
            if marks and (sources := known.get(key)):
                if drawn in sources:
                    return how, drawn
                self._blame(f"the bytes are those of the picture {sources[0]}, but it shows {drawn}", place)
                return how, sources[0]
        for mark in marks:
            if mark.without_id in self.register.single:
                origin = self.register.single[mark.without_id]
                self._blame(f"some of the slices are of the picture {origin}, and not all of them", place)
        return How.REENCODED, drawn

    def _check_times(self, track: BoxedTrack) -> None:
        """Check that pictures are shown at the distances at which they were taken."""
        known = [one for one in self.accounts if one.picture is not None]
        if not known:
            return
        first = min(known, key=_shown_at)
        for one in known:
            apart_ns = self.log.hub_time(one.picture or 0) - self.log.hub_time(first.picture or 0)
            right = round(apart_ns * track.timescale_hz / SECOND_NS)
            if abs(one.shown_at - first.shown_at - right) > _TICK_ERROR_MAX:
                self._blame(f"it is shown {one.shown_at - first.shown_at - right} ticks too late", one.sample)
        if first.shown_at != 0 and not self.sound_blocks:  # sound may come before the first picture
            self._blame(f"the first picture is shown at {first.shown_at} instead of 0", first.sample)

    def _blame(self, what: str, place: int | None = None) -> None:
        where = f"file {self.number}" + (f", sample {place}" if place else "")
        self.faults.append(f"{where}: {what}")


def _shown_at(account: Account) -> int:
    return account.shown_at


def _is_repeated(unit: Unit, codec: str, track: BoxedTrack, sample: BoxedSample) -> bool:
    """Say whether a parameter set in a sample is one of the file's own, at a place where H.265 may repeat it."""
    return codec == "h265" and sample.is_sync and unit.content in track.configuration


def find_middles(content: bytes, strangers: Iterable[LoggedPicture]) -> Iterator[tuple[int, int]]:
    """Find the middles of strangers' slices anywhere in a file: (tick, place) for each."""
    sought: dict[bytes, int] = {bytes.fromhex(m.middle): p.ticks for p in strangers for m in p.slices if m.middle}
    for place in _starts(content, sought):
        for length in {len(middle) for middle in sought}:
            ticks = sought.get(content[place : place + length])
            if ticks is not None:
                yield ticks, place


def _starts(content: bytes, sought: Mapping[bytes, int]) -> Iterator[int]:
    """Yield the places where one of these byte strings may begin, by their first four bytes."""
    if not sought or len(content) < 8:  # noqa: PLR2004 - less than a file's first box
        return
    heads = np.unique(np.array([int.from_bytes(middle[:4], "little") for middle in sought], np.uint32))
    is_likely = np.zeros(1 << 16, bool)
    is_likely[heads & 0xFFFF] = True
    for shift in range(4):
        words = np.frombuffer(content, np.dtype("<u4"), (len(content) - shift) // 4, shift)
        likely = np.flatnonzero(is_likely[words & 0xFFFF])
        found = likely[np.isin(words[likely], heads)]
        yield from (int(place) * 4 + shift for place in found)
