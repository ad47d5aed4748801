"""What an owner's policy comes to for some cameras, and what several of them come to together: the strictest of each.

Rules of this file:
- `strictest` is the meet of a lattice: the order, the grouping and the number of times a word is said change nothing,
  and one more word never widens.
- What is not known is `NOTHING`, which shares nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import WallTime, Window
from agent.consent.history import History
from agent.consent.mask import CameraMasks, join_masks
from agent.consent.policy import SHARES, Policy, Share, share_of
from agent.consent.schedule import Mode, instant_of, mode_in, mode_of_all, stricter


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be shared, of which cameras, with whom. The defaults share nothing."""

    mode: Mode = "recording_off"
    shares: frozenset[tuple[CameraId, Share]] = frozenset()  # one word for each camera that may be shared
    sound: frozenset[CameraId] = frozenset()
    masks: CameraMasks = field(default_factory=dict)
    agencies: frozenset[tuple[str, str]] = frozenset()  # id and root
    incident_types: frozenset[str] | None = frozenset()  # None: all
    window_s_max: int = 0
    before_s_max: int = 0
    after_s_max: int = 0
    age_s_max: int = 0
    ahead_s_max: int = 0
    uploads_per_day_max: int = 0
    answer_s_max: int = 0

    def share_of(self, camera: CameraId) -> Share:
        """Return the word for one camera."""
        return dict(self.shares).get(camera, "never")


NOTHING: Final = Terms()
_LIMITS: Final = (
    "window_s_max",
    "before_s_max",
    "after_s_max",
    "age_s_max",
    "ahead_s_max",
    "uploads_per_day_max",
    "answer_s_max",
)


@dataclass(frozen=True, slots=True)
class OwnersWord:
    """What the owner says now, and what was said before."""

    policy: Policy | None
    policy_sha256: str  # hex digest of its statement
    history: History


def terms_of(policy: Policy | None, cameras: Collection[CameraId], mode: Mode) -> Terms:
    """Return what one policy comes to for these cameras while `mode` holds."""
    if policy is None:
        return NOTHING
    return Terms(
        mode=mode,
        shares=frozenset((name, word) for name in cameras if (word := share_of(policy, name)) != "never"),
        sound=frozenset(policy.sound).intersection(cameras),
        masks={name: join_masks(policy.masks[name]) for name in cameras if policy.masks.get(name)},
        agencies=frozenset((one.id, root) for one in policy.agencies for root in one.roots),
        incident_types=None if policy.incident_types is None else frozenset(policy.incident_types),
        **{name: getattr(policy, name) for name in _LIMITS},
    )


def strictest(*words: Terms) -> Terms:
    """Return what all of the words allow; without any word, nothing."""
    return reduce(_meet, words) if words else NOTHING


def terms_today(
    word: OwnersWord, window: Window, cameras: Collection[CameraId], now: WallTime, *, is_clock_trusted: bool = True
) -> Terms:
    """Return what today's policy comes to, by the strictest mode it has now or at any moment of the window."""
    policy = word.policy
    if policy is None:
        return NOTHING
    mode = mode_now(policy, now, is_clock_trusted=is_clock_trusted)
    return terms_of(policy, cameras, stricter(mode, mode_in(policy.mode, policy.schedule, policy.zone, window)))


def terms_for(
    word: OwnersWord, window: Window, cameras: Collection[CameraId], now: WallTime, *, is_clock_trusted: bool = True
) -> Terms:
    """Return the strictest of today's policy and of every one that held at a moment of the window."""
    words = [terms_today(word, window, cameras, now, is_clock_trusted=is_clock_trusted)]
    for policy, stretch in word.history.during(window, now):
        then = mode_in(policy.mode, policy.schedule, policy.zone, stretch) if policy else "recording_off"
        words.append(terms_of(policy, cameras, then))
    return strictest(*words)


def mode_now(policy: Policy, now: WallTime, *, is_clock_trusted: bool) -> Mode:
    """Return the mode of this moment; while the clock is not trusted every rule of the schedule holds."""
    if not is_clock_trusted:
        return mode_of_all(policy.mode, policy.schedule)
    return mode_in(policy.mode, policy.schedule, policy.zone, instant_of(now))


def may_record(policy: Policy | None, now: WallTime, *, is_clock_trusted: bool) -> bool:
    """Say whether cameras may be recorded; without a policy they are, and nothing of it is ever shared."""
    return policy is None or mode_now(policy, now, is_clock_trusted=is_clock_trusted) != "recording_off"


def _meet(one: Terms, other: Terms) -> Terms:
    theirs = dict(other.shares)
    shares = frozenset((name, max(word, theirs[name], key=SHARES.index)) for name, word in one.shares if name in theirs)
    types = one.incident_types if other.incident_types is None else other.incident_types
    if one.incident_types is not None and other.incident_types is not None:
        types = one.incident_types & other.incident_types
    return Terms(
        mode=stricter(one.mode, other.mode),
        shares=shares,
        sound=one.sound & other.sound,
        masks={
            name: join_masks(one.masks.get(name, ()), other.masks.get(name, ()))
            for name in sorted({*one.masks, *other.masks})
        },
        agencies=one.agencies & other.agencies,
        incident_types=types,
        **{name: min(getattr(one, name), getattr(other, name)) for name in _LIMITS},
    )
