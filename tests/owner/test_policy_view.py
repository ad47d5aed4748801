"""The policy in words, as sections."""

from __future__ import annotations

from agent.acquire.stream import CameraId
from agent.clock import WallTime
from agent.consent.policy import AgencyConsent, Policy
from agent.consent.schedule import Hours, ScheduleRule
from agent.owner.policy_view import LIMITS, policy_sections

SHOP = Policy(
    hub="h",
    version=2,
    iat=0,
    mode="opt_in",
    zone="Europe/Berlin",
    schedule=(ScheduleRule(mode="ask_first", days=("sat", "sun")),),
    quiet=(Hours(from_="22:00", to="06:00"),),
    cameras={CameraId("front"): "share", CameraId("office"): "never"},
    sound=(CameraId("front"),),
    masks={CameraId("front"): (((0, 0), (10, 0), (10, 10)),)},
    agencies=(AgencyConsent(id="pd-0042", roots=("R" * 43,)),),
    incident_types=None,
    owner_copy=("age1" + "q" * 58,),
)


def test_every_wish_is_in_words() -> None:
    """Hours, quiet hours, cameras with sound and masks, whom and what for, limits."""
    sections = {one.title: one.lines for one in policy_sections(SHOP, WallTime(0), {CameraId("front"): "Front door"})}
    assert dict(sections["When (times of Europe/Berlin)"])["sat sun"].endswith(
        "shared only after your yes to that incident"
    )
    assert sections["No question is brought to you"]
    cameras = dict(sections["Which cameras"])
    assert cameras["Front door (front)"] == "shared as the hour says, with sound, parts of the picture painted over"
    assert cameras["office"] == cameras["Every other camera"] == "never shared"
    assert sections["With whom, and for what"] == (("", "pd-0042"), ("", "any incident"))
    assert sections["Keys of yours"] == (("You can open every clip by", SHOP.owner_copy[0]),)
    assert dict(sections["At most"])["The longest clip"] == "30 minutes"
    assert dict(sections["At most"])["Clips in 24 hours"] == "10"


def test_an_empty_policy_shares_nothing_with_nobody() -> None:
    """It says so, and has no quiet hours."""
    sections = {one.title: one.lines for one in policy_sections(Policy(hub="h", version=1, iat=0), WallTime(0), {})}
    assert sections["With whom, and for what"] == (("", "nobody"), ("", "no incident"))
    assert "No question is brought to you" not in sections


def test_every_limit_has_words() -> None:
    """None is shown by the code's name."""
    lines = next(one.lines for one in policy_sections(SHOP, WallTime(0), {}) if one.title == "At most")
    assert {words for words, _ in lines} == set(LIMITS.values())
