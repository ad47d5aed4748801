"""Opened parts as boxes say they are become the plan of one movie: every picture at its time, copied, none encoded.

Rules of this file: pure; a part's samples keep their order in the file, so that all parts can be written in one pass.
A picture lasts until the next one, also over a gap: time is never cut out. What cannot share a track begins a movie of
its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from agent.clock import SECOND_NS, WallTime
from agent.cut.mp4 import TIMESCALE_HZ, Chunk, Sample, VideoTrack, movie_head
from agent.cut.mp4_sound import SoundTrack
from agent.errors import BadInputError
from agent.opening.clip_boxes import BoxedMovie, BoxedTrack
from agent.opening.joining_sound import JoinedSound, SoundOfPart, join_sound
from agent.opening.sets import CODEC_OF_ENTRY, SetsOfPart, leader_of, rewrite, sets_of, unite

PICTURES, SOUND = 0, 1
SAMPLES_MAX: Final = 2_000_000  # of one movie: 12 hours at 46 pictures a second
SAMPLES_HELD_MAX: Final = 4_000_000  # of all parts whose tables are in memory at once: 24 hours with their sound
LEADERS_BYTES: Final = 1024 * 1024  # parameter sets before all key pictures may have as much as the pictures, and this
SPAN_S_MAX: Final = 12 * 3600  # of one movie: times have 32 bits in its headers
PICTURE_BYTES_MAX: Final = 64 * 1024 * 1024  # one is in memory at a time
BLOCK_BYTES_MAX: Final = 64 * 1024  # of sound
RATE_HZ_MAX: Final = 96_000
_SPECIFIC_BYTES_MAX: Final = 64  # of AudioSpecificConfig


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A part whose boxes were read, and when its first picture was taken; `movie` is None if they cannot be read."""

    movie: BoxedMovie | None
    first_picture: WallTime | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One sample on its way from a part into the movie, in file order."""

    track: int
    begin: int  # where it lies in the part
    end: int
    is_sync: bool
    content: bytes = b""  # instead, where nothing is copied


class JoinPlan:
    """One movie of several parts; `sizes` become true while it is written."""

    def __init__(self, numbers: Sequence[int], parts: Sequence[OpenedPart]) -> None:
        self.numbers = tuple(numbers)  # of the parts, in the clip
        movies = [part.movie for part in parts if part.movie is not None]
        self._codec = CODEC_OF_ENTRY[movies[0].video.entry]
        union: dict[tuple[int, int], bytes] = {}
        self._sets: list[SetsOfPart] = [
            unite(self._codec, union, sets_of(self._codec, movie.video.configuration)) for movie in movies
        ]
        self._leader = leader_of(union) if self._codec.clip and self._codec.clip.repeats_sets else b""
        sound = join_sound([_sound_of(part) for part in parts])
        self.pieces = [list(_pieces(movie, sound, number)) for number, movie in enumerate(movies)]
        self._video = _video(parts, union)
        self._sound = None if sound is None else _sound_track(sound, parts[0])
        self._chunks = _chunks([piece for pieces in self.pieces for piece in pieces])
        self.sizes: tuple[list[int], list[int]] = ([], [])
        for piece in (piece for pieces in self.pieces for piece in pieces):
            self.sizes[piece.track].append(len(piece.content) or piece.end - piece.begin)

    def head(self) -> bytes:
        """Build what stands before the samples; always of the same length."""
        return movie_head(self._video, self._sound, self._chunks, self.sizes)

    def rewritten(self, place: int, piece: Piece, payload: bytes) -> bytes:
        """Return a sample of the plan's `place`-th part as it stands in the movie."""
        if piece.track == SOUND:
            return payload
        sets, lead = self._sets[place], b""
        if piece.is_sync and self._leader:
            if not payload.startswith(sets.leader):
                raise BadInputError("a key picture without the parameter sets of its part")
            lead, payload = self._leader, payload[len(sets.leader) :]
        return lead + (rewrite(self._codec, payload, sets.ids) if sets.ids else payload)


def held_back(parts: Iterable[OpenedPart], samples_max: int = SAMPLES_HELD_MAX) -> list[OpenedPart]:
    """Keep the tables of the first parts, as far as they have so many samples; the rest stand alone."""
    kept, samples = [], 0
    for part in parts:
        samples += sum(len(track.samples) for track in part.movie.tracks) if part.movie else 0
        kept.append(part if samples <= samples_max else OpenedPart(None, part.first_picture))
    return kept


def plan_movies(parts: Sequence[OpenedPart]) -> list[JoinPlan | int]:
    """Group parts into as few movies as they allow; a part that stands alone is its number: it is copied as it is."""
    groups: list[_Group] = []
    for number, part in enumerate(parts):
        if not groups or not groups[-1].takes(part):
            groups.append(_Group(number, part))
    return [JoinPlan(group.numbers, group.parts) if len(group.parts) > 1 else group.numbers[0] for group in groups]


class _Group:
    """Parts that follow each other and can share the tracks of one movie."""

    def __init__(self, number: int, part: OpenedPart) -> None:
        self.parts: list[OpenedPart] = []
        self._first, self._samples, self._bytes, self._syncs = number, 0, 0, 0
        part = part if part.movie is None or _is_sane(part.movie) else OpenedPart(None, part.first_picture)
        self._union: dict[tuple[int, int], bytes] = {}
        self._sound = _configuration(part.movie)
        try:
            self._add(part)
        except BadInputError:  # its sets cannot be read: it stands alone
            self.parts.append(OpenedPart(None, part.first_picture))

    @property
    def numbers(self) -> range:
        """Which parts of the clip these are."""
        return range(self._first, self._first + len(self.parts))

    def takes(self, part: OpenedPart) -> bool:
        """Add a part if it fits."""
        if not self._is_like(part):
            return False
        try:
            self._add(part)
        except BadInputError:  # its sets have no room beside the others
            return False
        self._sound = self._sound or _configuration(part.movie)
        return True

    def _is_like(self, part: OpenedPart) -> bool:
        movie, last = part.movie, self.parts[-1]
        if movie is None or last.movie is None or part.first_picture is None or last.first_picture is None:
            return False
        mine, theirs, sound = movie.video, last.movie.video, _configuration(movie)
        return (
            mine.entry in CODEC_OF_ENTRY
            and (mine.entry, mine.size, mine.timescale_hz) == (theirs.entry, theirs.size, TIMESCALE_HZ)
            and _is_sane(movie)
            and self._span_ns(part) <= SPAN_S_MAX * SECOND_NS
            and part.first_picture - last.first_picture > _span(theirs) * SECOND_NS // TIMESCALE_HZ
            and (sound is None or self._sound is None or sound == self._sound)
            and self._samples + len(mine.samples) <= SAMPLES_MAX
        )

    def _span_ns(self, part: OpenedPart) -> int:
        return (part.first_picture or 0) - (self.parts[0].first_picture or 0)

    def _add(self, part: OpenedPart) -> None:
        if part.movie is not None and (codec := CODEC_OF_ENTRY.get(part.movie.video.entry)):
            samples, union = part.movie.video.samples, dict(self._union)
            unite(codec, union, sets_of(codec, part.movie.video.configuration))
            size = self._bytes + sum(sample.end - sample.begin for sample in samples)
            syncs = self._syncs + sum(sample.is_sync for sample in samples)
            if codec.clip and codec.clip.repeats_sets and syncs * len(leader_of(union)) > size + LEADERS_BYTES:
                raise BadInputError("parameter sets that would be most of the video")
            self._union, self._bytes, self._syncs = union, size, syncs
            self._samples += len(samples)
        self.parts.append(part)


def _is_sane(movie: BoxedMovie) -> bool:
    """Say whether a part's tables are within what a movie of several parts can hold."""
    video, sound = movie.video, _sound(movie)
    longest = SPAN_S_MAX * TIMESCALE_HZ
    if not video.samples or not 0 < video.total <= longest or _span(video) > longest or _do_overlap(movie):
        return False
    if any(sample.end - sample.begin > PICTURE_BYTES_MAX for sample in video.samples):
        return False
    if sound is None:
        return True
    return (
        0 < sound.timescale_hz <= RATE_HZ_MAX
        and 0 < sound.total <= SPAN_S_MAX * sound.timescale_hz
        and sound.delay <= longest
        and sound.size[0] in (1, 2)
        and 0 < len(sound.configuration) <= _SPECIFIC_BYTES_MAX
        and all(sample.end - sample.begin <= BLOCK_BYTES_MAX for sample in sound.samples)
    )


def _do_overlap(movie: BoxedMovie) -> bool:
    """Say whether any byte is of two samples: then they may claim more bytes than there are."""
    spans = sorted((sample.begin, sample.end) for track in movie.tracks for sample in track.samples)
    return any(before > after for (_, before), (after, _) in pairwise(spans))


def _span(track: BoxedTrack) -> int:
    shown = [sample.shown_at for sample in track.samples]
    return max(shown) - min(shown)


def _sound(movie: BoxedMovie) -> BoxedTrack | None:
    return next((track for track in movie.tracks if track.kind == "soun" and track.samples), None)


def _configuration(movie: BoxedMovie | None) -> tuple[str, bytes, int, int] | None:
    track = _sound(movie) if movie else None
    return None if track is None else (track.entry, track.configuration, track.timescale_hz, track.size[0])


def _sound_of(part: OpenedPart) -> SoundOfPart | None:
    """Say when a part's sound begins: the first picture waits for it, or it waits for the first picture."""
    track = _sound(part.movie) if part.movie else None
    if track is None or part.movie is None or part.first_picture is None:
        return None
    picture = min(sample.shown_at for sample in part.movie.video.samples)
    begins = part.first_picture + (track.delay - picture) * SECOND_NS // TIMESCALE_HZ
    starts = [sample.shown_at for sample in track.samples]
    durations = [after - before for before, after in zip(starts, [*starts[1:], track.total], strict=True)]
    return SoundOfPart(begins, track.timescale_hz, track.size[0], tuple(durations), track.configuration)


def _sound_track(sound: JoinedSound, first: OpenedPart) -> SoundTrack:
    origin = first.first_picture or 0
    return SoundTrack(sound.rate_hz, sound.channels, sound.configuration, (), sound.durations, sound.begins - origin)


def _video(parts: Sequence[OpenedPart], union: dict[tuple[int, int], bytes]) -> VideoTrack:
    samples: list[Sample] = []
    origin, shown, last = parts[0].first_picture or 0, -1, 1
    for part in parts:
        if part.movie is None or part.first_picture is None:
            raise BadInputError("a part without pictures cannot be joined")
        track = part.movie.video
        earliest = min(sample.shown_at for sample in track.samples)
        exact = (2 * (part.first_picture - origin) * TIMESCALE_HZ + SECOND_NS) // (2 * SECOND_NS)
        offset = max(exact, shown + 1) - earliest
        samples += [Sample(offset + sample.shown_at, sample.is_sync, b"") for sample in track.samples]
        shown = offset + earliest + _span(track)
        last = max(1, track.total - _span(track))
    codec, video = CODEC_OF_ENTRY[track.entry], track
    if codec.clip is None:
        raise BadInputError(f"{codec.name} cannot stand in a clip")
    return VideoTrack(*video.size, codec.clip.configuration(union), samples, last, codec.clip)


def _pieces(movie: BoxedMovie, sound: JoinedSound | None, place: int) -> Iterator[Piece]:
    """Yield what a part gives, in file order; silence before its sound comes first."""
    pieces = [Piece(PICTURES, sample.begin, sample.end, sample.is_sync) for sample in movie.video.samples]
    track = _sound(movie)
    if track is not None and sound is not None:
        yield from (Piece(SOUND, 0, 0, is_sync=True, content=block) for block in sound.silence_before[place])
        kept = track.samples[: sound.kept[place]]
        pieces += [Piece(SOUND, sample.begin, sample.end, is_sync=True) for sample in kept]
    yield from sorted(pieces, key=lambda piece: piece.begin)


def _chunks(pieces: Sequence[Piece]) -> list[Chunk]:
    chunks: list[Chunk] = []
    at = [0, 0]
    for track, run in groupby(pieces, key=lambda piece: piece.track):
        begin = at[track]
        at[track] += sum(1 for _ in run)
        chunks.append((track, begin, at[track]))
    return chunks
