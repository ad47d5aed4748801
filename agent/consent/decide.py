"""A verified command meets the owner's policy: the hub's own yes, its no, or a question to the owner.

Rules of this file:
- `Granted` is built here and nowhere else.
- The strictest word counts, of now and of every moment of the window (`terms.py`). Nothing widens what was asked for.
- Sound goes with a camera's pictures where the policy names that camera's sound, and nowhere else.
- What a grant masks stays masked; today's policy can only add to it.
- Times are arguments; a limit that looks back (age) is measured from when the command was issued, once it is under way,
  so that a slow answer or a slow uplink does not turn a yes into a no.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.words import WindowClaim
from agent.consent.grant import Ask, Granted
from agent.consent.mask import CameraMasks, Masks, join_masks
from agent.consent.policy import Answer, Policy
from agent.consent.schedule import first_outside
from agent.consent.terms import OwnersWord, Terms, terms_for, terms_today
from agent.errors import BadInputError

OPT_IN: Final = "opt_in"
OWNER_SAID_YES: Final = "owner_said_yes"
_SHARING_MODES: Final = ("opt_in", "ask_first")


def decide(
    command: VerifiedCommand, word: OwnersWord, cameras: Collection[CameraId], now: WallTime, uploads_today: int
) -> Granted | Refusal | Ask:
    """Answer a command by the policy of now and by every one that held at a moment of its window.

    `cameras` are the hub's cameras, `uploads_today` counts the grants of the last 24 hours. Cameras that are not shared
    fall out; if none is left the answer is no. If one of the rest must be asked for, the question covers them all.
    """
    wanted = _wanted(command, cameras)
    terms = _terms(command, word, command.window, wanted, now, now)
    if isinstance(terms, Refusal):
        return terms
    if uploads_today >= terms.uploads_per_day_max:
        return _no(command, RefusalReason.TOO_MANY_UPLOADS, f"limit {terms.uploads_per_day_max} a day")
    shared = _shared(wanted, terms)
    if not shared:
        return _no(command, RefusalReason.CAMERA_NOT_SHARED, "")
    if _must_ask(shared, terms):
        deadline = WallTime(min(now + terms.answer_s_max * SECOND_NS, command.expires))
        return Ask(command, shared, command.window, deadline, _sounding(shared, terms))
    return _granted(command, shared, command.window, _sounding(shared, terms), word, terms, OPT_IN)


def answered(ask: Ask, answer: Answer | None, word: OwnersWord, now: WallTime) -> Granted | Refusal:
    """Turn the owner's answer into a yes or a no; None is silence, and silence is a no.

    The answer may narrow cameras, their sound and the window, never widen them; the policies of now and of then count
    too. Every no looks the same, whoever said it: else the server could tell that there was an answer.
    """
    command = ask.command
    said = None if answer is None or now >= ask.deadline else _what_yes_covers(ask, answer)
    declined = _no(command, RefusalReason.OWNER_DECLINED, "")
    if said is None:
        return declined
    cameras, window, sound = said
    terms = _terms(command, word, window, cameras, now, _under_way(command, now))
    if isinstance(terms, Refusal) or not (shared := _shared(cameras, terms)):
        return declined
    sound = tuple(name for name in _sounding(shared, terms) if name in sound)
    return _granted(command, shared, window, sound, word, terms, OWNER_SAID_YES)


def renewed(
    command: VerifiedCommand,
    covered: tuple[tuple[CameraId, ...], Window, tuple[CameraId, ...]],
    word: OwnersWord,
    now: WallTime,
    *,
    has_owner_said_yes: bool,
    masks: CameraMasks,
) -> Granted | Refusal:
    """Give a grant again: for exactly the cameras, window and sound it covered, or not at all.

    `masks` are those it had; it keeps them.

    Asking `decide` again could cover more than was granted, if the owner narrowed it or the policy has changed since.
    """
    if word.policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "")
    policy = word.policy.version, word.policy_sha256
    grant = remembered(command, covered, policy, has_owner_said_yes=has_owner_said_yes, masks=masks)
    if not still_allowed(grant, word, now):
        return _no(command, RefusalReason.SHARING_OFF, "the policy of now does not give this grant")
    return grant


def remembered(
    command: VerifiedCommand,
    covered: tuple[tuple[CameraId, ...], Window, tuple[CameraId, ...]],
    policy: tuple[int, str],
    *,
    has_owner_said_yes: bool,
    masks: CameraMasks,
) -> Granted:
    """Return the grant that a job had before a restart, by which nothing goes without `still_allowed`.

    `policy` is the version and digest of the one that granted it. Where the policy of now is a no, the job still has to
    say what went, and to take back what was on its way.
    """
    mode = OWNER_SAID_YES if has_owner_said_yes else OPT_IN
    cameras, window, sound = covered
    return Granted(command, cameras, window, *policy, mode, masks, sound)


def still_allowed(grant: Granted, word: OwnersWord, now: WallTime, *, is_clock_trusted: bool = True) -> bool:
    """Say whether a running grant may send its next part: no, once the policies would not give it."""
    as_of = _under_way(grant.command, now)
    terms = _terms(grant.command, word, grant.window, grant.cameras, now, as_of, is_clock_trusted=is_clock_trusted)
    if isinstance(terms, Refusal):
        return False
    if _shared(grant.cameras, terms) != grant.cameras or _sounding(grant.sound, terms) != grant.sound:
        return False
    return grant.mode == OWNER_SAID_YES or not _must_ask(grant.cameras, terms)


def masks_now(grant: Granted, camera: CameraId, word: OwnersWord, now: WallTime) -> Masks:
    """Return what must be painted over in pictures that leave now: the grant's masks and those of now and of then."""
    terms = terms_for(word, grant.window, (camera,), now)
    return join_masks(grant.masks.get(camera, ()), terms.masks.get(camera, ()))


def masks_of(camera: CameraId, policy: Policy | None) -> Masks:
    """Return what today's policy paints over in a camera's pictures."""
    return policy.masks.get(camera, ()) if policy else ()


def notice_due(ask: Ask, policy: Policy | None, asked: WallTime) -> WallTime | None:
    """Return when the owner may be told of a question: at once, or after the quiet hours; None: not in time."""
    if policy is None:
        return None
    return first_outside(policy.quiet, policy.zone, asked, ask.deadline)


def _terms(
    command: VerifiedCommand,
    word: OwnersWord,
    window: Window,
    cameras: Collection[CameraId],
    now: WallTime,
    as_of: WallTime,
    *,
    is_clock_trusted: bool = True,
) -> Terms | Refusal:
    """Return what may be shared in the window, or why nothing is; today's policy gives its reasons first."""
    if word.policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "no owner has paired this hub and signed a policy")
    today = terms_today(word, window, cameras, now, is_clock_trusted=is_clock_trusted)
    terms = terms_for(word, window, cameras, now, is_clock_trusted=is_clock_trusted)
    refusals = (_refuse(command, each, window, now, as_of) for each in (today, terms))
    return next((refusal for refusal in refusals if refusal is not None), terms)


def _refuse(command: VerifiedCommand, terms: Terms, window: Window, now: WallTime, as_of: WallTime) -> Refusal | None:
    """Check what does not depend on cameras; the age of the window is measured `as_of`, its reach ahead from `now`."""
    length, age, ahead = window.end - window.start, as_of - window.start, window.end - now
    before, after = command.incident.reported_at - window.start, window.end - command.incident.reported_at
    is_type_known = terms.incident_types is None or command.incident.type in terms.incident_types
    is_agency_known = (command.agency, command.root) in terms.agencies
    limits = (
        (length, terms.window_s_max, RefusalReason.WINDOW_TOO_LONG),
        (before, terms.before_s_max, RefusalReason.WINDOW_TOO_FAR_BEFORE),
        (after, terms.after_s_max, RefusalReason.WINDOW_TOO_FAR_AFTER),
        (age, terms.age_s_max, RefusalReason.WINDOW_TOO_OLD),
        (ahead, terms.ahead_s_max, RefusalReason.WINDOW_TOO_FAR_AHEAD),
    )
    rules = (
        (command.action == "clip.upload", RefusalReason.UNSUPPORTED, f"nothing to consent to in {command.action}"),
        (terms.mode in _SHARING_MODES, RefusalReason.SHARING_OFF, ""),
        (is_agency_known, RefusalReason.AGENCY, "the owner has not allowed this agency with this root"),
        (is_type_known, RefusalReason.INCIDENT_TYPE, ""),
        *((length_ns <= limit * SECOND_NS, reason, f"limit {limit} s") for length_ns, limit, reason in limits),
    )
    return next((_no(command, reason, detail) for holds, reason, detail in rules if not holds), None)


def _granted(
    command: VerifiedCommand,
    cameras: tuple[CameraId, ...],
    window: Window,
    sound: tuple[CameraId, ...],
    word: OwnersWord,
    terms: Terms,
    mode: str,
) -> Granted | Refusal:
    if word.policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "")
    masks = {name: terms.masks[name] for name in cameras if name in terms.masks}
    return Granted(command, cameras, window, word.policy.version, word.policy_sha256, mode, masks, sound)


def _under_way(command: VerifiedCommand, now: WallTime) -> WallTime:
    # The signer's clock may be ahead of ours by the skew: the earlier of the two never ages a window that was let in.
    return min(command.issued, now)


def _wanted(command: VerifiedCommand, cameras: Collection[CameraId]) -> tuple[CameraId, ...]:
    if not command.cameras:
        return tuple(sorted(cameras))
    return tuple(name for name in command.cameras if name in cameras)


def _shared(cameras: tuple[CameraId, ...], terms: Terms) -> tuple[CameraId, ...]:
    return tuple(name for name in cameras if terms.share_of(name) != "never")


def _sounding(cameras: tuple[CameraId, ...], terms: Terms) -> tuple[CameraId, ...]:
    return tuple(name for name in cameras if name in terms.sound)


def _must_ask(cameras: tuple[CameraId, ...], terms: Terms) -> bool:
    return terms.mode != OPT_IN or any(terms.share_of(name) != "share" for name in cameras)


def _what_yes_covers(ask: Ask, answer: Answer) -> tuple[tuple[CameraId, ...], Window, tuple[CameraId, ...]] | None:
    if answer.decision != "yes" or answer.command_sha256 != ask.command.sha256:
        return None
    cameras = tuple(name for name in ask.cameras if answer.cameras is None or name in answer.cameras)
    window = ask.window if answer.window is None else _common(ask.window, answer.window)
    sound = tuple(name for name in ask.sound if answer.sound is None or name in answer.sound)
    return None if window is None or not cameras else (cameras, window, sound)


def _common(window: Window, narrower: WindowClaim) -> Window | None:
    try:
        return window.intersection(narrower.window())
    except BadInputError:
        return None  # `open_answer` does not let it through; whoever skips that gets a no


def _no(command: VerifiedCommand, reason: RefusalReason, detail: str) -> Refusal:
    return Refusal(reason, detail, command.id)
