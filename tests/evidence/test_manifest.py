"""What a hub states about a clip, and that others can read and check it."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from agent.clock import ClockStanding, TimeSource, rfc3339
from agent.crypto import canonical_json
from agent.cut.clip import ClipReport, Gap, PictureRun, SoundReport
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.errors import BadInputError
from agent.evidence.dsse import claimed_signer, open_envelope, seal_envelope
from agent.evidence.manifest import ClipFacts, build_manifest, open_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import (
    GAPS_MAX,
    ORDERS_MAX,
    PAYLOAD_TYPE,
    RUNS_MAX,
    ClockFacts,
    RunFacts,
    SoundFacts,
)
from tests.simulators.clip_folder import CAMERA, HUB, granted, moment, report

KEY = Ed25519PrivateKey.generate()
VERIFIER = verifier_of(HUB, KEY)


def facts(reports: list[ClipReport]) -> ClipFacts:
    """Make a clip's facts with one part for each report."""
    names = [f"01JDCOMMAND.front.{number:04d}" for number in range(len(reports))]
    sealed = [SealedPart(name, Path("x"), 1000, f"{number:064x}", MEDIA_TYPE_CLIP) for number, name in enumerate(names)]
    parts = list(zip(sealed, reports, strict=True))
    return ClipFacts(HUB, granted(), CAMERA, "Front door", parts, (), (812, "ee" * 32), "0.1.0")


def payload(envelope: bytes) -> dict[str, Any]:
    """Take the statement out of an envelope without checking it."""
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    return statement


def test_says_all_there_is_to_say() -> None:
    """Who asked and why, what was asked and delivered, the worst clock, all gaps in order, consent and audit state."""
    clip = facts([report(0), report(1, gap="the camera was away"), report(2)])
    nothing = ClipReport(0, 0, 0, None, None, gaps=(Gap(moment(2), moment(3), "no footage"),))
    manifest = open_manifest(build_manifest(replace(clip, empty=[nothing]), KEY), VERIFIER)
    assert (manifest.command.subject, manifest.command.agency) == ("Officer 4711", "Example Police")
    assert (manifest.window.asked, manifest.window.granted.start) == (
        manifest.window.granted,
        "2026-11-18T11:06:40.000Z",
    )
    assert (manifest.window.first_picture, manifest.window.last_picture) == (
        "2026-11-18T11:06:40.000Z",
        "2026-11-18T11:07:09.900Z",
    )
    assert [part.name for part in manifest.parts] == [f"01JDCOMMAND.front.{number:04d}.mp4.age" for number in range(3)]
    assert [gap.why for gap in manifest.gaps] == ["no footage", "the camera was away"]
    assert (manifest.clock.source, manifest.clock.error_ns) == ("sr", 4_000_002)
    assert manifest.processing == "copied 291, re-encoded 9 pictures"
    assert manifest.recipients == ("vault-2026q4",)
    assert (manifest.policy.version, manifest.policy.mode, manifest.audit.size) == (7, "opt_in", 812)


def test_says_which_pictures_are_not_the_cameras_own_and_how_to_know_the_video() -> None:
    """By part: the runs of re-encoded pictures, its own clock, and the digests of the file and of the video in it."""
    manifest = open_manifest(build_manifest(facts([report(0), report(1, clear_sha256="fe" * 32)]), KEY), VERIFIER)
    assert manifest.parts[1].reencoded_at == (RunFacts("2026-11-18T11:06:50.000Z", "2026-11-18T11:06:50.200Z", 3),)
    assert [part.clock.source for part in manifest.parts] == ["sr+onvif", "sr"]
    assert [(part.sha256[-1], part.clear_sha256[:2]) for part in manifest.parts] == [("0", "ca"), ("1", "fe")]


def test_says_who_moved_the_end_and_who_vouched_for_the_clock() -> None:
    """Ids of the orders, oldest first, the newest if there are many; source and bound of the hub's own time."""
    orders = tuple(f"e{number}" for number in range(ORDERS_MAX + 3))
    clock = ClockStanding(TimeSource.SIGNED, 40_000_000)
    stated = open_manifest(
        build_manifest(replace(facts([report()]), extended_by=orders, hub_clock=clock), KEY), VERIFIER
    )
    assert stated.extended_by == orders[3:]
    assert stated.hub_clock == ClockFacts("signed", 40_000_000)
    bare = payload(build_manifest(facts([report()]), KEY))["predicate"]
    assert not {"extended_by", "hub_clock"} & bare.keys()


def test_many_runs_of_reencoded_pictures_become_one_at_last() -> None:
    """The last one says how many pictures it spans; none is lost."""
    runs = tuple(PictureRun(moment(number), moment(number + 0.5), 2) for number in range(RUNS_MAX + 50))
    made = structs.replace(report(0), reencoded_at=runs)
    (part,) = open_manifest(build_manifest(facts([made]), KEY), VERIFIER).parts
    assert (len(part.reencoded_at), part.reencoded_at[-1].pictures) == (RUNS_MAX, 102)
    assert sum(run.pictures for run in part.reencoded_at) == 2 * len(runs)


def test_says_why_pictures_are_not_the_cameras_own() -> None:
    """Each reason once, in the order of the parts; the text stays within the format, whatever it is."""
    reports = [structs.replace(report(n), why_reencoded=why) for n, why in enumerate(("", "JPEG", "JPEG", "x"))]
    manifest = open_manifest(build_manifest(facts(reports), KEY), VERIFIER)
    assert manifest.processing == "copied 388, re-encoded 12 pictures (JPEG; x)"
    many = [structs.replace(report(n), why_reencoded=f"{n}" * 500) for n in range(9)]
    assert len(open_manifest(build_manifest(facts(many), KEY), VERIFIER).processing) < 1100


def test_is_an_in_toto_statement_about_the_ciphertext() -> None:
    """Any in-toto reader finds the sealed files and their digests as subjects."""
    statement = payload(build_manifest(facts([report()]), KEY))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "01JDCOMMAND.front.0000.mp4.age", "digest": {"sha256": "0" * 64}}]


def test_another_implementation_verifies_the_envelope() -> None:
    """The securesystemslib reader verifies our DSSE signature, and refuses it after a change."""
    sealed = build_manifest(facts([report()]), KEY)
    key = SSlibKey(str(VERIFIER), "ed25519", "ed25519", {"public": VERIFIER.public.hex()})
    assert Envelope.from_dict(json.loads(sealed)).verify([key], 1)
    envelope = json.loads(sealed)
    changed = base64.b64decode(envelope["payload"]).replace(b"Officer 4711", b"Officer 4712")
    envelope["payload"] = base64.b64encode(changed).decode()
    with pytest.raises(VerificationError):
        Envelope.from_dict(envelope).verify([key], 1)


def test_a_hub_with_nothing_to_deliver_says_so() -> None:
    """A clip without parts is a statement too: the gap and its reason."""
    nothing = ClipReport(0, 0, 0, None, None, gaps=(Gap(moment(0), moment(30), "no footage"),))
    manifest = open_manifest(build_manifest(replace(facts([]), empty=[nothing]), KEY), VERIFIER)
    assert (manifest.parts, manifest.window.first_picture, len(manifest.gaps)) == ((), "", 1)


def test_whatever_a_camera_says_fits() -> None:
    """Names and reasons from outside are cut, and a thousand gaps become one, so that a manifest can always be made."""
    gaps = tuple(Gap(moment(number), moment(number + 0.5), "x" * 999) for number in range(GAPS_MAX + 50))
    clip = replace(facts([replace_gaps(gaps)]), camera_name="\ud800" + "n" * 9999)
    manifest = open_manifest(build_manifest(clip, KEY), VERIFIER)
    assert len(manifest.gaps) == GAPS_MAX
    assert "51 gaps" in manifest.gaps[-1].why
    assert manifest.camera.name.startswith("?n")


def replace_gaps(gaps: tuple[Gap, ...]) -> ClipReport:
    """Make a report with these gaps."""
    return ClipReport(1, 1, 0, moment(0), moment(1), gaps=gaps, clear_sha256="ca" * 32)


def _edit(change: Callable[[dict[str, Any]], object]) -> bytes:
    statement = payload(build_manifest(facts([report(0), report(1)]), KEY))
    change(statement)
    return seal_envelope(canonical_json(statement), PAYLOAD_TYPE, HUB, KEY)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda statement: statement.update(_type="x"), "something else"),
        (lambda statement: statement.update(predicateType="https://transom.example/clip/v3"), "newer version"),
        (lambda statement: statement["subject"].pop(), "differ"),
        (lambda statement: statement["subject"].reverse(), "differ"),
        (lambda statement: statement["subject"][0]["digest"].update(sha1="00" * 32), "differ"),
        (lambda statement: statement["predicate"].update(hub="hub-2"), "hub-1 signed it"),
        (lambda statement: statement["predicate"].update(extra=1), "extra"),
        (lambda statement: statement["predicate"].pop("command"), "command"),
        (lambda statement: statement["predicate"]["window"]["asked"].update(start="now"), "RFC 3339"),
        (
            lambda statement: statement["predicate"]["window"]["asked"].update(end="1999-01-01T00:00:00Z"),
            "before it ends",
        ),
        (lambda statement: statement["predicate"]["parts"][0].update(size=-1), "not a clip's manifest"),
        (lambda statement: statement["predicate"]["parts"][0].update(name="../../x.mp4.age"), "not a clip's manifest"),
        (
            lambda statement: [
                each[0].update(name="../x.mp4.age") for each in (statement["subject"], statement["predicate"]["parts"])
            ],
            "not a clip's manifest",
        ),
        (
            lambda statement: [
                each.append(each[0]) for each in (statement["subject"], statement["predicate"]["parts"])
            ],
            "twice",
        ),
    ],
)
def test_a_hostile_hub_is_read_strictly(change: Callable[[dict[str, Any]], object], why: str) -> None:
    """Even signed, a statement with other types, names that lead elsewhere, or contradictions is refused."""
    with pytest.raises(BadInputError, match=why):
        open_manifest(_edit(change), VERIFIER)


def test_a_changed_or_foreign_envelope_is_refused() -> None:
    """Another signer, another payload type or a flipped byte is refused."""
    envelope = build_manifest(facts([report()]), KEY)
    with pytest.raises(BadInputError, match="did not sign"):
        open_manifest(envelope, verifier_of(HUB, Ed25519PrivateKey.generate()))
    with pytest.raises(BadInputError, match="something else"):
        open_envelope(envelope, "application/json", VERIFIER)
    changed = json.loads(envelope)
    changed["payload"] = changed["payload"][:-8] + "AAAA" + changed["payload"][-4:]
    with pytest.raises(BadInputError, match="was changed"):
        open_manifest(json.dumps(changed).encode(), VERIFIER)


def test_sound_is_stated_where_it_was_granted() -> None:
    """What sound a part has, whence and within what bound, and where there is none; not a word of it elsewhere."""
    gap = Gap(moment(14), moment(15), "packets of sound were lost")
    heard = SoundReport("PCMU", "aac", True, moment(10), moment(20), (gap,), 24_000_000, "sr")  # noqa: FBT003 - in order
    parts = [report(), structs.replace(report(1), sound=heard), structs.replace(report(2), sound=SoundReport())]
    envelope = build_manifest(facts(parts), KEY)
    manifest = open_manifest(envelope, VERIFIER)
    first, second, third = manifest.parts
    assert first.sound is None
    assert second.sound == SoundFacts(
        "PCMU",
        "aac",
        reencoded=True,
        start=rfc3339(moment(10)),
        end=rfc3339(moment(20)),
        clock="sr",
        error_ns=24_000_000,
    )
    assert third.sound == SoundFacts("", "", reencoded=False, start="", end="", clock="", error_ns=0)
    assert [(one.start, one.why) for one in manifest.sound_gaps] == [(rfc3339(moment(14)), gap.why)]
    assert b"sound" not in base64.b64decode(json.loads(build_manifest(facts([report()]), KEY))["payload"])


def test_the_claimed_signer_is_a_hint_in_a_strict_form() -> None:
    """An envelope names its key by the line that people exchange; anything else there is refused before it is shown."""
    envelope = build_manifest(facts([report()]), KEY)
    assert claimed_signer(envelope) == VERIFIER
    with pytest.raises(BadInputError):
        claimed_signer(envelope.replace(b"hub-1+", b"\\u001b[2J+"))


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"[" * 100_000,
        b"\xff",
        b'{"payload":"","payloadType":"x","signatures":[]}',
        b'{"payload":"!","payloadType":"x","signatures":[{"keyid":"","sig":""}]}',
        b'{"payload":"","payloadType":"x","signatures":[' + b'{"keyid":"","sig":""},' * 20 + b'{"keyid":"","sig":""}]}',
        b" " * (17 * 1024 * 1024),
    ],
)
def test_junk_is_no_envelope(envelope: bytes) -> None:
    """Junk of any size is refused."""
    with pytest.raises(BadInputError):
        open_manifest(envelope, VERIFIER)


_JSON = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@settings(max_examples=40)
@given(st.binary() | _JSON.map(lambda value: json.dumps(value).encode()))
def test_fuzzed_statements_raise_nothing_else(content: bytes) -> None:
    """No bytes, signed or not, raise anything but BadInputError."""
    with pytest.raises(BadInputError):
        open_manifest(content, VERIFIER)
    with pytest.raises(BadInputError):
        open_manifest(seal_envelope(content, PAYLOAD_TYPE, HUB, KEY), VERIFIER)
