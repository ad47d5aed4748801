"""What policies come to together: a lattice, and no sequence of them lets out a picture that one of them forbids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window, rfc3339
from agent.command.request import Incident
from agent.consent.decide import answered, decide, masks_now, still_allowed
from agent.consent.grant import Ask, Granted
from agent.consent.history import UNKNOWN, History
from agent.consent.policy import Answer, Policy
from agent.consent.schedule import DAYS, MODES, Mode, mode_of_all
from agent.consent.terms import NOTHING, OwnersWord, Terms, may_record, mode_now, strictest, terms_for, terms_of
from agent.demo.authority import sharing_claims
from tests.consent.test_decide import COMMAND, later, policy, yes
from tests.vectors.command import scene

NAMES = [CameraId(name) for name in ("back", "front", "office")]
LEFT, RIGHT = ((0, 0), (5000, 0), (0, 9999)), ((5000, 0), (9999, 0), (9999, 9999))

CLAIMS = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(MODES),
        "cameras": st.dictionaries(st.sampled_from([*NAMES, "*"]), st.sampled_from(["share", "ask", "never"])),
        "placement": st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["indoor", "outdoor", "unknown"])),
        "sound": st.lists(st.sampled_from(NAMES), unique=True),
        "masks": st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from([LEFT, RIGHT]), max_size=2)),
        "incident_types": st.sampled_from([None, ["fire"], ["alarm.burglary"], ["fire", "alarm.burglary"]]),
        "zone": st.just("Europe/Berlin"),
        "schedule": st.sampled_from(
            [
                [],
                [],
                [{"mode": "sharing_off", "from": "14:56", "to": "14:58"}],  # in the middle of the scene's ten minutes
                [{"mode": "recording_off", "days": ["sun"], "from": "15:01", "to": "15:02"}],
                [{"mode": "ask_first", "days": ["mon"]}],
            ]
        ),
        "window_s_max": st.sampled_from([300, 1800]),
        "age_s_max": st.sampled_from([600, 7200]),
        "ahead_s_max": st.sampled_from([0, 600]),
        "uploads_per_day_max": st.integers(1, 3),
    }
)


def made(claims: dict[str, object]) -> Policy:
    """Return a policy of the scene's owner."""
    return policy(**claims)


POLICIES = CLAIMS.map(made)
TERMS = st.builds(lambda rules, mode: terms_of(rules, NAMES, mode), POLICIES, st.sampled_from(MODES)) | st.just(NOTHING)


def is_within(narrow: Terms, wide: Terms) -> bool:
    """Say whether one lets out nothing that the other does not."""
    return strictest(narrow, wide) == narrow


@settings(max_examples=150)
@given(TERMS, TERMS, TERMS)
def test_the_strictest_is_a_lattice(a: Terms, b: Terms, c: Terms) -> None:
    """Order, grouping and repetition change nothing; the result is within each word, and one more never widens it."""
    assert strictest(a, b) == strictest(b, a)
    assert strictest(a, strictest(b, c)) == strictest(strictest(a, b), c) == strictest(a, b, c)
    assert strictest(a, a) == a
    assert is_within(strictest(a, b), a)
    assert is_within(strictest(a, b, c), strictest(a, b))
    if is_within(a, b):
        assert is_within(strictest(a, c), strictest(b, c))


@settings(max_examples=100)
@given(TERMS, TERMS)
def test_each_word_of_the_strictest_is_in_both(a: Terms, b: Terms) -> None:
    """Said one by one, by plain comparison."""
    both = strictest(a, b)
    assert MODES.index(both.mode) == max(MODES.index(a.mode), MODES.index(b.mode))
    for name in NAMES:
        words = {a.share_of(name), b.share_of(name)}
        assert both.share_of(name) == ("never" if "never" in words else "ask" if "ask" in words else "share")
        assert set(both.masks.get(name, ())) == {*a.masks.get(name, ()), *b.masks.get(name, ())}
    assert both.sound == a.sound & b.sound
    assert both.agencies == a.agencies & b.agencies
    assert both.window_s_max == min(a.window_s_max, b.window_s_max)


def test_no_words_share_nothing() -> None:
    """The meet of nothing is not everything."""
    assert strictest() == NOTHING
    assert terms_of(None, NAMES, "opt_in") == NOTHING


@pytest.mark.parametrize(
    ("cameras", "placement", "shared"),
    [
        ({"*": "share"}, {}, set()),
        ({"*": "share"}, {"front": "outdoor", "office": "indoor", "back": "unknown"}, {"front"}),
        ({"*": "share", "office": "ask"}, {"front": "outdoor", "office": "indoor"}, {"front", "office"}),
        ({"*": "share", "front": "never"}, {"front": "outdoor", "back": "outdoor"}, {"back"}),
        ({"office": "share"}, {"office": "indoor"}, {"office"}),
    ],
)
def test_indoor_cameras_are_shared_by_their_own_name_only(
    cameras: dict[str, str], placement: dict[str, str], shared: set[str]
) -> None:
    """So is one of which nobody has said where it hangs; `*` means the cameras that are known to be outdoors."""
    terms = terms_of(policy(cameras=cameras, placement=placement), NAMES, "opt_in")
    assert {name for name in NAMES if terms.share_of(name) != "never"} == shared


def test_a_clock_that_is_not_trusted_makes_every_rule_hold() -> None:
    """Of this moment; a policy without a schedule does not ask what time it is."""
    nights = policy(zone="UTC", schedule=[{"mode": "recording_off", "from": "03:00", "to": "04:00"}])
    assert mode_now(nights, scene.NOW, is_clock_trusted=True) == "opt_in"
    assert mode_now(nights, scene.NOW, is_clock_trusted=False) == "recording_off"
    assert may_record(nights, scene.NOW, is_clock_trusted=True)
    assert not may_record(nights, scene.NOW, is_clock_trusted=False)
    assert may_record(policy(mode="sharing_off"), scene.NOW, is_clock_trusted=False)
    assert may_record(None, scene.NOW, is_clock_trusted=False)


# ---------------------------------------------------- a whole life, against a model that is not the implementation
@dataclass
class Life:
    """A hub as somebody who stands beside it sees it: each picture with the policy that held when it was taken."""

    now: WallTime = scene.NOW
    rules: Policy | None = None
    history: History = UNKNOWN
    pictures: list[tuple[WallTime, Policy | None]] = field(default_factory=list)
    last_version: int = 0

    def live(self, seconds: int) -> None:
        """Let time pass: a look at the clock every second, a picture every few."""
        for second in range(seconds):
            if second:
                self.now = WallTime(self.now + SECOND_NS)
            self.history = self.history.seen(self.now)
            if self.now // SECOND_NS % 7 == 0:
                self.pictures.append((self.now, self.rules))

    def sign(self, claims: dict[str, object]) -> None:
        """Take a policy of the owner."""
        self.last_version += 1
        shared = {**sharing_claims(scene.AUTHORITY, []), **claims}
        issued = self.now // SECOND_NS
        made = {"hub": scene.AUDIENCE.hub, "version": self.last_version, "iat": issued, **shared}
        self.rules = msgspec.convert(made, Policy)
        self.history = self.history.begun(self.rules, f"policy {self.last_version}", self.now)

    @property
    def word(self) -> OwnersWord:
        """What the owner says."""
        return OwnersWord(self.rules, "5" * 64, self.history)


WIDE = {"mode": "opt_in", "cameras": dict.fromkeys(NAMES, "share"), "before_s_max": 9000, "after_s_max": 9000,
        "window_s_max": 1800, "age_s_max": 7200, "ahead_s_max": 600}  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("live"), st.integers(20, 200)),
    st.tuples(st.just("sign"), CLAIMS | st.just(WIDE) | st.just(WIDE) | st.just({**WIDE, "mode": "sharing_off"})),
    st.tuples(st.just("step"), st.integers(-300, 300)),
    st.tuples(st.just("command"), st.tuples(st.integers(1, 900), st.integers(1, 300))),
)


def forbids(rules: Policy | None, moment: WallTime, camera: CameraId, *, is_asked: bool) -> bool:
    """Say whether a policy lets a camera's picture of a moment out at all; written without the code that is tested."""
    if rules is None:
        return True
    modes: list[Mode] = [rules.mode]
    for rule in rules.schedule:
        shown = rfc3339(WallTime(moment + 3600 * SECOND_NS))[11:16]  # Berlin in November
        day = DAYS[((moment // SECOND_NS + 3600) // 86_400 + 3) % 7]  # 1970 began on a Thursday
        if day in rule.days and rule.from_ <= shown < rule.to:
            modes.append(rule.mode)
    word = rules.cameras.get(camera) or (
        rules.cameras.get(CameraId("*"), "never") if rules.placement.get(camera) == "outdoor" else "never"
    )
    is_type_named = rules.incident_types is None or "alarm.burglary" in rules.incident_types
    strict = max(MODES.index(mode) for mode in modes)
    return strict > 1 or word == "never" or not is_type_named or (not is_asked and (strict == 1 or word == "ask"))


@settings(max_examples=150)
@given(st.lists(STEPS, min_size=3, max_size=9), st.booleans())
def test_no_sequence_lets_out_a_picture_that_a_policy_forbids(
    steps: Sequence[tuple[str, Any]],
    is_a_yes: bool,  # noqa: FBT001 - drawn
) -> None:
    """Policies, time, clock steps and commands in any order: the policy of then and that of now both count."""
    life = Life(history=UNKNOWN.begun(None, "", scene.NOW))
    for kind, what in [("sign", WIDE), ("live", 120), *steps, ("command", (300, 100))]:
        if kind == "live":
            life.live(what)
        elif kind == "sign":
            life.sign(what)
        elif kind == "step":
            life.now = WallTime(life.now + what * SECOND_NS)
            life.live(1)
        else:
            back_s, length_s = what
            start = WallTime(life.now - back_s * SECOND_NS)
            assert_nothing_forbidden(life, Window(start, WallTime(start + length_s * SECOND_NS)), is_a_yes=is_a_yes)


def assert_nothing_forbidden(life: Life, window: Window, *, is_a_yes: bool) -> None:
    """Command a window, answer the question if there is one, and look at every picture that would leave."""
    incident = Incident("1", "alarm.burglary", window.start)
    expires = WallTime(life.now + 900 * SECOND_NS)
    command = replace(COMMAND, window=window, cameras=(), incident=incident, issued=life.now, expires=expires)
    verdict = decide(command, life.word, NAMES, life.now, 0)
    is_asked = isinstance(verdict, Ask)
    if isinstance(verdict, Ask):
        said: Answer = yes(decision="yes" if is_a_yes else "no")
        verdict = answered(verdict, said, life.word, life.now)
        assert is_a_yes or not isinstance(verdict, Granted)
    if not isinstance(verdict, Granted):
        return
    assert still_allowed(verdict, life.word, life.now)
    for camera in verdict.cameras:
        for moment, then in life.pictures:
            if moment in verdict.window:
                assert not forbids(then, moment, camera, is_asked=is_asked)
                assert not forbids(life.rules, moment, camera, is_asked=is_asked)
                assert not forbids(life.rules, life.now, camera, is_asked=is_asked)
                masks = {*(then.masks.get(camera, ()) if then else ())}
                assert masks <= {*masks_now(verdict, camera, life.word, life.now)}
                assert camera not in verdict.sound or (then is not None and camera in then.sound)


def test_the_model_grants_something() -> None:
    """Else the property above would hold of a hub that refuses everything."""
    life = Life(history=UNKNOWN.begun(None, "", scene.NOW))
    life.sign(WIDE)
    life.live(120)
    window = Window(later(10), later(110))
    command = replace(COMMAND, window=window, cameras=(), incident=Incident("1", "x", window.start), issued=life.now)
    granted = decide(command, life.word, NAMES, life.now, 0)
    assert isinstance(granted, Granted)
    assert len([moment for moment, _ in life.pictures if moment in granted.window]) >= 13
    assert terms_for(life.word, window, NAMES, life.now).mode == mode_of_all("opt_in", ())
