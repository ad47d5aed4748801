"""In the child process the clip is made: the inside copied bit for bit, the edges decoded and encoded again.

Rules of this file: it decides nothing about which pictures; `pictures` does. What cannot be joined is re-encoded as a
whole, and the report says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any, Final

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from msgspec.structs import replace

from agent.acquire.timeline import ClockSource
from agent.clock import SECOND_NS
from agent.consent.mask import Masks
from agent.cut.bits import split_annex_b
from agent.cut.clip import ClipReport, CutOrder, PictureRun, WireChunk
from agent.cut.codec import ClipForm, Codec, PictureKind
from agent.cut.decode import decode_units
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.encode import fitted, open_encoder
from agent.cut.h264_ids import AVC
from agent.cut.holes import moments_of_holes
from agent.cut.join import CodedPicture, CodedSegment, join_segments, kept_nals, samples_of
from agent.cut.mp4 import TIMESCALE_HZ, VideoTrack, write_movie
from agent.cut.paint import paint
from agent.cut.pictures import WHY_MISSING, WHY_UNDECODABLE, PicturePlan, Segment, find_gaps, plan_pictures
from agent.cut.sound import SoundCutter
from agent.errors import BadInputError

_TICK: Final = Fraction(1, TIMESCALE_HZ)
_ONE_FRAME_NS: Final = SECOND_NS // 25  # when one picture alone gives no rate
_WORST_FIRST: Final = (ClockSource.ARRIVAL, ClockSource.SR, ClockSource.SR_ONVIF)
_PEAK_FACTOR: Final = 3  # an edge may need this much of the source's bit rate
_PEAK_KBIT_MIN: Final = 2000
WHY_TRIED: Final = "a first try, which copied, had failed"
_SYNC: Final = frozenset({PictureKind.CLOSED, PictureKind.OPEN})


def make_clip(order: CutOrder, chunks: Iterable[WireChunk]) -> tuple[Iterator[bytes], ClipReport]:
    """Cut one part: the pieces of its MP4 file (none if there is no picture to deliver) and what is in it.

    Raises BadInputError if the chunks cannot be read, or hold nothing that can be cut.
    """
    sounds, why = SoundCutter(order), "" if order.may_copy else WHY_TRIED
    units = depacketize(order.headers, sounds.passing(chunks))
    sound = sounds.cut()
    for may_copy in (True, False) if order.may_copy and not order.masks else (False,):
        plan = plan_pictures(units, order.window, may_copy=may_copy)
        segments = [coded for segment in plan.segments if (coded := _code(units, plan, segment, order.masks)).pictures]
        why = why or plan.why_reencoded
        if not segments:
            report = _report(order, units, plan, segments, why)
            return iter(()), replace(report, sound=sound.withheld(order.window))
        try:
            camera = plan.tracing.sets_at[segments[0].pictures[0].unit] if may_copy else {}
            pictures, sets = join_segments(segments, plan.codec, camera)
            configuration = _form(plan.codec).configuration(sets)
        except BadInputError as error:
            if not may_copy:
                raise
            why = str(error)
            continue  # parameter set ids ran out: everything is re-encoded under the encoder's own
        times = [units[p.unit].time for p in pictures]
        samples, last_duration = samples_of(pictures, times, order.window)
        track = VideoTrack(plan.width, plan.height, configuration, samples, last_duration, _form(plan.codec))
        report = replace(_report(order, units, plan, segments, why), sound=sound.report)
        return write_movie(track, sound.beside(min(times))), report
    raise AssertionError


def _form(codec: Codec) -> ClipForm:
    return codec.clip or AVC


def _report(
    order: CutOrder, units: Sequence[AccessUnit], plan: PicturePlan, segments: Sequence[CodedSegment], why: str
) -> ClipReport:
    delivered = sorted(picture.unit for segment in segments for picture in segment.pictures)
    refused = dict(plan.refused)
    planned = {index for segment in plan.segments for index in segment.units}
    refused |= dict.fromkeys(planned.difference(delivered), WHY_UNDECODABLE)
    times = sorted(units[index].time for index in delivered)
    anchors = [units[index].anchor for index in delivered]
    copied = sum(len(segment.pictures) for segment in segments if segment.is_copy)
    return ClipReport(
        pictures=len(delivered),
        copied=copied,
        reencoded=len(delivered) - copied,
        first_picture=times[0] if times else None,
        last_picture=times[-1] if times else None,
        width=plan.width if times else 0,
        height=plan.height if times else 0,
        codec=plan.codec.name if times else "",
        gaps=find_gaps(
            order.window,
            times,
            [
                *((units[index].time, why) for index, why in refused.items()),
                *((moment, WHY_MISSING) for moment in moments_of_holes(units, order.window)),
            ],
        ),
        refused=len(refused),
        error_ns=max((anchor.error_ns for anchor in anchors), default=0),
        source=next((source for source in _WORST_FIRST if any(a.source == source for a in anchors)), ""),
        why_reencoded=why if times else "",
        masks=order.masks,
        reencoded_at=tuple(_run(units, segment) for segment in segments if not segment.is_copy),
    )


def _run(units: Sequence[AccessUnit], segment: CodedSegment) -> PictureRun:
    times = [units[picture.unit].time for picture in segment.pictures]
    return PictureRun(min(times), max(times), len(times))


def _code(units: Sequence[AccessUnit], plan: PicturePlan, segment: Segment, masks: Masks) -> CodedSegment:
    if not segment.is_copy:
        return _encode(units, plan, segment, masks)
    codec = plan.codec
    copied = [CodedPicture(i, units[i].kind in _SYNC, kept_nals(codec, units[i].nals)) for i in segment.units]
    first = CodedPicture(copied[0].unit, copied[0].is_sync, _form(codec).as_first(copied[0].nals))
    return CodedSegment(is_copy=True, pictures=(first, *copied[1:]), sets=segment.sets)


def _encode(units: Sequence[AccessUnit], plan: PicturePlan, segment: Segment, masks: Masks) -> CodedSegment:
    """Re-encode a segment: one IDR picture, then P pictures, parameter sets as the encoder chose them.

    The encoder never sees what lies under a mask, and no setting of it depends on how much that was.
    """
    codec, form = plan.codec, plan.form
    if form is None:
        raise BadInputError("pictures whose form is not known")
    pace = _step(units, segment), 0 if masks else max(_PEAK_FACTOR * _source_kbit(units), _PEAK_KBIT_MIN)
    ticks: dict[int, int] = {}  # presentation time to access unit
    sets: dict[tuple[int, int], bytes] = {}
    pictures: list[CodedPicture] = []
    encoder: VideoCodecContext | None = None
    origin = min(units[index].time for index in segment.units)

    def take(packets: Iterable[av.Packet[Any]]) -> None:
        for packet in packets:
            nals = split_annex_b(bytes(packet))
            sets.update(codec.parameter_sets(nals))
            unit = ticks[packet.pts or 0]
            pictures.append(CodedPicture(unit, packet.is_keyframe, tuple(n for n in nals if codec.is_slice(n))))

    try:
        for index, frame in decode_units(units, plan.tracing, segment.units):
            paint(frame, masks)  # before scaling, which would mix it into its surroundings
            shown = fitted(frame, form)
            if shown is not frame:
                paint(shown, masks)  # and after, so that its border is sharp
            encoder = encoder or open_encoder(_form(codec), form, shown, *pace)
            if shown.format.name != encoder.pix_fmt:
                shown = shown.reformat(format=encoder.pix_fmt)
            tick = (units[index].time - origin) * TIMESCALE_HZ // SECOND_NS
            tick = max(tick, max(ticks, default=-1) + 1)
            ticks[tick] = index
            shown.pts, shown.time_base, shown.pict_type = tick, _TICK, PictureType.NONE
            take(encoder.encode(shown))
        take(encoder.encode(None) if encoder else ())
    except FFmpegError as error:
        shape = f"{plan.width}x{plan.height}"
        raise BadInputError(f"pictures of {shape} pixels cannot be encoded again: {error.strerror}") from error
    return CodedSegment(is_copy=False, pictures=tuple(pictures), sets=sets)


def _step(units: Sequence[AccessUnit], segment: Segment) -> int:
    """Return how far pictures are apart, in nanoseconds."""
    times = sorted(units[index].time for index in segment.units)
    return int(median(after - before for before, after in pairwise(times))) if len(times) > 1 else _ONE_FRAME_NS


def _source_kbit(units: Sequence[AccessUnit]) -> int:
    """Return what the camera sends in a second."""
    span_ns = max(units[-1].time - units[0].time, SECOND_NS)
    return sum(len(nal) for unit in units for nal in unit.nals) * 8 * SECOND_NS // span_ns // 1000
