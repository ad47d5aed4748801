"""The hub's yes, no and question: what the owner's policy makes of a verified command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339, rfc3339
from agent.command.envelope import verify
from agent.command.request import Incident, Refusal, RefusalReason, VerifiedCommand
from agent.command.trust import TrustBundle
from agent.command.words import WindowClaim
from agent.consent.decide import answered, decide, masks_now, renewed, still_allowed
from agent.consent.grant import Ask, Granted
from agent.consent.history import UNKNOWN, Held, History
from agent.consent.policy import Answer, Policy, open_policy
from agent.consent.terms import OwnersWord
from agent.demo.authority import sharing_claims
from tests.vectors.command import scene
from tests.vectors.command.scene import OWNER
from tests.vectors.consent.make_decisions import WRITTEN, vectors

NOW = scene.NOW
CAMERAS = [CameraId(name) for name in ("back", "front", "office")]
SHA256 = "5" * 64


def command_of_scene() -> VerifiedCommand:
    """Return the scene's command, verified: front and back, ten to five minutes ago."""
    trust = msgspec.convert(scene.trust_claims(), TrustBundle)
    command = verify(scene.message(), trust, scene.AUDIENCE, NOW, is_clock_trusted=True)
    assert isinstance(command, VerifiedCommand)
    return command


COMMAND = command_of_scene()


def policy(**claims: object) -> Policy:
    """Return a policy that shares front and back with the scene's agency for anything, or a changed one."""
    shared = {**sharing_claims(scene.AUTHORITY, ["front", "back"]), **claims}
    return msgspec.convert({"hub": scene.AUDIENCE.hub, "version": 4, "iat": 0, **shared}, Policy)


def word(rules: Policy | None, *before: tuple[Policy | None, float, float]) -> OwnersWord:
    """Return what the owner says: this policy always, and others too in spans of seconds after the command."""
    always = Held(rules, "now", WallTime(0), NOW)
    spans = tuple(Held(was, f"then {n}", later(a), later(b)) for n, (was, a, b) in enumerate(before))
    return OwnersWord(rules, SHA256, History((*spans, always)))


def choose(
    rules: Policy | None, command: VerifiedCommand = COMMAND, now: WallTime = NOW, uploads: int = 0
) -> Granted | Refusal | Ask:
    """Decide at the scene's hub."""
    return decide(command, word(rules), CAMERAS, now, uploads)


def asked(**claims: object) -> Ask:
    """Return the question that an ask-first policy leads to."""
    ask = choose(policy(mode="ask_first", **claims))
    assert isinstance(ask, Ask)
    return ask


def yes(**claims: object) -> Answer:
    """Return the owner's yes to the scene's command."""
    said = {"hub": scene.AUDIENCE.hub, "command_sha256": COMMAND.sha256, "decision": "yes", "iat": 0, "exp": 1}
    return msgspec.convert({**said, **claims}, Answer)


def later(seconds: float) -> WallTime:
    """Return a time after the command."""
    return WallTime(NOW + int(seconds * SECOND_NS))


def test_opt_in_grants_exactly_what_was_asked() -> None:
    """A business that opted in is not asked; the grant names policy and digest."""
    assert choose(policy()) == Granted(COMMAND, COMMAND.cameras, COMMAND.window, 4, SHA256, "opt_in", {})


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (None, RefusalReason.NOT_PAIRED),
        (Policy(hub="hub-7Q2M", version=1, iat=0), RefusalReason.SHARING_OFF),
        (policy(mode="sharing_off"), RefusalReason.SHARING_OFF),
        (policy(agencies=[]), RefusalReason.AGENCY),
        (policy(agencies=[{"id": "pd-0042", "roots": []}]), RefusalReason.AGENCY),
        (policy(agencies=[{"id": "pd-0042", "roots": ["A" * 43]}]), RefusalReason.AGENCY),
        (policy(agencies=[{"id": "pd-0043", "roots": [COMMAND.root]}]), RefusalReason.AGENCY),
        (policy(incident_types=[]), RefusalReason.INCIDENT_TYPE),
        (policy(incident_types=["fire"]), RefusalReason.INCIDENT_TYPE),
        (policy(window_s_max=299), RefusalReason.WINDOW_TOO_LONG),
        (policy(age_s_max=599), RefusalReason.WINDOW_TOO_OLD),
        (policy(uploads_per_day_max=0), RefusalReason.TOO_MANY_UPLOADS),
        (policy(cameras={}), RefusalReason.CAMERA_NOT_SHARED),
        (policy(cameras={"front": "never", "office": "share"}), RefusalReason.CAMERA_NOT_SHARED),
    ],
)
def test_policy_refuses(rules: Policy | None, reason: RefusalReason) -> None:
    """Each rule of a policy alone is enough for a no that names the command."""
    refusal = choose(rules)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.command_id) == (reason, COMMAND.id)


def test_limits_include_their_own_value() -> None:
    """A window as long and as old as allowed, by the last upload of the day, is granted."""
    rules = policy(window_s_max=300, age_s_max=600, uploads_per_day_max=1)
    assert isinstance(choose(rules), Granted)


def test_window_ahead_needs_the_owners_leave() -> None:
    """A window that reaches into the future is refused unless the policy says how far it may."""
    ahead = replace(COMMAND, window=Window(NOW, later(120)))
    refusal = choose(policy(), ahead)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.WINDOW_TOO_FAR_AHEAD
    assert isinstance(choose(policy(ahead_s_max=120), ahead), Granted)


def test_unshared_cameras_fall_out() -> None:
    """Every camera means every shared one; a camera the hub does not have is not there."""
    everything = replace(COMMAND, cameras=())
    granted = choose(policy(cameras={"front": "share", "office": "never", "gone": "share"}), everything)
    assert isinstance(granted, Granted)
    assert granted.cameras == ("front",)


def test_other_action_is_nothing_to_consent_to() -> None:
    """A verified command of another kind is not granted by accident."""
    refusal = choose(policy(), replace(COMMAND, action="hub.ping"))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.UNSUPPORTED


def test_one_camera_to_ask_for_makes_it_a_question() -> None:
    """The strictest camera counts for the whole command."""
    ask = choose(policy(cameras={"front": "share", "back": "ask"}))
    assert isinstance(ask, Ask)
    assert ask.cameras == ("front", "back")


def test_question_ends_with_the_policy_or_the_command() -> None:
    """The deadline is the owner's, or the command's expiry if that is sooner."""
    assert asked(answer_s_max=60).deadline == later(60)
    assert asked(answer_s_max=3600).deadline == COMMAND.expires


def test_yes_grants_what_was_asked() -> None:
    """A plain yes covers cameras and window as asked."""
    grant = answered(asked(), yes(), word(policy(mode="ask_first")), later(30))
    assert grant == Granted(COMMAND, COMMAND.cameras, COMMAND.window, 4, SHA256, "owner_said_yes", {})


def test_yes_may_narrow() -> None:
    """The owner gives one camera and one minute."""
    minute = {"start": rfc3339(COMMAND.window.start), "end": rfc3339(WallTime(COMMAND.window.start + 60 * SECOND_NS))}
    grant = answered(asked(), yes(cameras=["back", "office"], window=minute), word(policy()), later(30))
    assert isinstance(grant, Granted)
    assert (grant.cameras, grant.window.seconds) == (("back",), 60)


@pytest.mark.parametrize(
    ("answer", "late_s"),
    [
        (None, 1),
        (yes(decision="no"), 1),
        (yes(command_sha256="0" * 64), 1),
        (yes(cameras=[]), 1),
        (yes(cameras=["office"]), 1),
        (yes(window={"start": "2026-11-22T13:55:00Z", "end": "2026-11-22T13:59:00Z"}), 1),
        (yes(window={"start": "2026-11-22T13:55:00Z", "end": "2026-11-22T13:50:00Z"}), 1),
        (yes(), 900),
    ],
    ids=["silence", "no", "other-command", "no-camera", "other-camera", "other-window", "empty-window", "too-late"],
)
def test_silence_and_no_look_the_same(answer: Answer | None, late_s: int) -> None:
    """The server cannot tell whether the owner looked."""
    refusal = answered(asked(), answer, word(policy()), later(late_s))
    assert refusal == Refusal(RefusalReason.OWNER_DECLINED, "", COMMAND.id)


@pytest.mark.parametrize(
    "rules", [None, policy(mode="sharing_off"), policy(cameras={"front": "never"})], ids=["none", "off", "never"]
)
def test_yes_does_not_overrule_the_policy_of_now(rules: Policy | None) -> None:
    """Who turns sharing off between question and answer has said no, and the server reads nothing else."""
    refusal = answered(asked(), yes(), word(rules), later(30))
    assert refusal == Refusal(RefusalReason.OWNER_DECLINED, "", COMMAND.id)


def test_slow_answer_does_not_age_the_window() -> None:
    """A window that was young enough when the command came is so when the owner answers."""
    rules = policy(mode="ask_first", age_s_max=600)
    assert isinstance(answered(asked(age_s_max=600), yes(), word(rules), later(300)), Granted)


@pytest.mark.parametrize(
    ("rules", "is_allowed"),
    [
        (policy(), True),
        (policy(version=5, uploads_per_day_max=0), True),
        (policy(version=5, age_s_max=600), True),
        (None, False),
        (policy(mode="sharing_off"), False),
        (policy(mode="ask_first"), False),
        (policy(cameras={"front": "share"}), False),
        (policy(cameras={"front": "share", "back": "ask"}), False),
        (policy(agencies=[]), False),
        (policy(incident_types=["fire"]), False),
        (policy(window_s_max=60), False),
        (policy(age_s_max=60), False),
    ],
)
def test_next_part_needs_todays_policy(rules: Policy | None, is_allowed: bool) -> None:  # noqa: FBT001 - parametrised
    """A change that would refuse the grant today stops it before its next part, hours later too."""
    grant = choose(policy())
    assert isinstance(grant, Granted)
    assert still_allowed(grant, word(rules), later(7200)) is is_allowed


def test_owners_yes_holds_under_ask_first() -> None:
    """What the owner said yes to goes on while the policy still asks first."""
    grant = answered(asked(), yes(), word(policy(mode="ask_first")), later(30))
    assert isinstance(grant, Granted)
    assert still_allowed(grant, word(policy(mode="ask_first")), later(60))


def test_sound_is_granted_for_the_cameras_whose_sound_is_shared() -> None:
    """A grant says for each camera whether its sound goes along; sound of a camera that is not shared does not."""
    grant = choose(policy(sound=["front", "office"]))
    assert isinstance(grant, Granted)
    assert set(grant.cameras) == {"front", "back"}
    assert grant.sound == ("front",)
    silent = choose(policy())
    assert isinstance(silent, Granted)
    assert silent.sound == ()


@pytest.mark.parametrize(
    ("said", "heard"), [(None, ("front",)), (["front"], ("front",)), (["back"], ()), ([], ())], ids=str
)
def test_the_owner_can_leave_sound_out_of_a_yes(said: list[str] | None, heard: tuple[str, ...]) -> None:
    """An answer narrows the sound that was asked for, and never adds any."""
    ask = asked(sound=["front"])
    assert ask.sound == ("front",)
    grant = answered(ask, yes(sound=said), word(policy(mode="ask_first", sound=["front", "back"])), later(30))
    assert isinstance(grant, Granted)
    assert grant.sound == heard


def test_sound_that_is_shared_no_more_ends_its_grant() -> None:
    """Today's policy must give all of a grant; one without sound goes on."""
    grant, silent = choose(policy(sound=["front"])), choose(policy())
    assert isinstance(grant, Granted)
    assert isinstance(silent, Granted)
    assert still_allowed(grant, word(policy(sound=["front", "back"])), later(60))
    assert not still_allowed(grant, word(policy(sound=["back"])), later(60))
    assert still_allowed(silent, word(policy()), later(60))


def test_a_grant_is_renewed_with_its_sound_or_not_at_all() -> None:
    """After a restart a grant covers exactly what it did, though the policy shares more by then."""
    grant = choose(policy(sound=["front"]))
    assert isinstance(grant, Granted)
    covered = (grant.cameras, grant.window, grant.sound)
    again = renewed(
        COMMAND, covered, word(policy(sound=["front", "back"])), later(60), has_owner_said_yes=False, masks={}
    )
    assert again == grant
    gone = renewed(COMMAND, covered, word(policy()), later(60), has_owner_said_yes=False, masks={})
    assert isinstance(gone, Refusal)


NAMES = st.sampled_from(["front", "back", "office", "gone"])
POLICIES = st.builds(
    policy,
    mode=st.sampled_from(["opt_in", "ask_first", "sharing_off"]),
    cameras=st.dictionaries(NAMES, st.sampled_from(["share", "ask", "never"])),
    sound=st.lists(NAMES),
    incident_types=st.sampled_from([None, [], ["fire"], ["alarm.burglary"]]),
    window_s_max=st.integers(0, 2000),
    age_s_max=st.integers(0, 2000),
    ahead_s_max=st.integers(0, 2000),
    before_s_max=st.integers(0, 2000),
    after_s_max=st.integers(0, 2000),
    uploads_per_day_max=st.integers(0, 3),
)
OFFSETS = st.lists(st.integers(-2000, 2000), min_size=2, max_size=2, unique=True).map(sorted)
WINDOWS = OFFSETS.map(lambda ends: Window(later(ends[0]), later(ends[1])))
COMMANDS = st.builds(
    lambda window, cameras: replace(COMMAND, window=window, cameras=tuple(cameras)),
    WINDOWS,
    st.lists(NAMES, unique=True),
)
ANSWERS = st.builds(
    lambda decision, cameras, window, sound: yes(
        decision=decision,
        cameras=cameras,
        sound=sound,
        window=window and {"start": rfc3339(window.start), "end": rfc3339(window.end)},
    ),
    st.sampled_from(["yes", "yes", "yes", "no"]),
    st.none() | st.lists(NAMES, unique=True),
    st.none() | WINDOWS,
    st.none() | st.lists(NAMES),
)


def assert_within(grant: Granted, rules: Policy, command: VerifiedCommand, now: WallTime) -> None:
    """Nothing in a grant is more than the policy shares or than the command asked for."""
    assert rules.mode != "sharing_off"
    assert grant.cameras
    assert all(rules.cameras[name] != "never" and name in CAMERAS for name in grant.cameras)
    assert not command.cameras or set(grant.cameras) <= set(command.cameras)
    assert command.window.start <= grant.window.start < grant.window.end <= command.window.end
    assert set(grant.sound) <= set(grant.cameras) & set(rules.sound)
    assert grant.window.seconds <= rules.window_s_max
    assert grant.window.end <= now + rules.ahead_s_max * SECOND_NS


@settings(max_examples=200)
@given(POLICIES, COMMANDS, st.integers(0, 800), st.integers(0, 3))
def test_no_grant_exceeds_policy_or_command(rules: Policy, command: VerifiedCommand, late_s: int, uploads: int) -> None:
    """Whatever policy, command and time meet, a grant lies within both, and only opt-in gives it unasked."""
    now = later(late_s)
    grant = choose(rules, command, now, uploads)
    if isinstance(grant, Granted):
        assert_within(grant, rules, command, now)
        assert (rules.mode, {rules.cameras[name] for name in grant.cameras}) == ("opt_in", {"share"})
        assert uploads < rules.uploads_per_day_max
        assert still_allowed(grant, word(rules), now)


@settings(max_examples=200)
@given(COMMANDS, POLICIES, ANSWERS, st.integers(0, 1200))
def test_no_answer_widens(command: VerifiedCommand, rules: Policy, answer: Answer, late_s: int) -> None:
    """Whatever the owner answers to whatever question, a grant lies within question, answer and policy."""
    wide = policy(mode="ask_first", cameras=dict.fromkeys(CAMERAS, "ask"), age_s_max=9000, ahead_s_max=9000,
                  window_s_max=9000, before_s_max=9000, after_s_max=9000, sound=["front", "office"])  # fmt: skip
    ask = choose(wide, command)
    if not isinstance(ask, Ask):
        assert command.cameras == ("gone",)
        return
    grant = answered(ask, answer, word(rules), later(late_s))
    if isinstance(grant, Granted):
        assert_within(grant, rules, command, later(late_s))
        assert answer.decision == "yes"
        assert set(grant.cameras) <= set(ask.cameras) & set(answer.cameras or ask.cameras)
        assert set(grant.sound) <= set(ask.sound) & set(ask.sound if answer.sound is None else answer.sound)
        assert answer.window is None or _within(grant.window, answer.window)
        assert later(late_s) < ask.deadline


def _within(window: Window, claim: WindowClaim) -> bool:
    return claim.window().intersection(window) == window


LEFT, RIGHT = ((0, 0), (5000, 0), (0, 9999)), ((5000, 0), (9999, 0), (9999, 9999))


def test_a_grant_carries_the_masks_of_its_cameras() -> None:
    """As they stand when it is given, by the policy or by the owner's yes; those of other cameras are not its own."""
    masks = {"front": (LEFT,), "office": (RIGHT,), "back": ()}
    given_at_once, ask = choose(policy(masks=masks)), asked(masks=masks)
    said = answered(ask, yes(), word(policy(masks={"back": (RIGHT,)})), NOW)
    assert isinstance(given_at_once, Granted)
    assert isinstance(said, Granted)
    assert given_at_once.masks == {"front": (LEFT,)}
    assert said.masks == {"back": (RIGHT,)}


def test_masks_are_never_loosened_and_always_tightened() -> None:
    """The grant's own stay, whatever the policy says later; what it says later is added, also after a restart."""
    grant = choose(policy(masks={"front": (LEFT,)}))
    assert isinstance(grant, Granted)
    front, back = CameraId("front"), CameraId("back")
    assert masks_now(grant, front, word(policy()), NOW) == masks_now(grant, front, word(None), NOW) == (LEFT,)
    tighter = policy(masks={"front": (RIGHT,), "back": (RIGHT,)})
    assert masks_now(grant, front, word(tighter), NOW) == (LEFT, RIGHT)
    assert masks_now(grant, back, word(tighter), NOW) == (RIGHT,)
    assert masks_now(grant, back, word(policy()), NOW) == ()
    covered = grant.cameras, grant.window, grant.sound
    again = renewed(COMMAND, covered, word(policy()), NOW, has_owner_said_yes=False, masks=grant.masks)
    assert isinstance(again, Granted)
    assert masks_now(again, front, word(policy()), NOW) == (LEFT,)


# ------------------------------------------------------------------------ vectors
DECISIONS = json.loads(WRITTEN.read_text())


def test_the_vectors_are_as_their_maker_writes_them() -> None:
    """Nobody has edited one to fit the code."""
    assert vectors() == DECISIONS


@pytest.mark.parametrize("vector", DECISIONS, ids=lambda vector: str(vector["name"]))
def test_every_vector_is_decided_as_it_must_be(vector: dict[str, Any]) -> None:
    """One reason each, written by hand."""
    asked_for, now = vector["command"], parse_rfc3339(vector["now"])
    history = UNKNOWN
    made: Policy | None = None
    for number, held in enumerate(vector["policies"], start=1):
        since = parse_rfc3339(held["from"])
        made = open_policy(OWNER.policy(since, number, **held["claims"]), OWNER.key, OWNER.hub, number - 1)
        history = history.begun(made, f"policy {number}", since)
    window = Window(parse_rfc3339(asked_for["window"]["start"]), parse_rfc3339(asked_for["window"]["end"]))
    command = replace(
        COMMAND,
        agency=asked_for["agency"],
        root=asked_for["root"],
        incident=Incident("1", asked_for["incident_type"], parse_rfc3339(asked_for["reported_at"])),
        window=window,
        cameras=() if asked_for["cameras"] == ["*"] else tuple(asked_for["cameras"]),
        issued=parse_rfc3339(asked_for["issued"]),
        expires=parse_rfc3339(asked_for["expires"]),
    )
    verdict = decide(command, OwnersWord(made, SHA256, history), vector["cameras"], now, 0)
    match verdict:
        case Granted():
            found: dict[str, Any] = {"verdict": "granted", "cameras": [*verdict.cameras]}
        case Ask():
            answer_by = rfc3339(verdict.deadline)
            found = {"verdict": "ask", "cameras": [*verdict.cameras], "answer_by": answer_by}
        case _:
            found = {"verdict": "refused", "reason": verdict.reason.value}
    assert found == vector["must"]
