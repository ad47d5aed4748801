"""Decoded sound becomes one line of samples: those of the window, each in its place, silence where there are none.

Rules of this file: a sample is on the line only if its own time lies in the half-open window, whatever place it is
given; nothing here knows a codec but G.711, which is a table.
"""

from __future__ import annotations

from typing import Final

from agent.clock import SECOND_NS, WallTime, Window
from agent.cut.sound_gaps import STEADY_NS_MAX, WHY_SOUND_LOST, Mark
from agent.errors import BadInputError

SAMPLE_BYTES: Final = 2  # signed, little endian
LINE_S_MAX: Final = 600  # of one part


class PcmLine:
    """Collects samples in the order they came; `pcm` is interleaved where there are several channels."""

    def __init__(self, window: Window, rate_hz: int, channels: int) -> None:
        self.start: WallTime | None = None  # of the first sample on the line
        self.pcm = bytearray()
        self.marks: list[Mark] = []  # what is known to be missing
        self._window, self._rate_hz, self._frame = window, rate_hz, channels * SAMPLE_BYTES
        self._covered: list[list[int]] = []  # [first sample, end) with sound

    @property
    def end(self) -> WallTime | None:
        """The moment behind the last sample, within the window."""
        return None if self.start is None else WallTime(min(self._time_at(self._length), self._window.end))

    @property
    def covered(self) -> list[tuple[int, int]]:
        """The stretches with sound, in ns of hub time."""
        return [(self._time_at(begin), self._time_at(end)) for begin, end in self._covered]

    def lasts_ns(self, pcm: bytes) -> int:
        """How long a piece is, rounded up."""
        return -(-(len(pcm) // self._frame) * SECOND_NS // self._rate_hz)

    def put(self, time: WallTime, pcm: bytes, *, is_after_loss: bool) -> None:
        """Lay down a piece whose first sample was taken at `time`; what the line has of its time already is kept."""
        first = max(0, self._samples_until(self._window.start - time))
        last = min(len(pcm) // self._frame, self._samples_until(self._window.end - time))
        if is_after_loss:
            self.marks.append((time, WHY_SOUND_LOST))
        if first >= last:
            return
        begins = WallTime(time + first * SECOND_NS // self._rate_hz)
        if self.start is None:
            self.start = begins
        ahead = self._place(begins) - self._length
        steady = STEADY_NS_MAX * self._rate_hz // SECOND_NS
        if self._length + max(ahead, 0) + last - first > LINE_S_MAX * self._rate_hz:
            raise BadInputError(f"more than {LINE_S_MAX} s of sound in one part", cure="ask for shorter parts")
        if ahead > (0 if is_after_loss else steady):
            self.pcm += bytes(ahead * self._frame)
        elif ahead < -steady:
            first -= ahead
        if first < last:
            self._append(pcm[first * self._frame : last * self._frame])

    def set_back(self, time: WallTime) -> None:
        """Begin a run at `time`: of what the line has from there on, the newer sound is kept."""
        if self.start is None or time >= self._time_at(self._length):
            return
        place = max(0, self._place(time))
        del self.pcm[place * self._frame :]
        self._covered = [[begin, min(end, place)] for begin, end in self._covered if begin < place]
        if not place:
            self.start = None

    def _append(self, pcm: bytes) -> None:
        begin = self._length
        self.pcm += pcm
        if self._covered and begin == self._covered[-1][1]:
            self._covered[-1][1] = self._length
        else:
            self._covered.append([begin, self._length])

    @property
    def _length(self) -> int:
        return len(self.pcm) // self._frame

    def _samples_until(self, span_ns: int) -> int:
        """How many samples of a piece come before a moment this much after its first."""
        return -(-span_ns * self._rate_hz // SECOND_NS)

    def _place(self, time: WallTime) -> int:
        start = time if self.start is None else self.start
        return (2 * (time - start) * self._rate_hz + SECOND_NS) // (2 * SECOND_NS)

    def _time_at(self, place: int) -> int:
        return (self.start or 0) + place * SECOND_NS // self._rate_hz


def decode_g711(payload: bytes, encoding: str) -> bytes:
    """Decode PCMU or PCMA (ITU-T G.711) to 16-bit samples."""
    low, high = _G711[encoding]
    pcm = bytearray(2 * len(payload))
    pcm[0::2], pcm[1::2] = payload.translate(low), payload.translate(high)
    return bytes(pcm)


def _mu_law(code: int) -> int:
    code = ~code & 0xFF
    size = (((code & 15) << 3) + 132 << (code >> 4 & 7)) - 132
    return -size if code & 0x80 else size


def _a_law(code: int) -> int:
    code ^= 0x55
    step, size = code >> 4 & 7, (code & 15) << 4
    size = size + 8 if step == 0 else size + 264 << step - 1
    return size if code & 0x80 else -size


def _tables(decoded: list[int]) -> tuple[bytes, bytes]:
    return bytes(value & 0xFF for value in decoded), bytes(value >> 8 & 0xFF for value in decoded)


_G711: Final = {
    "PCMU": _tables([_mu_law(code) for code in range(256)]),
    "PCMA": _tables([_a_law(code) for code in range(256)]),
}
