"""The judge of the fault table says no to everything that is wrong, and says what."""

from __future__ import annotations

import msgspec
import pytest

from agent.clip_job import JobState, Status
from agent.command.request import RefusalReason
from tests.bench.faults_judge import Found, judge

AT = "2026-11-28T07:00:00.000Z"
END = Status("c1", JobState.SUCCEEDED, AT)
PARTS = {"c1.front.0000": "aa", "c1.back.0000": "bb"}
MANIFESTS = {"c1.front.manifest": "cc", "c1.back.manifest": "dd"}
STORED = {part: (digest,) for part, digest in (PARTS | MANIFESTS).items()}
GOOD = Found(
    told=(Status("c1", JobState.RECEIVED, AT), Status("c1", JobState.IN_PROGRESS, AT), END),
    sealed=PARTS,
    receipted=PARTS | MANIFESTS,
    stored=STORED,
    files=PARTS | MANIFESTS,
    in_manifest=PARTS,
    proofs={"front": "", "back": ""},
    litter=(),
    audit_fault="",
    last_receipt_s=2.0,
)


def test_what_is_as_it_must_be_is_good() -> None:
    """The last word may come twice, and a command that was sent again is answered as a replay."""
    assert judge(GOOD, 2).is_good
    replayed = Status("c1", JobState.REJECTED, AT, RefusalReason.REPLAYED, original=JobState.SUCCEEDED)
    assert judge(msgspec.structs.replace(GOOD, told=(*GOOD.told, END, replayed)), 2).is_good


@pytest.mark.parametrize(
    "found",
    [
        {"told": GOOD.told[:2]},
        {"told": (*GOOD.told[:2], Status("c1", JobState.PARTIAL, AT))},
        {"told": (*GOOD.told, Status("c1", JobState.SUCCEEDED, "2026-11-28T07:00:01.000Z"))},
        {"proofs": {"front": ""}},
        {"proofs": {"front": "", "back": "1 outside"}},
        {"audit_fault": "line 7 was changed"},
        {"sealed": {}, "receipted": {}, "in_manifest": {}, "files": {}, "stored": {}},
    ],
    ids=["no end", "partial", "two ends", "no clip", "not proven", "audit log", "nothing"],
)
def test_what_is_missing_is_not_complete(found: dict[str, object]) -> None:
    """Without one good end, a proven clip of every camera, and a whole log, a run is not complete."""
    judgement = judge(msgspec.structs.replace(GOOD, **found), 2)
    assert (judgement.is_complete, judgement.is_identical, judgement.is_once) == (False, True, True)
    assert judgement.faults


@pytest.mark.parametrize(
    "found",
    [
        {"files": PARTS | MANIFESTS | {"c1.front.0000": "ee"}},
        {"files": MANIFESTS},
        {"receipted": PARTS | MANIFESTS | {"c1.front.0000": "ee"}},
        {"in_manifest": PARTS | {"c1.front.0000": "ee"}},
    ],
    ids=["another file", "no file", "another receipt", "another manifest"],
)
def test_other_bytes_are_not_identical(found: dict[str, object]) -> None:
    """What was sealed must be what the store has, what it signed for, and what the manifest says."""
    judgement = judge(msgspec.structs.replace(GOOD, **found), 2)
    assert (judgement.is_complete, judgement.is_identical, judgement.is_once) == (True, False, True)
    assert "c1.front.0000" in judgement.faults[0]


@pytest.mark.parametrize(
    "found",
    [
        {"stored": STORED | {"c1.front.0000": ("aa", "aa")}},
        {"litter": ("c1.front.0000.mp4.age.7f",)},
        {"files": PARTS | MANIFESTS | {"c1.front.0001": "ee"}},
    ],
    ids=["twice", "left behind", "never sealed"],
)
def test_more_than_once_is_not_once(found: dict[str, object]) -> None:
    """A part that came twice whole, pieces that stay, and parts that nobody sealed."""
    judgement = judge(msgspec.structs.replace(GOOD, **found), 2)
    assert (judgement.is_complete, judgement.is_identical, judgement.is_once) == (True, True, False)
    assert judgement.faults
