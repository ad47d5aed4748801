"""What came over the wire and what did not, by the numbers that the camera's packets carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RESTART_PACKETS_MIN: Final = 3001  # sequence numbers that move by more than 3000 began anew (RFC 3550 appendix A.1)
_WRAP: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class WireCounts:
    """Counts since the session began. Loss in a picture shows when the next one begins."""

    video_packets: int = 0
    video_packets_lost: int = 0  # falls again by those that were only late
    pictures: int = 0
    key_pictures: int = 0
    sound_packets: int = 0


class WireTally:
    """Counts as the packets go by. Only the first of a picture shows its sequence number: the rest are counted."""

    def __init__(self) -> None:
        self.video_packets = self.pictures = self.key_pictures = self.sound_packets = 0
        self._lost = 0  # before the numbers last began anew
        self._missing = 0  # since then; negative if packets came twice
        self._lead: int | None = None  # of the sequence number over the packets counted, modulo 2^16

    def begin_picture(self, sequence: int) -> None:
        """Take the sequence number of a picture's first packet, before that packet itself is counted."""
        self.pictures += 1
        lead = (sequence - self.video_packets) % _WRAP
        if lead == self._lead:
            return
        if self._lead is not None:
            moved = (lead - self._lead + _WRAP // 2) % _WRAP - _WRAP // 2
            if abs(moved) < RESTART_PACKETS_MIN:
                self._missing += moved
            else:
                self._lost, self._missing = self._lost + max(0, self._missing), 0
        self._lead = lead

    def counts(self) -> WireCounts:
        """Return the counts as they are now."""
        return WireCounts(
            video_packets=self.video_packets,
            video_packets_lost=self._lost + max(0, self._missing),
            pictures=self.pictures,
            key_pictures=self.key_pictures,
            sound_packets=self.sound_packets,
        )
