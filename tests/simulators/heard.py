"""Hear a clip with libav's own ears: its sound as samples on the movie's time line."""

from __future__ import annotations

import io

import av
import numpy as np

Heard = np.ndarray[tuple[int], np.dtype[np.float32]]


def hear(clip: bytes) -> tuple[Heard, int, float]:
    """Decode the sound of a clip, its first channel: samples as they come, rate, and when the first one is played."""
    with av.open(io.BytesIO(clip), "r") as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32), 0, 0.0
        frames = list(container.decode(audio=0))
    rate_hz = frames[0].sample_rate
    start_s = float((frames[0].pts or 0) * (frames[0].time_base or 0))
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]), rate_hz, start_s


def lag_s(heard: Heard, sent: Heard, rate_hz: int, reach_s: float = 0.3) -> tuple[float, float]:
    """How much later `heard` is than `sent`, at most `reach_s` either way, and how alike they are then (1: equal)."""
    size = 1 << (len(heard) + len(sent)).bit_length()
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)), size)
    reach = int(reach_s * rate_hz)
    both = np.concatenate([products[-reach:], products[: reach + 1]])
    best = int(np.argmax(both))
    norm = float(np.sqrt((heard.astype(float) ** 2).sum() * (sent.astype(float) ** 2).sum()))
    return (best - reach) / rate_hz, float(both[best]) / (norm or 1.0)


def power(heard: Heard, rate_hz: int, hz: float) -> float:
    """How much of a tone is in a sound: its mean square around `hz`."""
    spectrum = np.abs(np.fft.rfft(heard)) ** 2 / max(len(heard), 1) ** 2 * 2
    at = np.fft.rfftfreq(len(heard), 1 / rate_hz)
    return float(spectrum[(at > hz - 15) & (at < hz + 15)].sum())
