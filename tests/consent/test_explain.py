"""A policy in plain words: what a person reads is what is decided."""

from __future__ import annotations

import json
from datetime import datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime
from agent.consent.explain import MODE_WORDS, describe, explain
from agent.consent.policy import Policy, share_of
from agent.consent.schedule import DAYS, ScheduleRule, instant_of, mode_in, zone_of
from agent.signing import generate_signing_key, public_jwk, thumbprint
from tests.consent.test_decide import policy
from tests.consent.test_schedule import MOMENTS, RULES, ZONES

SHOP = policy(
    zone="Europe/Berlin",
    schedule=[{"mode": "ask_first", "from": "18:00", "to": "08:00"}, {"mode": "sharing_off", "days": ["sun"]}],
    quiet=[{"from": "22:00", "to": "07:00"}],
    cameras={"front": "share", "till": "ask", "office": "never", "*": "share"},
    placement={"yard": "outdoor", "office": "indoor", "hall": "indoor"},
    sound=["front", "office"],
    masks={"yard": [[[0, 0], [1, 0], [0, 1]]]},
)


def test_the_week_is_told_hour_by_hour() -> None:
    """Each day from 00:00 to 24:00, without a hole."""
    explained = explain(SHOP, WallTime(1_795_953_600 * SECOND_NS))  # a Sunday
    monday = [(hour.start, hour.to, hour.mode) for hour in explained.week if hour.day == "mon"]
    assert monday == [("00:00", "08:00", "ask_first"), ("08:00", "18:00", "opt_in"), ("18:00", "24:00", "ask_first")]
    assert [(hour.start, hour.to) for hour in explained.week if hour.day == "sun"] == [("00:00", "24:00")]
    assert explained.mode_at == "sharing_off"
    for day in DAYS:
        ends = [time for hour in explained.week if hour.day == day for time in (hour.start, hour.to)]
        assert ends[0] == "00:00"
        assert ends[-1] == "24:00"
        assert ends[1:-1:2] == ends[2:-1:2]


def test_it_is_told_in_words() -> None:
    """Each camera, who may ask, and when nobody is woken."""
    words = describe(explain(SHOP))
    for line in (
        "sun                      recorded, never shared",
        "  front: shared as the hour says, with sound",
        "  office: never shared",
        "  hall: never shared",
        "  till: shared only after your yes, at any hour",
        "  yard: shared as the hour says, masked",
        "  every other: never shared",
        "With pd-0042, for any incident",
        "No question is brought to you",
        "  every day  00:00-07:00; 22:00-24:00",
    ):
        assert line in words.split("\n"), line
    assert "With nobody, for no incident" in describe(explain(Policy(hub="h", version=1, iat=0)))


def test_the_owners_copy_is_told() -> None:
    """By the kind of the clip, with the key that opens it; a long one is cut."""
    classical, quantum = "age1" + "q" * 58, "age1pq1" + "q" * 1952
    words = describe(explain(policy(owner_copy=[quantum, classical]))).split("\n")
    assert f"You can open every clip for classical keys by {classical}" in words
    assert f"You can open every clip for post-quantum keys by {quantum[:70]}..." in words
    assert "You can open" not in describe(explain(SHOP))


def test_the_cosigner_is_told() -> None:
    """By the name of its key."""
    key = generate_signing_key()
    words = describe(explain(policy(cosigner=public_jwk(key))))
    assert f"The audit log is cosigned for you by the key {thumbprint(key)}" in words
    assert "cosigned" not in describe(explain(SHOP))


def test_it_is_json_for_programs() -> None:
    """With the words of the format."""
    read = json.loads(msgspec.json.encode(explain(SHOP)))
    assert read["cameras"] == {
        "front": "share", "hall": "never", "office": "never", "till": "ask", "yard": "share", "*": "never",
    }  # fmt: skip
    assert read["limits"]["window_s_max"] == 1800
    assert read["mode_at"] is None
    assert all(share_of(SHOP, CameraId(name)) == word for name, word in read["cameras"].items() if name != "*")


@settings(max_examples=60)
@given(RULES, ZONES, MOMENTS, st.sampled_from([*MODE_WORDS]))
def test_what_is_told_of_a_minute_is_what_is_decided(
    rules: tuple[ScheduleRule, ...], zone: str, moment: WallTime, mode: str
) -> None:
    """For any schedule and any moment: the week's entry has the mode that the decision takes."""
    rule_set = msgspec.structs.replace(policy(mode=mode), schedule=rules, zone=zone)
    local = datetime.fromtimestamp(moment // SECOND_NS, zone_of(zone))
    shown, day = f"{local:%H:%M}", DAYS[local.weekday()]
    (told,) = [one for one in explain(rule_set).week if one.day == day and one.start <= shown < one.to]
    assert told.mode == mode_in(rule_set.mode, rules, zone, instant_of(moment)) == explain(rule_set, moment).mode_at
