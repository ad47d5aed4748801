"""Policies and answers: only the owner's key speaks, and only words this hub understands."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime
from agent.consent.policy import ANSWER_TYP, POLICY_TYP, Policy, open_answer, open_policy
from agent.demo.authority import sign_claims
from agent.errors import BadInputError
from agent.signing import SigningKey
from tests.vectors.command.scene import AUDIENCE, MALLORY, NOW, OWNER

HUB = AUDIENCE.hub
SHA256 = "0" * 64


def test_empty_policy_shares_nothing() -> None:
    """Every default is the safe one."""
    policy = open_policy(OWNER.policy(NOW, 1), OWNER.key, HUB, 0)
    assert policy == Policy(hub=HUB, version=1, iat=NOW // SECOND_NS)
    assert policy.sound == ()
    assert (policy.mode, policy.cameras, policy.agencies, policy.incident_types, policy.ahead_s_max) == (
        "sharing_off",
        {},
        (),
        (),
        0,
    )


@pytest.mark.parametrize(
    ("token", "key", "hub", "newer_than"),
    [
        (OWNER.policy(NOW, 1), MALLORY, HUB, 0),
        (OWNER.policy(NOW, 1), OWNER.key, "other", 0),
        (OWNER.policy(NOW, 1), OWNER.key, HUB, 1),
        (OWNER.policy(NOW, 1, live_view=True), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, mode="always"), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, cameras={"../front": "share"}), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, cameras={"front": "sometimes"}), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, sound=["../front"]), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, window_s_max=-1), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, window_s_max=True), OWNER.key, HUB, 0),
        (OWNER.policy(NOW, 1, ahead_s_max=86_401), OWNER.key, HUB, 0),
        (OWNER.answer(NOW, SHA256, "yes"), OWNER.key, HUB, 0),
    ],
    ids=[
        "mallory",
        "other-hub",
        "not-newer",
        "unknown-field",
        "mode",
        "camera-path",
        "share-word",
        "sound-path",
        "negative",
        "bool",
        "too-far",
        "answer-as-policy",
    ],
)
def test_policy_is_refused(token: str, key: SigningKey, hub: str, newer_than: int) -> None:
    """The server cannot flip a policy, roll it back, move it to another hub or say what we do not understand."""
    with pytest.raises(BadInputError):
        open_policy(token, key, hub, newer_than)


def test_answer_in_time_is_read() -> None:
    """The owner's yes with narrower cameras and window."""
    window = {"start": "2026-11-22T13:51:00Z", "end": "2026-11-22T13:52:00Z"}
    token = OWNER.answer(NOW, SHA256, "yes", cameras=["front"], window=window)
    answer = open_answer(token, OWNER.key, HUB, NOW)
    assert (answer.decision, answer.cameras, answer.window is not None) == ("yes", ("front",), True)


@pytest.mark.parametrize(
    ("token", "late_s"),
    [
        (sign_claims({"hub": HUB}, MALLORY, ANSWER_TYP), 0),
        (OWNER.answer(NOW, SHA256, "yes", hub="other"), 0),
        (OWNER.answer(NOW, SHA256, "maybe"), 0),
        (OWNER.answer(NOW, "abc", "yes"), 0),
        (OWNER.answer(NOW, SHA256, "yes"), 660),
        (OWNER.answer(NOW, SHA256, "yes"), -61),
        (OWNER.answer(NOW, SHA256, "yes", exp=NOW // SECOND_NS + 86_401), 0),
        (OWNER.answer(NOW, SHA256, "yes", window={"start": "2026-11-22T13:51:00Z", "end": "2026-11-22T13:51:00Z"}), 0),
        (OWNER.answer(NOW, SHA256, "yes", live_view=True), 0),
        (OWNER.policy(NOW, 1), 0),
        (sign_claims({"hub": HUB}, OWNER.key, POLICY_TYP), 0),
    ],
)
def test_answer_is_refused(token: str, late_s: int) -> None:
    """Another key, hub, time or meaning: the question stays open."""
    with pytest.raises(BadInputError):
        open_answer(token, OWNER.key, HUB, WallTime(NOW + late_s * SECOND_NS))


@pytest.mark.parametrize("late_s", [-30 * 24 * 3600, -61, 660, 30 * 24 * 3600])
def test_a_no_counts_by_any_clock(late_s: int) -> None:
    """The hub's clock or the owner's may be a month wrong: nobody's no is kept back by that, and a yes is."""
    now = WallTime(NOW + late_s * SECOND_NS)
    assert open_answer(OWNER.answer(NOW, SHA256, "no"), OWNER.key, HUB, now).decision == "no"
    with pytest.raises(BadInputError, match="not in time"):
        open_answer(OWNER.answer(NOW, SHA256, "yes"), OWNER.key, HUB, now)


@settings(max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from([field.name for field in msgspec.structs.fields(Policy)]),
        st.none()
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.integers(), max_size=2)
        | st.dictionaries(st.text(max_size=3), st.text(max_size=3)),
    )
)
def test_owner_signed_nonsense_is_bad_input_or_a_policy(claims: dict[str, object]) -> None:
    """The owner's app may be broken; the hub does not break with it."""
    token = sign_claims({"hub": HUB, "version": 1, "iat": 1, **claims}, OWNER.key, POLICY_TYP)
    try:
        policy = open_policy(token, OWNER.key, HUB, 0)
    except BadInputError:
        return
    assert policy.hub == HUB


RECTANGLE = [[0, 0], [5000, 0], [5000, 10_000], [0, 10_000]]


def test_masks_are_the_owners_polygons_by_camera() -> None:
    """Whole numbers, read as they were signed; a policy without them masks nothing."""
    policy = open_policy(OWNER.policy(NOW, 1, masks={"front": [RECTANGLE, RECTANGLE[:3]]}), OWNER.key, HUB, 0)
    assert policy.masks == {
        "front": (((0, 0), (5000, 0), (5000, 10_000), (0, 10_000)), ((0, 0), (5000, 0), (5000, 10_000)))
    }
    assert open_policy(OWNER.policy(NOW, 1), OWNER.key, HUB, 0).masks == {}


@pytest.mark.parametrize(
    "masks",
    [
        {"front": RECTANGLE},
        {"front": [RECTANGLE[:2]]},
        {"front": [RECTANGLE * 9]},
        {"front": [RECTANGLE] * 17},
        {"front": [[[0, 0], [5000, 0], [5000, 10_001]]]},
        {"front": [[[0, 0], [5000, 0], [5000, -1]]]},
        {"front": [[[0, 0], [5000, 0], [0.5, 1]]]},
        {"front": [[[0, 0], [5000, 0], [True, 1]]]},
        {"front": [[[0, 0], [5000, 0], [1, 2, 3]]]},
        {"../front": [RECTANGLE]},
        {f"cam-{number}": [RECTANGLE] for number in range(65)},
        [RECTANGLE],
        None,
    ],
)
def test_a_mask_that_is_not_understood_refuses_the_policy(masks: object) -> None:
    """Nothing is rounded, cut or passed over: the owner would believe that it counts."""
    with pytest.raises(BadInputError):
        open_policy(OWNER.policy(NOW, 1, masks=masks), OWNER.key, HUB, 0)
