"""The sound of one part: what passed by on the way to the pictures becomes a track beside them, and a report.

Rules of this file: no sound is touched unless it was ordered. Sound that cannot be used costs no picture: it is a gap
in the report, and the pictures go without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from agent.acquire.stream import Track
from agent.clock import WallTime, Window
from agent.cut.clip import CutOrder, Gap, SoundReport, WireChunk
from agent.cut.mp4_sound import SoundTrack
from agent.cut.sound_aac import BlockLine, read_configuration
from agent.cut.sound_clock import BY_ARRIVAL, BY_REPORTS, SoundClock, sound_clock
from agent.cut.sound_gaps import (
    STEADY_NS_MAX,
    WHY_NO_SOUND,
    WHY_SOUND_EDGE,
    WHY_SOUND_UNDECODABLE,
    sound_gaps,
)
from agent.cut.sound_libav import OPUS_LOOKAHEAD_NS, EncodedSound, SoundDecoder, encode_aac
from agent.cut.sound_pcm import PcmLine, decode_g711
from agent.cut.sound_rtp import SoundRun, SoundTap
from agent.cut.sound_units import SoundUnit, aac_units, packet_units
from agent.errors import BadInputError

UNITS_MAX: Final = 100_000  # of one part
CODEC: Final = "aac"
WHY_TOO_MUCH: Final = "the camera sent more packets of sound than are cut at once"
WHY_NO_PICTURES: Final = "there is no picture that this sound could go with"
_G711: Final = ("PCMU", "PCMA")
_AAC: Final = "MPEG4-GENERIC"
_OPUS: Final = "OPUS"
_OPUS_RATE_HZ: Final = 48_000  # RFC 7587 4.1: the clock is always this, and so is what we decode to
_CHANNELS_MAX: Final = 2
_RATE_HZ_MIN: Final = 8000
_RATE_HZ_MAX: Final = 48_000


class SoundCut(Struct, frozen=True):
    """The sound of one part; `sound` and `start` are None if there is none to deliver."""

    report: SoundReport | None  # None: none was ordered
    sound: EncodedSound | None = None
    start: WallTime | None = None

    def withheld(self, window: Window) -> SoundReport | None:
        """Return the report if there is no picture, so no file that the sound could be in."""
        if self.report is None:
            return None
        if not self.report.codec:
            return self.report
        return SoundReport(self.report.source, gaps=(Gap(window.start, window.end, WHY_NO_PICTURES),))

    def beside(self, first_picture: WallTime) -> SoundTrack | None:
        """Return the track, its start told from the first picture."""
        if self.sound is None or self.start is None:
            return None
        configuration = self.sound.configuration
        return SoundTrack(
            rate_hz=configuration.rate_hz,
            channels=configuration.channels,
            configuration=configuration.encoded(),
            blocks=self.sound.blocks,
            durations=self.sound.durations,
            start_ns=self.start - first_picture,
        )


class SoundCutter:
    """Stands between the chunks and the pictures' depacketizer, if sound was ordered."""

    def __init__(self, order: CutOrder) -> None:
        self._window, self._granted = order.window, order.sound
        self._tap = SoundTap(order.headers)
        self._tracks = [track for header in order.headers for track in header.tracks[1:]]

    def passing(self, chunks: Iterable[WireChunk]) -> Iterator[WireChunk]:
        """Yield the chunks as they are."""
        return iter(chunks) if self._granted is None else self._tap.passing(chunks)

    def cut(self) -> SoundCut:
        """Cut the sound of all chunks that passed; never raises for what a camera sent."""
        if self._granted is None:
            return SoundCut(None)
        why = WHY_TOO_MUCH
        if not self._tap.is_too_much:
            try:
                return _cut(self._tap.runs, self._window, self._granted)
            except BadInputError as error:
                why = str(error)
        source = self._tracks[0].encoding if self._tracks else ""
        return SoundCut(SoundReport(source, gaps=(Gap(self._window.start, self._window.end, why),)))


def _cut(runs: Sequence[SoundRun], window: Window, granted: Window) -> SoundCut:
    """Cut the runs that are coded like the first; raises BadInputError if that cannot be cut at all."""
    timed = [(run, clock) for run in runs if (clock := sound_clock(run)) is not None]
    if not timed:
        return SoundCut(SoundReport(gaps=(Gap(window.start, window.end, WHY_NO_SOUND),)))
    first = timed[0][0].track
    alike = [
        (run, clock)
        for run, clock in timed
        if (run.track.encoding, run.track.clock_rate_hz, run.track.sound_channels, run.track.fmtp)
        == (first.encoding, first.clock_rate_hz, first.sound_channels, first.fmtp)
    ]
    line: BlockLine | PcmLine
    if first.encoding == _AAC:
        configuration = read_configuration(first.fmtp)
        line = BlockLine(window, granted, configuration)
        _lay_blocks(line, alike, configuration.rate_hz)
        sound: EncodedSound | None = EncodedSound(configuration, line.blocks, line.durations)
    else:
        rate_hz, channels = _shape(first)
        line = PcmLine(window, rate_hz, channels)
        _lay_samples(line, alike, granted)
        sound = encode_aac(bytes(line.pcm), rate_hz, channels) if line.pcm else None
    if line.start is None or sound is None:
        return SoundCut(SoundReport(first.encoding, gaps=sound_gaps(window, [], line.marks)))
    report = SoundReport(
        source=first.encoding,
        codec=CODEC,
        is_reencoded=first.encoding != _AAC,
        start=line.start,
        end=line.end,
        gaps=sound_gaps(window, line.covered, line.marks),
        error_ns=max(_error_ns(run, clock) for run, clock in alike),
        clock=BY_ARRIVAL if any(clock.source == BY_ARRIVAL for _, clock in alike) else BY_REPORTS,
    )
    return SoundCut(report, sound, line.start)


def _shape(track: Track) -> tuple[int, int]:
    """Return the rate and the channels to decode to. Raises BadInputError for what is not cut."""
    rate_hz = _OPUS_RATE_HZ if track.encoding == _OPUS else track.clock_rate_hz
    channels = track.sound_channels or 1
    is_known = track.encoding in _G711 or track.encoding == _OPUS or ("G726-" in track.encoding and channels == 1)
    if not is_known or channels > _CHANNELS_MAX or not _RATE_HZ_MIN <= rate_hz <= _RATE_HZ_MAX:
        raise BadInputError(
            f"sound of a kind that is not cut: {track.encoding[:32]} at {rate_hz} Hz, {channels} channels",
            cure="set the camera's sound to AAC or G.711",
        )
    return rate_hz, channels


def _error_ns(run: SoundRun, clock: SoundClock) -> int:
    return max(packet.anchor.error_ns for packet in run.packets) + clock.error_ns + STEADY_NS_MAX


def _lay_blocks(line: BlockLine, runs: Sequence[tuple[SoundRun, SoundClock]], rate_hz: int) -> None:
    for run, clock in runs:
        is_new = True
        for unit in _bounded(aac_units(run.packets, clock, run.track.fmtp, rate_hz)):
            if unit.time is None:
                continue
            if is_new:
                line.set_back(unit.time)
            is_new = False
            line.put(unit)


def _lay_samples(line: PcmLine, runs: Sequence[tuple[SoundRun, SoundClock]], granted: Window) -> None:
    for run, clock in runs:
        encoding, is_new = run.track.encoding, True
        decode = _decoder(run.track)
        for unit in _bounded(packet_units(run.packets, clock)):
            pcm = decode(unit.payload)
            if unit.time is None:
                continue
            time = WallTime(unit.time - (OPUS_LOOKAHEAD_NS if encoding == _OPUS else 0))
            if is_new:
                line.set_back(time)
            is_new = False
            if pcm is None:
                line.marks.append((time, WHY_SOUND_UNDECODABLE))
            elif encoding == _OPUS and not (granted.start <= time and unit.time + line.lasts_ns(pcm) <= granted.end):
                # Its samples are coded together: some would tell of others.
                line.marks.append((WallTime(max(time, granted.start)), WHY_SOUND_EDGE))
            else:
                line.put(time, pcm, is_after_loss=unit.is_after_loss)


def _decoder(track: Track) -> Callable[[bytes], bytes | None]:
    if track.encoding in _G711:
        return lambda payload: decode_g711(payload, track.encoding)
    return SoundDecoder(track.encoding, *_shape(track)).decode


def _bounded(units: Iterator[SoundUnit]) -> Iterator[SoundUnit]:
    for number, unit in enumerate(units):
        if number == UNITS_MAX:
            raise BadInputError(WHY_TOO_MUCH)
        yield unit
