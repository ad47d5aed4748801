"""Writes the vectors of the decision: `python -m tests.vectors.consent.make_decisions`.

Rules of this file: what must come out is written here by hand; each case differs from a good one in one thing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

WRITTEN: Final = Path(__file__).with_name("decisions.json")
HUB_CAMERAS: Final = ["back", "front", "office"]
NOW: Final = "2026-11-24T14:00:00.000Z"  # a Tuesday, 15:00 in Berlin
SHARING: Final = {
    "mode": "opt_in",
    "zone": "Europe/Berlin",
    "cameras": {"back": "share", "front": "share"},
    "agencies": [{"id": "pd-0042", "roots": ["R" * 43]}],
    "incident_types": ["alarm.burglary"],
    "age_s_max": 86400,
}
COMMAND: Final = {
    "agency": "pd-0042",
    "root": "R" * 43,
    "incident_type": "alarm.burglary",
    "reported_at": "2026-11-24T13:50:00.000Z",
    "window": {"start": "2026-11-24T13:48:00.000Z", "end": "2026-11-24T13:53:00.000Z"},
    "cameras": ["*"],
    "issued": NOW,
    "expires": "2026-11-24T14:15:00.000Z",
}
BEGINNING: Final = "2026-11-01T00:00:00.000Z"


def policies(*later: tuple[str, dict[str, Any]], **first: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - claims
    """Return a policy that always held, changed by `first`, and later ones with the time from which each held."""
    made = [(BEGINNING, SHARING | first), *later]
    return [{"from": since, "claims": {**SHARING, **claims}} for since, claims in made]


def hours(mode: str, begin: str, end: str, *days: str) -> list[dict[str, Any]]:
    """Return a schedule of one rule."""
    return [{"mode": mode, "from": begin, "to": end} | ({"days": list(days)} if days else {})]


def granted(*cameras: str) -> dict[str, Any]:
    """Return a yes for cameras."""
    return {"verdict": "granted", "cameras": list(cameras)}


def asked(answer_by: str, *cameras: str) -> dict[str, Any]:
    """Return a question about cameras."""
    return {"verdict": "ask", "cameras": list(cameras), "answer_by": answer_by}


def no(reason: str) -> dict[str, Any]:
    """Return a no."""
    return {"verdict": "refused", "reason": reason}


GOOD: Final = granted("back", "front")
EXPIRY: Final = "2026-11-24T14:15:00.000Z"
_CASES: Final[list[tuple[str, list[dict[str, Any]], dict[str, Any], dict[str, Any]]]] = [
    ("opt_in grants what is shared", policies(), {}, GOOD),
    ("no policy", [], {}, no("not_paired")),
    ("sharing_off", policies(mode="sharing_off"), {}, no("sharing_off")),
    ("recording_off has the same word", policies(mode="recording_off"), {}, no("sharing_off")),
    ("ask_first asks until the command expires", policies(mode="ask_first"), {}, asked(EXPIRY, "back", "front")),
    ("ask_first asks as long as the owner says", policies(mode="ask_first", answer_s_max=60), {},
     asked("2026-11-24T14:01:00.000Z", "back", "front")),
    ("one camera to ask for", policies(cameras={"back": "share", "front": "ask"}), {}, asked(EXPIRY, "back", "front")),
    ("another agency", policies(), {"agency": "pd-0043"}, no("agency")),
    ("another root", policies(), {"root": "S" * 43}, no("agency")),
    ("another incident type", policies(), {"incident_type": "fire"}, no("incident_type")),
    ("a window that is too long", policies(window_s_max=299), {}, no("window_too_long")),
    ("a window that begins too long before the report", policies(before_s_max=119), {},
     no("window_too_far_before")),
    ("a window that begins as long before it as it may", policies(before_s_max=120), {}, GOOD),
    ("a window that ends too long after the report", policies(after_s_max=179), {}, no("window_too_far_after")),
    ("a window that is too old", policies(age_s_max=719), {}, no("window_too_old")),
    ("a window that ends too far ahead", policies(),
     {"window": {"start": "2026-11-24T13:58:00.000Z", "end": "2026-11-24T14:00:01.000Z"}},
     no("window_too_far_ahead")),
    ("no upload left today", policies(uploads_per_day_max=0), {}, no("too_many_uploads")),
    ("a camera that is not shared", policies(), {"cameras": ["office"]}, no("camera_not_shared")),
    ("`*` shares outdoor cameras only", policies(
        cameras={"*": "share"}, placement={"back": "outdoor", "front": "unknown", "office": "indoor"}), {},
     granted("back")),
    ("an indoor camera by its own name", policies(cameras={"office": "share"}, placement={"office": "indoor"}), {},
     granted("office")),
    ("`*` alone shares nothing", policies(cameras={"*": "share"}), {}, no("camera_not_shared")),
    # hours
    ("sharing_off now", policies(schedule=hours("sharing_off", "15:00", "16:00")), {}, no("sharing_off")),
    ("sharing_off until now", policies(schedule=hours("sharing_off", "14:54", "15:00")), {}, GOOD),
    ("sharing_off at the window's start", policies(schedule=hours("sharing_off", "14:00", "14:49")), {},
     no("sharing_off")),
    ("sharing_off in the window's middle", policies(schedule=hours("sharing_off", "14:50", "14:51")), {},
     no("sharing_off")),
    ("sharing_off at the window's last minute", policies(schedule=hours("sharing_off", "14:52", "14:59")), {},
     no("sharing_off")),
    ("sharing_off from the window's end", policies(schedule=hours("sharing_off", "14:53", "14:59")), {}, GOOD),
    ("ask_first in the window", policies(schedule=hours("ask_first", "14:52", "14:53")), {},
     asked(EXPIRY, "back", "front")),
    ("on another day", policies(schedule=hours("sharing_off", "00:00", "24:00", "mon", "wed")), {}, GOOD),
    ("over midnight, of the day before", policies(schedule=hours("sharing_off", "20:00", "14:49", "mon")), {},
     no("sharing_off")),
    ("a schedule does not widen", policies(mode="sharing_off", schedule=hours("ask_first", "00:00", "24:00")), {},
     no("sharing_off")),
    # what held then
    ("a pause that is over, in the window", policies(
        ("2026-11-24T13:50:00.000Z", {"mode": "sharing_off"}), ("2026-11-24T13:51:00.000Z", {})), {},
     no("sharing_off")),
    ("a pause that was over before the window", policies(
        ("2026-11-24T13:40:00.000Z", {"mode": "sharing_off"}), ("2026-11-24T13:47:59.000Z", {})), {}, GOOD),
    ("a pause between the window and now", policies(
        ("2026-11-24T13:53:01.000Z", {"mode": "sharing_off"}), ("2026-11-24T13:58:00.000Z", {})), {}, GOOD),
    ("ask_first then", policies(("2026-11-24T13:52:00.000Z", {}), mode="ask_first"), {},
     asked(EXPIRY, "back", "front")),
    ("a camera that was never then", policies(("2026-11-24T13:49:00.000Z", {}), cameras={"back": "share"}), {},
     granted("back")),
    ("an agency that is new since", policies(("2026-11-24T13:49:00.000Z", {}), agencies=[]), {}, no("agency")),
    ("a schedule that held then", policies(
        ("2026-11-24T13:55:00.000Z", {}), schedule=hours("recording_off", "14:52", "14:53")), {}, no("sharing_off")),
    ("a schedule that is new since", policies(
        ("2026-11-24T13:55:00.000Z", {"schedule": hours("sharing_off", "14:52", "14:53")})), {}, no("sharing_off")),
    ("before the first policy", [{"from": "2026-11-24T13:49:00.000Z", "claims": SHARING}], {},
     no("sharing_off")),
]  # fmt: skip


def vectors() -> list[dict[str, Any]]:
    """Return all cases with what they must come to."""
    return [
        {
            "name": name,
            "now": NOW,
            "cameras": HUB_CAMERAS,
            "policies": held,
            "command": {**COMMAND, **command},
            "must": verdict,
        }
        for name, held, command, verdict in _CASES
    ]


if __name__ == "__main__":
    WRITTEN.write_text(json.dumps(vectors(), indent=1) + "\n")
