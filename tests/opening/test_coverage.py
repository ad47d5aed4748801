"""The window as spans: pictures, gaps with a reason, and holes without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from agent.cut.clip import ClipReport, Gap
from agent.evidence.manifest import open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import Manifest
from agent.opening.coverage import Kind, coverage, shares
from tests.simulators.clip_folder import ClipFolder, make_clip, moment


def manifest_of(clip: ClipFolder) -> Manifest:
    """Read a clip's manifest."""
    return open_manifest(clip.manifest.read_bytes(), verifier_of("hub-1", clip.hub_key))


def test_parts_that_follow_each_other_cover_the_window(tmp_path: Path) -> None:
    """Three parts of ten seconds, a tenth of a second apart: nothing is missing."""
    spans = coverage(manifest_of(make_clip(tmp_path / "clip", [b"a", b"b", b"c"])))
    assert [span.kind for span in spans] == [Kind.PICTURES] * 3


def test_gaps_and_holes_are_told_apart(tmp_path: Path) -> None:
    """What the hub explains is a gap; what it does not is named as that."""
    clip = make_clip(tmp_path / "clip", [b"a", b"b", b"c"])
    parts = [clip.facts.parts[0], clip.facts.parts[2]]
    clip.sign(replace(clip.facts, parts=parts))
    spans = coverage(manifest_of(clip))
    assert [span.kind for span in spans] == [Kind.PICTURES, Kind.UNEXPLAINED, Kind.PICTURES]
    empty = ClipReport(0, 0, 0, None, None, gaps=(Gap(moment(10), moment(20), "rebooting"),))
    clip.sign(replace(clip.facts, parts=parts, empty=[empty]))
    spans = coverage(manifest_of(clip))
    assert [(span.kind, span.why) for span in spans] == [
        (Kind.PICTURES, ""),
        (Kind.GAP, "rebooting"),
        (Kind.PICTURES, ""),
    ]


def test_a_slow_camera_has_no_holes(tmp_path: Path) -> None:
    """One picture in five seconds is what it sends, not a hole."""
    clip = make_clip(tmp_path / "clip", [b"a"])
    sealed, told = clip.facts.parts[0]
    slow = msgspec.structs.replace(told, pictures=6, copied=6, reencoded=0, last_picture=moment(25))
    clip.sign(replace(clip.facts, parts=[(sealed, slow)]))
    assert [span.kind for span in coverage(manifest_of(clip))] == [Kind.PICTURES]


def test_spans_are_placed_on_the_window(tmp_path: Path) -> None:
    """Shares of the window that was asked for; a picture lasts until the next part."""
    manifest = manifest_of(make_clip(tmp_path / "clip", [b"a", b"b", b"c"]))
    placed = [(round(begin, 3), round(end, 3)) for _, begin, end in shares(manifest, coverage(manifest))]
    assert placed == [(0, 0.333), (0.333, 0.667), (0.667, 0.997)]
