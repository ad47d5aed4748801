"""A camera's microphone: known samples, coded and packetised as cameras do, laid between the packets of pictures."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from agent.acquire.stream import StreamHeader, Track
from agent.clock import SECOND_NS, WallTime
from agent.cut.clip import WireChunk
from agent.cut.rtp import interleaved_frames, parse_rtp
from tests.simulators.h264_source import EPOCH, Source, rtp_frame
from tests.simulators.logged_streams import Filmed

Samples = np.ndarray[tuple[int], np.dtype[np.int16]]
CHANNEL, KIND = 2, 97
NTP_EPOCH_S = 3_990_000_000  # the camera's own clock, which is nobody else's, when the first picture was taken
RTP_START = 0xFFFF_FC00  # wraps soon
SEQUENCE_START = 65_500
_VIDEO_RTP_START = 0xFFFF_F000


@dataclass(frozen=True)
class Microphone:
    """How the camera hears and sends. Sound begins `early_s` before the first picture."""

    encoding: str = "PCMU"
    rate_hz: int = 8000
    fmtp: str = ""
    channels: int = 1
    packet: int = 160  # samples in a packet; of AAC, blocks
    early_s: float = 0.5
    seconds: float = 4.0
    sent_late_s: float = 0.0  # against the pictures it was taken with; negative: before them
    report_every_s: float = 1.0  # 0: no sender reports
    lost: frozenset[int] = frozenset()  # packets by their number
    stamped_late: int = 0  # samples: of AAC, the stamp is that of a later sample of the block than its first
    fragment_bytes: int = 0  # blocks of AAC are divided into packets of so many bytes

    @property
    def start(self) -> WallTime:
        """When the first sample was taken."""
        return WallTime(EPOCH - round(self.early_s * SECOND_NS))


def noise(count: int, seed: int = 1) -> Samples:
    """Return noise whose every stretch is like no other: where it correlates is when it was."""
    drawn = np.random.default_rng(seed).normal(0, 5000, count + 8)
    smooth = np.convolve(drawn, np.ones(4) / 4, "same")[:count]
    return smooth.clip(-30000, 30000).astype(np.int16)


def tone(count: int, rate_hz: int, hz: float, size: float = 12000) -> Samples:
    """Return a sine."""
    return (size * np.sin(2 * np.pi * hz * np.arange(count) / rate_hz)).astype(np.int16)


def packets_of(mic: Microphone, samples: Samples) -> list[tuple[int, bytes, bool]]:
    """Code the samples: (first sample, payload, marker) of every packet."""
    if mic.encoding == "MPEG4-GENERIC":
        return _aac_packets(mic, samples)
    frames = [samples[i : i + mic.packet] for i in range(0, len(samples) - mic.packet + 1, mic.packet)]
    if mic.encoding in ("PCMU", "PCMA"):
        law = "pcm_mulaw" if mic.encoding == "PCMU" else "pcm_alaw"
        coded = encode(law, mic, frames)
    elif mic.encoding == "OPUS":
        coded = encode("libopus", mic, frames)
    else:
        stream = b"".join(encode("g726" if mic.encoding.startswith("AAL2") else "g726le", mic, frames))
        size = mic.packet * int(mic.encoding.rpartition("-")[2]) // 64
        coded = [stream[at : at + size] for at in range(0, len(stream) - size + 1, size)]
    return [(number * mic.packet, payload, False) for number, payload in enumerate(coded)]


def encode(name: str, mic: Microphone, frames: Iterable[Samples]) -> list[bytes]:
    """Code frames of samples with one of libav's encoders, a packet each."""
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, AudioCodecContext)
    layout = "stereo" if mic.channels == 2 else "mono"
    encoder.sample_rate, encoder.layout = mic.rate_hz, layout
    encoder.format = "fltp" if name == "aac" else "s16"
    if name.startswith("g726"):
        encoder.bit_rate = int(mic.encoding.rpartition("-")[2]) * 1000
    out: list[bytes] = []
    for number, frame in enumerate(frames):
        if name == "aac":
            planes = np.tile(frame.astype(np.float32) / 32768, (mic.channels, 1))
            sent = AudioFrame.from_ndarray(np.ascontiguousarray(planes), format="fltp", layout=layout)
        else:
            woven = np.repeat(frame, mic.channels).reshape(1, -1)
            sent = AudioFrame.from_ndarray(woven, format="s16", layout=layout)
        sent.sample_rate, sent.pts = mic.rate_hz, number * len(frame)
        out += [bytes(packet) for packet in encoder.encode(sent)]
    return out


def aac_blocks(mic: Microphone, samples: Samples) -> list[bytes]:
    """Code blocks of 1024 samples; a decoder needs block n before it can give out samples from 1024n on."""
    frames = [samples[i : i + 1024] for i in range(0, len(samples) - 1023, 1024)]
    return encode("aac", mic, frames)


def _aac_packets(mic: Microphone, samples: Samples) -> list[tuple[int, bytes, bool]]:
    # The encoder's first block is for the 1024 samples before the first: block n is stamped with n - 1.
    blocks = aac_blocks(mic, samples)[1:]
    packets: list[tuple[int, bytes, bool]] = []
    for number in range(0, len(blocks), mic.packet):
        group = blocks[number : number + mic.packet]
        heads = b"".join(struct.pack(">H", len(block) << 3) for block in group)
        body = b"".join(group)
        step = mic.fragment_bytes or len(body)
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        for place, piece in enumerate(pieces):
            payload = struct.pack(">H", 8 * len(heads)) + heads + piece
            packets.append((number * 1024 + mic.stamped_late, payload, place == len(pieces) - 1))
    return packets


def sender_report(ntp_s: float, rtp: int, channel: int) -> bytes:
    """Build a sender report in its interleaved frame (RFC 3550 6.4.1)."""
    ntp64 = (NTP_EPOCH_S << 32) + round(ntp_s * 2**32)
    packet = struct.pack(">BBHIQIII", 0x80, 200, 6, 7, ntp64, rtp % 2**32, 0, 0)
    return struct.pack(">cBH", b"$", channel, len(packet)) + packet


Sent = TypeVar("Sent", Source, Filmed)


def with_sound(source: Sent, mic: Microphone, samples: Samples) -> Sent:
    """Let the camera of `source` hear too: what is taken at one moment is sent at one moment, but for `sent_late_s`."""
    waiting = sorted(_sent(mic, samples), key=lambda one: one[0])
    chunks, place = [], 0
    for chunk in source.chunks:
        wire = b""
        for channel, frame in interleaved_frames(chunk.wire):
            picture = parse_rtp(frame, source.header.video.payload_type) if channel == 0 else None
            if picture is not None:
                now_s = ((picture.timestamp - _VIDEO_RTP_START + 2**31) % 2**32 - 2**31) / 90_000
                while place < len(waiting) and waiting[place][0] <= now_s:
                    wire += waiting[place][1]
                    place += 1
            if channel != 1:
                wire += struct.pack(">cBH", b"$", channel, len(frame)) + frame
        chunks.append(WireChunk(chunk.run, chunk.sequence, chunk.anchor, wire))
    track = Track(CHANNEL, "audio", mic.encoding, KIND, mic.rate_hz, mic.fmtp, mic.channels)
    header = replace_header(source, track)
    return replace(source, header=header, chunks=tuple(chunks))


def replace_header(source: Source | Filmed, track: Track) -> StreamHeader:
    """Return the source's header with a track of sound."""
    return StreamHeader(source.header.camera, source.header.run, (source.header.video, track), source.header.name)


def _sent(mic: Microphone, samples: Samples) -> Iterator[tuple[float, bytes]]:
    """Yield (when it is sent, in seconds after the first picture, frame)."""
    for number, (first, payload, is_marked) in enumerate(packets_of(mic, samples)):
        length = mic.packet * (1024 if mic.encoding == "MPEG4-GENERIC" else 1)
        sent_s = (first + length) / mic.rate_hz - mic.early_s + mic.sent_late_s
        frame = rtp_frame(
            SEQUENCE_START + number, RTP_START + first, payload, marker=is_marked, channel=CHANNEL, kind=KIND
        )
        if number not in mic.lost:
            yield sent_s, frame
    moment = 0.1
    while mic.report_every_s and moment < mic.seconds:
        # The two tracks' reports never come at one time, and are of no whole second.
        late_s = moment + 0.013
        yield moment, sender_report(moment, _VIDEO_RTP_START + round(moment * 90_000), 1)
        taken = round((late_s + mic.early_s) * mic.rate_hz)
        yield late_s, sender_report(taken / mic.rate_hz - mic.early_s, RTP_START + taken, CHANNEL + 1)
        moment += mic.report_every_s
