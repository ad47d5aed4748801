"""Cameras that hear: a microphone beside a filmed stream hears a code that tells the time, and logs what it sent."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from agent.clock import SECOND_NS, WallTime, Window
from agent.demo.camera_log import LoggedSound, SoundHead
from agent.demo.sound_code import LEVEL, wave
from tests.simulators.logged_streams import Filmed, Sort, film, log_of
from tests.simulators.proven_cuts import TICK_NS
from tests.simulators.sound_source import Microphone, aac_blocks, packets_of, with_sound

SECONDS: Final = 5.0
AAC: Final = "mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config="
CHIPS_HZ: Final = 8000
EARLY_S: Final = 0.50003  # so that no sample is taken at the moment of a picture
_OPUS_LOOKAHEAD: Final = 312  # a packet tells of what was heard so many samples earlier (RFC 6716 2)
MICROPHONES: Final[dict[str, Microphone]] = {
    "PCMU": Microphone("PCMU", early_s=EARLY_S, seconds=SECONDS),
    "PCMA": Microphone("PCMA", early_s=EARLY_S, seconds=SECONDS),
    "PCMU 16 kHz": Microphone("PCMU", 16_000, packet=320, early_s=EARLY_S, seconds=SECONDS),
    "AAC 8 kHz": Microphone("MPEG4-GENERIC", 8_000, AAC + "1588", packet=3, early_s=EARLY_S, seconds=SECONDS),
    "AAC 16 kHz": Microphone("MPEG4-GENERIC", 16_000, AAC + "1408", packet=1, early_s=EARLY_S, seconds=SECONDS),
    "AAC 48 kHz": Microphone(
        "MPEG4-GENERIC",
        48_000,
        AAC + "1190",
        packet=1,
        channels=2,
        fragment_bytes=100,
        early_s=EARLY_S,
        seconds=SECONDS,
    ),
    "G.726": Microphone("G726-32", early_s=EARLY_S, seconds=SECONDS),
    "G.726, bits the other way": Microphone("AAL2-G726-40", early_s=EARLY_S, seconds=SECONDS),
    "Opus": Microphone("OPUS", 48_000, channels=2, packet=960, early_s=EARLY_S, seconds=SECONDS),
}


@lru_cache(maxsize=32)
def film_and_hear(sort: Sort, mic: Microphone, run: int = 1, start_s: int = 0) -> Filmed:
    """Film a run that begins `start_s` whole seconds after the first; its microphone hears the code of the time."""
    head = SoundHead(mic.encoding, mic.rate_hz, CHIPS_HZ, mic.start)
    count = round(mic.seconds * mic.rate_hz)
    before = start_s * mic.rate_hz  # samples taken before this run, by the same clock
    samples = (LEVEL * wave(before, count, head.starts_ns, head.rate_hz, head.chips_hz)).astype(np.int16)
    lookahead = _OPUS_LOOKAHEAD if mic.encoding == "OPUS" else 0
    heard = with_sound(film(sort, run=run, start_s=start_s), mic, samples)
    if mic.encoding == "MPEG4-GENERIC":
        # The encoder's first block is for what was before the first sample; the camera does not send it.
        sent = [(1024 * number, 2048, block) for number, block in enumerate(aac_blocks(mic, samples)[1:])]
    else:
        sent = [(first - lookahead, mic.packet, payload) for first, payload, _ in packets_of(mic, samples)]
    # The camera stops with its last picture: what a packet says until then is sent.
    length = mic.packet * (1024 if mic.encoding == "MPEG4-GENERIC" else 1)
    until = (heard.times[-1] - mic.start) * mic.rate_hz // SECOND_NS - before - mic.stamped_late
    stops = int(until // length * length)
    logged = tuple(
        LoggedSound(before + first, many, hashlib.sha256(block).digest()[:16].hex())
        for first, many, block in sent
        if first + lookahead < stops
    )
    return replace(heard, sound=head, sounds=logged)


def sound_windows(filmed: Filmed) -> dict[str, Window]:
    """Return windows with borders in, on and beside what the microphone sent, by name; each has a picture."""
    log, moment = log_of(filmed), filmed.times[len(filmed.times) // 2]
    near = next(one for one in filmed.sounds if log.heard_at(one.first + one.samples) > moment)
    begin, end = log.heard_at(near.first), log.heard_at(near.first + near.samples)
    later = next(one for one in filmed.sounds if log.heard_at(one.first) > moment + SECOND_NS)
    third = (end - begin) // 3
    return {
        "inside one block": Window(min(moment, WallTime(begin + third)), WallTime(max(moment + 1, end - third))),
        "from block to block": Window(begin, log.heard_at(later.first)),
        "1 tick before blocks": Window(WallTime(begin - TICK_NS), WallTime(log.heard_at(later.first) - TICK_NS)),
        "1 tick after blocks": Window(WallTime(begin + TICK_NS), WallTime(log.heard_at(later.first) + TICK_NS)),
        "shorter than a sample": Window(moment, WallTime(moment + 5000)),
    }
