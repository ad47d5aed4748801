"""What was measured of a camera's key pictures to what is wrong with its picture: learnt slowly, said late.

Rules of this file: time is an argument; nothing here has seen a picture. One cause makes one fault: of a black picture
nobody hears that it is out of focus. How often it errs is measured: OPERATIONS.md, Pictures that are no use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.clock import SECOND_NS, Instant
from agent.cut.look import LookOrder, Samples, Signs


class Fault(StrEnum):
    """What can be wrong with a picture; the values are the warnings' codes."""

    BLACK = "picture_black"
    BLINDED = "picture_blinded"
    FROZEN = "picture_frozen"
    MOVED = "picture_moved"
    BLURRED = "picture_blurred"
    UNJUDGED = "picture_unjudged"


LASTS_S: Final = {
    Fault.BLACK: 110,
    Fault.BLINDED: 170,  # a lorry's headlights go by
    Fault.FROZEN: 170,
    Fault.MOVED: 290,  # somebody stands before it, a lorry unloads
    Fault.BLURRED: 590,  # it focuses anew, rain runs down
    Fault.UNJUDGED: 290,
}
"""Every look for so long must show a cause before it is said: at one look a minute 3, 4, 4, 6, 11 and 6 looks."""

CLEARED_BY_LOOKS: Final = 2  # without the cause, one after the other
ACCEPTED_S: Final = 24 * 3600  # a camera that was warned of for a day has been turned on purpose
BLACK_LIGHTEST_MAX: Final = 25
NOTHING_DETAIL_MAX: Final = 16  # what a cloth before the lens, thick fog or white leaves of the lines
WHITE_MIN: Final = 600
FROZEN_CHANGED_MAX: Final = 50  # of most parts: a sensor's noise alone changes five times as many samples
CLOCK_CHANGED_MAX: Final = 150  # of all: what a clock changes that goes on in a picture that stands still
MOVED_LIKENESS_MAX: Final = 420
LEARN_LIKENESS_MIN: Final = 600
LEARN_SHIFT: Final = 4  # a sixteenth of each look
BLURRED_SHARE: Final = 0.6
SHARPNESS_MAX: Final = 700  # rain and noise look sharper than any lens
SHARPNESS_LOOKS_MIN: Final = 20  # before its usual is known
_SHARPNESS_LEARN: Final = 1 / 64
GREY_COLOUR_MAX: Final = 1


@dataclass(slots=True)
class _Standing:
    since: Instant  # the first look that showed it
    is_said: bool = False
    good_looks: int = 0


@dataclass(slots=True)
class PictureJudge:
    """Judges one camera's pictures, one after the other."""

    signs: Signs | None = None  # of the newest that could be judged
    likeness: int | None = None  # of its scene to what is known, in thousandths
    why_unjudged: str = ""  # of the newest look; empty if it could be
    _scenes: dict[bool, bytes] = field(default_factory=dict)  # by whether the picture is grey
    _sharpness: float = 0.0  # as usual
    _sharpness_looks: int = 0
    _before: Samples | None = None
    _standing: dict[Fault, _Standing] = field(default_factory=dict)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong, as far as it has lasted."""
        return tuple(fault for fault in Fault if fault in self._standing and self._standing[fault].is_said)

    def order(self, snapshot_bytes_max: int) -> LookOrder:
        """Say what the next picture is to be compared with."""
        return LookOrder(tuple(self._scenes.values()), self._before, snapshot_bytes_max)

    def judge(self, signs: Signs, now: Instant) -> None:
        """Take what was measured of a picture under the order of before."""
        is_later = self.signs is None or signs.taken > self.signs.taken
        self.likeness = max(signs.likeness, default=None)
        found = self._find(signs, is_later=is_later)
        self.signs, self.why_unjudged, self._before = signs, "", signs.samples
        self._note(found, now)
        moved = self._standing.get(Fault.MOVED)
        if moved and moved.is_said and now - moved.since >= ACCEPTED_S * SECOND_NS:
            self._scenes.clear()
            del self._standing[Fault.MOVED]
            found.discard(Fault.MOVED)
        if not found & {Fault.BLACK, Fault.BLINDED, Fault.MOVED}:
            self._learn(signs)

    def cannot_judge(self, why: str, now: Instant) -> None:
        """Take that a look gave no answer; what stood before stands."""
        self.why_unjudged = why
        self._stand(Fault.UNJUDGED, now)

    def _find(self, signs: Signs, *, is_later: bool) -> set[Fault]:
        is_empty = signs.detail <= NOTHING_DETAIL_MAX
        if is_empty and signs.lightest <= BLACK_LIGHTEST_MAX:
            return {Fault.BLACK}
        if is_empty or signs.white >= WHITE_MIN:
            return {Fault.BLINDED}
        found = set()
        if is_later and _is_frozen(signs):
            found.add(Fault.FROZEN)
        if self.likeness is not None and self.likeness < MOVED_LIKENESS_MAX:
            found.add(Fault.MOVED)
        elif self._is_blurred(signs):
            found.add(Fault.BLURRED)
        return found

    def _is_blurred(self, signs: Signs) -> bool:
        is_known = self._sharpness_looks >= SHARPNESS_LOOKS_MIN
        return is_known and signs.sharpness is not None and signs.sharpness < BLURRED_SHARE * self._sharpness

    def _note(self, found: set[Fault], now: Instant) -> None:
        for fault in found:
            self._stand(fault, now)
        for fault, standing in list(self._standing.items()):
            if fault in found:
                continue
            standing.good_looks += 1
            if not standing.is_said or standing.good_looks >= CLEARED_BY_LOOKS:
                del self._standing[fault]

    def _stand(self, fault: Fault, now: Instant) -> None:
        standing = self._standing.setdefault(fault, _Standing(now))
        standing.good_looks = 0
        standing.is_said = standing.is_said or now - standing.since >= LASTS_S[fault] * SECOND_NS

    def _learn(self, signs: Signs) -> None:
        is_grey = signs.colour <= GREY_COLOUR_MAX
        known = self._scenes.get(is_grey)
        if known is None:
            self._scenes[is_grey] = signs.edges
        elif (self.likeness or 0) >= LEARN_LIKENESS_MIN:
            self._scenes[is_grey] = _blended(known, signs.edges)
        if signs.sharpness is None:
            return
        sharpness = min(signs.sharpness, SHARPNESS_MAX)
        if Fault.BLURRED not in self._standing:
            self._sharpness_looks += 1
            self._sharpness += (sharpness - self._sharpness) * max(_SHARPNESS_LEARN, 1 / self._sharpness_looks)


def _is_frozen(signs: Signs) -> bool:
    if signs.changed is None:
        return False
    within = signs.changed if signs.changed_within is None else signs.changed_within
    return within <= FROZEN_CHANGED_MAX and signs.changed <= CLOCK_CHANGED_MAX


def _blended(known: bytes, edges: bytes) -> bytes:
    """Move what is known a sixteenth of the way, at least one step."""
    return bytes(
        old + ((new - old) >> LEARN_SHIFT if new < old else -((old - new) >> LEARN_SHIFT))
        for old, new in zip(known, edges, strict=True)
    )
