"""In the child process the clip is made: the inside copied bit for bit, the edges decoded and encoded again.

Rules of this file: libav is touched here only. A frame counts only if the decoder had no complaint about it or anything
before it; error concealment would show what lay outside the window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import groupby, pairwise
from statistics import median
from typing import Any, Final

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from agent.acquire.timeline import ClockSource
from agent.clock import SECOND_NS
from agent.consent.mask import Masks
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.depacketize import AccessUnit, depacketize
from agent.cut.h264 import ParameterSets, Sps, active_sps, avc_configuration, is_slice, parameter_sets
from agent.cut.join import CodedPicture, CodedSegment, join_segments, kept_nals, samples_of
from agent.cut.mp4 import TIMESCALE_HZ, VideoTrack, write_movie
from agent.cut.paint import paint
from agent.cut.pictures import WHY_UNDECODABLE, PicturePlan, Segment, Tracing, find_gaps, plan_pictures
from agent.errors import BadInputError

CODEC: Final = "h264"
_QUALITY_CRF: Final = 20
_PEAK_FACTOR: Final = 3  # an edge may need this much of the source's bit rate
_PEAK_KBIT_MIN: Final = 2000
_THREADS: Final = 2
_TICK: Final = Fraction(1, TIMESCALE_HZ)
_ONE_FRAME_NS: Final = SECOND_NS // 25  # when one picture alone gives no rate
_PROFILES: Final = {66: "baseline", 77: "main"}
_EIGHT_BIT_420: Final = ("yuv420p", "yuvj420p")
_WORST_FIRST: Final = (ClockSource.ARRIVAL, ClockSource.SR, ClockSource.SR_ONVIF)


def make_clip(order: CutOrder, chunks: Iterable[WireChunk]) -> tuple[Iterator[bytes], ClipReport]:
    """Cut one part: the pieces of its MP4 file (none if there is no picture to deliver) and what is in it.

    Raises BadInputError if the chunks cannot be read, or hold nothing that can be cut.
    """
    units = depacketize(order.headers, chunks)
    for may_copy in (True, False) if order.may_copy and not order.masks else (False,):
        plan = plan_pictures(units, order.window, may_copy=may_copy)
        segments = [coded for segment in plan.segments if (coded := _code(units, plan, segment, order.masks)).pictures]
        if not segments:
            return iter(()), _report(order, units, plan, segments)
        try:
            pictures, sets = join_segments(segments)
            configuration = avc_configuration(sets)
        except BadInputError:
            if not may_copy:
                raise
            continue  # parameter set ids ran out: everything is re-encoded under the encoder's own
        samples, last_duration = samples_of(pictures, [units[p.unit].time for p in pictures], order.window)
        track = VideoTrack(plan.width, plan.height, configuration, samples, last_duration)
        return write_movie(track), _report(order, units, plan, segments)
    raise AssertionError


def _report(
    order: CutOrder, units: Sequence[AccessUnit], plan: PicturePlan, segments: Sequence[CodedSegment]
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
        codec=CODEC if times else "",
        gaps=find_gaps(order.window, times, [(units[index].time, why) for index, why in refused.items()]),
        refused=len(refused),
        error_ns=max((anchor.error_ns for anchor in anchors), default=0),
        source=next((source for source in _WORST_FIRST if any(a.source == source for a in anchors)), ""),
        masks=order.masks,
    )


def _code(units: Sequence[AccessUnit], plan: PicturePlan, segment: Segment, masks: Masks) -> CodedSegment:
    if not segment.is_copy:
        return _encode(units, plan, segment, masks)
    pictures = tuple(CodedPicture(i, units[i].is_key, kept_nals(units[i].nals)) for i in segment.units)
    return CodedSegment(is_copy=True, pictures=pictures, sets=segment.sets)


def _encode(units: Sequence[AccessUnit], plan: PicturePlan, segment: Segment, masks: Masks) -> CodedSegment:
    """Re-encode a segment: one IDR picture, then P pictures, parameter sets as the encoder chose them.

    The encoder never sees what lies under a mask, and no setting of it depends on how much that was.
    """
    sps = active_sps(segment.sets, units[segment.units[0]].slices[0])
    ticks: dict[int, int] = {}  # presentation time to access unit
    sets: dict[tuple[int, int], bytes] = {}
    pictures: list[CodedPicture] = []
    encoder: VideoCodecContext | None = None
    origin = min(units[index].time for index in segment.units)

    def take(packets: Iterable[av.Packet[Any]]) -> None:
        for packet in packets:
            nals = split_annex_b(bytes(packet))
            sets.update(parameter_sets(nals))
            unit = ticks[packet.pts or 0]
            pictures.append(CodedPicture(unit, packet.is_keyframe, tuple(n for n in nals if is_slice(n))))

    try:
        for index, frame in decode_units(units, plan.tracing, segment.units):
            shown = frame
            paint(frame, masks)  # before scaling, which would mix it into its surroundings
            if (frame.width, frame.height) != (plan.width, plan.height):
                shown = frame.reformat(plan.width, plan.height)
                paint(shown, masks)  # and after, so that its border is sharp
            encoder = encoder or _open_encoder(units, segment, sps, shown, is_masked=bool(masks))
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


def _open_encoder(
    units: Sequence[AccessUnit], segment: Segment, sps: Sps, like: VideoFrame, *, is_masked: bool
) -> VideoCodecContext:
    """Make an encoder whose pictures sit beside the source's: same profile, level, colours and picture buffer."""
    times = sorted(units[index].time for index in segment.units)
    step = median(after - before for before, after in pairwise(times)) if len(times) > 1 else _ONE_FRAME_NS
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = like.width, like.height, like.format.name
    encoder.time_base, encoder.framerate = _TICK, Fraction(SECOND_NS, max(int(step), 1)).limit_denominator(1001)
    encoder.thread_count = _THREADS
    encoder.color_range, encoder.colorspace = like.color_range, like.colorspace
    encoder.color_primaries, encoder.color_trc = like.color_primaries, like.color_trc
    parameters = {
        "keyint": "infinite",
        "scenecut": "0",
        "bframes": "0",
        "rc-lookahead": "8",
        "sync-lookahead": "0",
        "sliced-threads": "0",
        "repeat-headers": "1",
        "level": f"{sps.level / 10}",
    }
    if not is_masked:  # how much a camera sends tells what moves under a mask, and a cap depends on the threads' timing
        peak = _peak_kbit(units)
        parameters |= {"vbv-maxrate": str(peak), "vbv-bufsize": str(2 * peak)}
    if sps.references_max:  # an equal picture buffer: no decoder may drop pictures where the SPS changes (C.4.4)
        parameters["dpb-size"] = str(sps.references_max)
    encoder.options = {"preset": "veryfast", "crf": str(_QUALITY_CRF)}
    encoder.options |= {"x264-params": ":".join(f"{name}={value}" for name, value in parameters.items())}
    if like.format.name in _EIGHT_BIT_420:
        encoder.options |= {"profile": _PROFILES.get(sps.profile, "high")}
    return encoder


def _peak_kbit(units: Sequence[AccessUnit]) -> int:
    span_ns = max(units[-1].time - units[0].time, SECOND_NS)
    source_kbit = sum(len(nal) for unit in units for nal in unit.nals) * 8 * SECOND_NS // span_ns // 1000
    return max(_PEAK_FACTOR * source_kbit, _PEAK_KBIT_MIN)


def decode_units(
    units: Sequence[AccessUnit], tracing: Tracing, wanted: Iterable[int]
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (access unit, frame) of the wanted units in presentation order; what cannot be decoded is left out."""
    shown = sorted(wanted, key=lambda index: (units[index].time, index))
    for start, members in groupby(shown, key=tracing.decode_from.__getitem__):
        yield from _decode_run(units, tracing.sets_at[start], start, set(members))


def _decode_run(
    units: Sequence[AccessUnit], sets: ParameterSets, start: int, wanted: set[int]
) -> Iterator[tuple[int, VideoFrame]]:
    decoder = av.CodecContext.create(CODEC, "r")
    decoder.thread_type, decoder.thread_count = "SLICE", _THREADS  # frame threads could not say which unit was bad
    decoder.options = {"err_detect": "explode", "strict": "1"}  # strict: hold back as many frames as the level says
    broken_at = len(units)
    for index in range(start, max(wanted) + 1):
        if units[index].time < units[start].time and not units[start].is_key:
            continue  # a leading picture of an open GOP: refers to what is before the start, and nothing to it
        packet = av.Packet(_annex_b([*(sets.values() if index == start else ()), *units[index].nals]))
        packet.pts = packet.dts = index
        try:
            yield from _usable(decoder.decode(packet), wanted, broken_at)
        except FFmpegError:
            broken_at = index
            break
    try:
        frames = decoder.decode(None)
    except FFmpegError:
        return
    yield from _usable(frames, wanted, broken_at)


def _usable(frames: Iterable[VideoFrame], wanted: set[int], broken_at: int) -> Iterator[tuple[int, VideoFrame]]:
    for frame in frames:
        index = frame.pts
        if index is not None and index in wanted and index < broken_at and not frame.is_corrupt:
            yield index, frame


def _annex_b(nals: Iterable[bytes]) -> bytes:
    return b"".join(b"\0\0\0\1" + nal for nal in nals)


def split_annex_b(stream: bytes) -> list[bytes]:
    """Split an Annex B byte stream into NAL units."""
    parts = stream.split(b"\0\0\1")[1:]
    return [nal for part in parts if (nal := part.rstrip(b"\0"))]
