"""A verified command meets the owner's policy: the hub's own yes, its no, or a question to the owner.

Rules of this file:
- `Granted` is built here and nowhere else.
- The strictest word counts: the policy's mode, then each camera's own. Nothing widens what the command asked for.
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
from agent.errors import BadInputError

OPT_IN: Final = "opt_in"
OWNER_SAID_YES: Final = "owner_said_yes"
_SHARING_MODES: Final = ("opt_in", "ask_first")


def decide(
    command: VerifiedCommand,
    policy: Policy | None,
    cameras: Collection[CameraId],
    now: WallTime,
    uploads_today: int,
    policy_sha256: str,
) -> Granted | Refusal | Ask:
    """Answer a command by the policy as it stands now.

    `cameras` are the hub's cameras, `uploads_today` counts the grants of the last 24 hours, `policy_sha256` is the hex
    digest of the policy's statement. Cameras that are not shared fall out; if none is left the answer is no. If one of
    the rest must be asked for, the question covers them all.
    """
    if policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "no owner has paired this hub and signed a policy")
    refusal = _refuse(command, policy, command.window, now, now)
    if refusal is not None:
        return refusal
    if uploads_today >= policy.uploads_per_day_max:
        return _no(command, RefusalReason.TOO_MANY_UPLOADS, f"limit {policy.uploads_per_day_max} a day")
    shared = _shared(_wanted(command, cameras), policy)
    if not shared:
        return _no(command, RefusalReason.CAMERA_NOT_SHARED, "")
    if _must_ask(shared, policy):
        deadline = WallTime(min(now + policy.answer_s_max * SECOND_NS, command.expires))
        return Ask(command, shared, command.window, deadline, _sounding(shared, policy))
    masks, sound = _masks(shared, policy), _sounding(shared, policy)
    return Granted(command, shared, command.window, policy.version, policy_sha256, OPT_IN, masks, sound)


def answered(
    ask: Ask, answer: Answer | None, policy: Policy | None, now: WallTime, policy_sha256: str
) -> Granted | Refusal:
    """Turn the owner's answer into a yes or a no; None is silence, and silence is a no.

    The answer may narrow cameras, their sound and the window, never widen them; the policy as it stands now counts too.
    """
    command = ask.command
    said = None if answer is None or now >= ask.deadline else _what_yes_covers(ask, answer)
    if said is None:
        return _no(command, RefusalReason.OWNER_DECLINED, "")
    if policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "the policy is gone")
    cameras, window, sound = said
    refusal = _refuse(command, policy, window, now, _under_way(command, now))
    if refusal is not None:
        return refusal
    shared = _shared(cameras, policy)
    if not shared:
        return _no(command, RefusalReason.CAMERA_NOT_SHARED, "")
    sound = tuple(name for name in _sounding(shared, policy) if name in sound)
    masks = _masks(shared, policy)
    return Granted(command, shared, window, policy.version, policy_sha256, OWNER_SAID_YES, masks, sound)


def renewed(
    command: VerifiedCommand,
    covered: tuple[tuple[CameraId, ...], Window, tuple[CameraId, ...]],
    policy: Policy | None,
    now: WallTime,
    policy_sha256: str,
    *,
    has_owner_said_yes: bool,
    masks: CameraMasks,
) -> Granted | Refusal:
    """Give a grant again after a restart: for exactly the cameras, window and sound it covered, or not at all.

    `masks` are those it had; it keeps them.

    Asking `decide` again could cover more than was granted, if the owner narrowed it or the policy has changed since.
    """
    if policy is None:
        return _no(command, RefusalReason.NOT_PAIRED, "the policy is gone")
    mode = OWNER_SAID_YES if has_owner_said_yes else OPT_IN
    cameras, window, sound = covered
    grant = Granted(command, cameras, window, policy.version, policy_sha256, mode, masks, sound)
    if not still_allowed(grant, policy, now):
        return _no(command, RefusalReason.PAUSED, "the policy of now does not give this grant")
    return grant


def still_allowed(grant: Granted, policy: Policy | None, now: WallTime) -> bool:
    """Say whether a running grant may send its next part: no, once today's policy would not give it."""
    if policy is None or _refuse(grant.command, policy, grant.window, now, _under_way(grant.command, now)) is not None:
        return False
    if _shared(grant.cameras, policy) != grant.cameras or _sounding(grant.sound, policy) != grant.sound:
        return False
    return grant.mode == OWNER_SAID_YES or not _must_ask(grant.cameras, policy)


def masks_now(grant: Granted, camera: CameraId, policy: Policy | None) -> Masks:
    """Return what must be painted over in pictures that leave now: the grant's masks and those of today's policy."""
    return join_masks(grant.masks.get(camera, ()), masks_of(camera, policy))


def masks_of(camera: CameraId, policy: Policy | None) -> Masks:
    """Return what today's policy paints over in a camera's pictures."""
    return policy.masks.get(camera, ()) if policy else ()


def _refuse(command: VerifiedCommand, policy: Policy, window: Window, now: WallTime, as_of: WallTime) -> Refusal | None:
    """Check what does not depend on cameras; the age of the window is measured `as_of`, its reach ahead from `now`."""
    length, age, ahead = window.end - window.start, as_of - window.start, window.end - now
    is_agency_known = any(command.agency == one.id and command.root in one.roots for one in policy.agencies)
    is_type_known = policy.incident_types is None or command.incident.type in policy.incident_types
    rules = (
        (command.action == "clip.upload", RefusalReason.UNSUPPORTED, f"nothing to consent to in {command.action}"),
        (policy.mode in _SHARING_MODES, RefusalReason.PAUSED, ""),
        (is_agency_known, RefusalReason.AGENCY, "the owner has not allowed this agency with this root"),
        (is_type_known, RefusalReason.INCIDENT_TYPE, ""),
        (length <= policy.window_s_max * SECOND_NS, RefusalReason.WINDOW_TOO_LONG, f"limit {policy.window_s_max} s"),
        (age <= policy.age_s_max * SECOND_NS, RefusalReason.WINDOW_TOO_OLD, f"limit {policy.age_s_max} s"),
        (ahead <= policy.ahead_s_max * SECOND_NS, RefusalReason.WINDOW_TOO_FAR_AHEAD, f"limit {policy.ahead_s_max} s"),
    )
    return next((_no(command, reason, detail) for holds, reason, detail in rules if not holds), None)


def _under_way(command: VerifiedCommand, now: WallTime) -> WallTime:
    # The signer's clock may be ahead of ours by the skew: the earlier of the two never ages a window that was let in.
    return min(command.issued, now)


def _wanted(command: VerifiedCommand, cameras: Collection[CameraId]) -> tuple[CameraId, ...]:
    if not command.cameras:
        return tuple(sorted(cameras))
    return tuple(name for name in command.cameras if name in cameras)


def _shared(cameras: tuple[CameraId, ...], policy: Policy) -> tuple[CameraId, ...]:
    return tuple(name for name in cameras if policy.cameras.get(name, "never") != "never")


def _sounding(cameras: tuple[CameraId, ...], policy: Policy) -> tuple[CameraId, ...]:
    return tuple(name for name in cameras if name in policy.sound)


def _masks(cameras: tuple[CameraId, ...], policy: Policy) -> CameraMasks:
    return {name: policy.masks[name] for name in cameras if policy.masks.get(name)}


def _must_ask(cameras: tuple[CameraId, ...], policy: Policy) -> bool:
    return policy.mode != OPT_IN or any(policy.cameras.get(name) != "share" for name in cameras)


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
