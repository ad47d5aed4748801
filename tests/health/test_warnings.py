"""What a person should look at: said in words, with a cure, once, and for as long as it is so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.clock import SECOND_NS, Instant
from agent.health.self_test import CameraTest
from agent.health.vitals import CertificateVitals, EventKindVitals, HealthWarning, HubVitals
from agent.health.warnings import LASTS_S, QUIET_S, Changes, WarningWatch, find_warnings
from agent.pictures.judge import Fault
from agent.pictures.watch import PictureVitals
from tests.simulators.vital_signs import DOOR, EVENTS, YARD, at, camera, hub, outbox, ring

LOST = camera(loss_share=0.02)


def later(seconds: float) -> Instant:
    """Return an instant."""
    return Instant(round(seconds * SECOND_NS))


def codes(warnings: tuple[HealthWarning, ...]) -> list[str]:
    """Return who is warned of what."""
    return [f"{one.camera}:{one.code}" for one in warnings]


def test_a_hub_that_does_well_warns_of_nothing() -> None:
    """Also before it has an owner, and without cameras."""
    assert find_warnings(hub(), Changes()) == ()
    assert find_warnings(hub(ring=None), Changes()) == ()
    assert find_warnings(replace(hub(), cameras=()), Changes()) == ()


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"last_byte": at(9 * 3600 - 20)}, "no_video", "no video since 2026-11-"),
        ({"state": "waiting", "note": "it did not answer"}, "no_video", "(it did not answer)"),
        ({"state": "connecting", "last_byte": ""}, "no_video", "no video yet (check its power"),
        ({"loss_share": 0.034}, "packets_lost", "3.4% of its packets were lost in the last minute (check cable"),
        ({"loss_share": 0.02, "datagrams_dropped": 7}, "packets_lost", "this hub dropped 7: raise net.core.rmem_max"),
        ({"key_interval_s": 10.0}, "key_pictures_rare", "key pictures are 10.0 s apart"),
        ({"clock_offset_ms": 3200.0}, "clock_wrong", "its clock is 3.2 s ahead"),
        ({"clock_offset_ms": -7200e3}, "clock_wrong", "its clock is 7200.0 s behind"),
        ({"time_error_ms": 2000.0}, "time_uncertain", "known to 2.0 s only"),
        ({"is_apart": True, "footage_s": 1800.0}, "kept_apart", "kept apart in the ring, with 30 minutes of footage"),
        (
            {"self_test": CameraTest(DOOR, can_serve=False, why="2 of 15 chunks cannot be read", chunks_bad=2)},
            "self_test_failed",
            "its last hour cannot be served whole: 2 of 15 chunks cannot be read (check or replace the disk)",
        ),
    ],
)
def test_what_a_camera_is_warned_of(changes: dict[str, Any], code: str, words: str) -> None:
    """One cause, one warning, of this camera alone."""
    (warning,) = find_warnings(hub(camera(DOOR, **changes), camera(YARD)), Changes())
    assert (warning.camera, warning.code) == (DOOR, code)
    assert words in str(warning)


def test_key_pictures_every_four_seconds_are_well_however_they_are_measured() -> None:
    """A camera that is set to 4 s is measured a little above or below."""
    assert find_warnings(hub(camera(key_interval_s=4.04)), Changes()) == ()
    assert find_warnings(hub(camera(key_interval_s=4.2)), Changes())


def test_a_camera_that_is_stopped_on_purpose_is_not_missed() -> None:
    """While the hub ends, or by the owner's policy."""
    for state in ("stopped", "recording off"):
        assert find_warnings(hub(camera(state=state, last_byte=at(0))), Changes()) == ()


def test_what_the_hub_is_warned_of() -> None:
    """Its clock and its disk."""
    failing = ring(last_error="Input/output error", dropped_chunks=9)
    warnings = find_warnings(hub(ring=failing, is_clock_trusted=False), Changes(dropped_chunks=4))
    assert codes(warnings) == [":clock_untrusted", ":disk_failing", ":footage_dropped"]
    assert "Input/output error" in warnings[1].words
    assert "9 chunks since the start" in warnings[2].words


def test_what_the_outbox_is_warned_of() -> None:
    """A store that is away, and no room left; both with how much waits since when. An empty line is no news."""
    away, full = outbox(is_store_away=True), outbox(bytes=1_990_000_000, is_store_away=True)
    (warning,) = find_warnings(hub(outbox=away), Changes())
    assert (warning.camera, warning.code) == ("", "store_away")
    assert f"3 parts (6 MB) wait, the oldest since {away.oldest}" in str(warning)
    assert codes(find_warnings(hub(outbox=full), Changes())) == [":store_away", ":outbox_full"]
    assert find_warnings(hub(outbox=outbox(parts=0, is_store_away=True, bytes=2**31)), Changes()) == ()


def test_a_ring_that_is_too_small_is_one_warning() -> None:
    """Not one of each camera, and not their self-tests' too, unless those could not read."""
    test = CameraTest(DOOR, can_serve=False, why="30 of the last 60 minutes are missing")
    short = camera(DOOR, footage_s=1800.0, self_test=test), camera(YARD, footage_s=1700.0)
    everybody = Changes(leaving=frozenset({DOOR, YARD}))
    (warning,) = find_warnings(hub(*short), everybody)
    assert warning.code == "ring_short"
    assert "holds 30 minutes, less than the 60 minutes it should (raise ring.size_mib" in str(warning)
    unreadable = replace(short[0], self_test=replace(test, chunks_bad=1))
    assert codes(find_warnings(hub(unreadable, short[1]), everybody)) == [":ring_short", "door:self_test_failed"]
    assert codes(find_warnings(hub(camera(DOOR), short[1]), everybody)) == ["yard:footage_short"]


def test_a_new_camera_has_little_footage_and_that_is_no_fault() -> None:
    """Only what the ring has begun to recycle can be too short."""
    watch = WarningWatch()
    fresh = camera(YARD, footage_oldest=at(8.9 * 3600), footage_s=360.0)
    assert watch.look(hub(camera(DOOR), fresh), later(0)) == ()
    recycled = replace(fresh, footage_oldest=at(8.91 * 3600))
    assert codes(watch.look(hub(camera(DOOR), recycled), later(60))) == ["yard:footage_short"]


@pytest.mark.parametrize("fault", list(Fault))
def test_what_is_wrong_with_a_picture_is_said_in_words(fault: Fault) -> None:
    """Each with a cure; of a camera that is not recorded only that is said."""
    ill = camera(DOOR, picture=PictureVitals(faults=(fault.value,), why_unjudged="no key picture could be decoded"))
    (warning,) = find_warnings(hub(ill, camera(YARD)), Changes())
    assert (warning.code, warning.camera) == (fault.value, DOOR)
    assert warning.words
    assert warning.cure
    assert ("no key picture could be decoded" in warning.words) == (fault is Fault.UNJUDGED)
    assert codes(find_warnings(hub(replace(ill, state="waiting")), Changes())) == ["door:no_video"]


@pytest.mark.parametrize("code", sorted(LASTS_S))
def test_a_cause_must_last(code: str) -> None:
    """A reconnection, a first packet, a run that learns and a start are no news."""
    ill = {
        "no_video": hub(camera(state="waiting")),
        "packets_lost": hub(LOST),
        "tampered": hub(camera(events=EVENTS)),
        "time_uncertain": hub(camera(time_error_ms=2000.0)),
        "store_away": hub(outbox=outbox(is_store_away=True)),
        "clock_untrusted": hub(is_clock_trusted=False),
    }[code]
    watch, lasts_s = WarningWatch(), LASTS_S[code]
    assert watch.look(ill, later(0)) == ()
    assert watch.look(ill, later(lasts_s - 1)) == ()
    assert watch.look(hub(), later(lasts_s - 0.5)) == ()
    assert watch.look(ill, later(lasts_s)) == ()
    assert [one.code for one in watch.look(ill, later(2 * lasts_s))] == [code]


def test_a_warning_does_not_flap() -> None:
    """It stays until its cause has been away for a minute, says since when, and shows the newest words."""
    watch = WarningWatch()
    watch.look(hub(LOST), later(0))
    (first,) = watch.look(hub(LOST, written=at(9 * 3600 + 10)), later(10))
    assert first.since == at(9 * 3600 + 10)
    assert watch.look(hub(written=at(9 * 3600 + 12)), later(30)) == (first,)
    (again,) = watch.look(hub(camera(loss_share=0.5), written=at(9 * 3600 + 14)), later(50))
    assert (again.since, again.words[:5]) == (first.since, "50.0%")
    assert watch.look(hub(), later(50 + QUIET_S - 1)) == (again,)
    assert watch.look(hub(), later(50 + QUIET_S)) == ()


def test_footage_that_is_lost_is_news_for_a_minute() -> None:
    """What was lost yesterday is in the counter."""
    watch = WarningWatch()
    watch.look(hub(), later(0))
    assert codes(watch.look(hub(ring=ring(dropped_chunks=3)), later(5))) == [":footage_dropped"]
    assert codes(watch.look(hub(ring=ring(dropped_chunks=3)), later(60))) == [":footage_dropped"]
    assert watch.look(hub(ring=ring(dropped_chunks=3)), later(70)) == ()


def test_a_camera_that_is_gone_takes_its_warnings_with_it() -> None:
    """Nobody could do anything about them."""
    watch = WarningWatch()
    watch.look(hub(LOST, camera(YARD)), later(0))
    assert codes(watch.look(hub(LOST, camera(YARD)), later(10))) == ["door:packets_lost"]
    assert watch.look(hub(camera(YARD)), later(20)) == ()


ILL = st.sampled_from(
    [
        hub(),
        hub(LOST),
        hub(is_clock_trusted=False),
        hub(camera(YARD, key_interval_s=9.0), LOST),
        hub(ring=ring(last_error="gone")),
        hub(camera(state="waiting"), camera(YARD, is_apart=True)),
    ]
)


def test_tamper_and_failure_are_warnings_and_motion_is_none() -> None:
    """A camera that says it is covered is looked at; one before which something moves is doing its work."""
    kinds = [
        EventKindVitals(kind, is_active=True, last="", count=1) for kind in ("motion", "tamper", "input", "failure")
    ]
    told = [replace(EVENTS, kinds=(kind,)) for kind in kinds]
    found = [codes(find_warnings(hub(camera(events=one)), Changes())) for one in told]
    assert found == [[], ["door:tampered"], [], ["door:camera_failing"]]
    quiet = replace(EVENTS, state="none", note="the camera offers no events", kinds=())
    assert find_warnings(hub(camera(events=quiet)), Changes()) == ()


@given(st.lists(st.tuples(st.integers(1, 40), ILL), min_size=1, max_size=40))
def test_no_warning_comes_and_goes_within_a_minute(steps: list[tuple[int, HubVitals]]) -> None:
    """However fast its cause does; and each is there once, those of the hub first."""
    watch, now, came = WarningWatch(), 0, dict[str, int]()
    for passed, vitals in steps:
        now += passed
        standing = watch.look(vitals, later(now))
        names = codes(standing)
        assert len(set(names)) == len(names)
        assert [one.camera for one in standing] == sorted(one.camera for one in standing)
        known = {camera.id for camera in vitals.cameras}
        for name, since in list(came.items()):
            if name not in names:
                assert now - since >= QUIET_S or name.partition(":")[0] not in {"", *known}
                del came[name]
        for name in names:
            came.setdefault(name, now)


CERTIFICATE = CertificateVitals(at(100 * 3600), at(66 * 3600), at(83 * 3600), 0, "", is_refused=False)


@pytest.mark.parametrize(
    ("changes", "hours", "told"),
    [
        ({}, 82, ""),
        ({"why": "nobody there", "failures": 40}, 82, ""),
        ({"why": "nobody there", "failures": 40}, 84, "certificate_ending: was not renewed (nobody there)"),
        ({"why": "no (ask why)", "is_refused": True}, 70, "certificate_ending: refuses to know its certificate"),
        ({"due": ""}, 84, "certificate_ending: was not renewed (reset the hub and enrol it again)"),
        ({"why": "nobody there"}, 101, "certificate_ended: connects anew (nobody there; reset the hub"),
    ],
    ids=["good", "fails", "late", "refused", "nobody to ask", "over"],
)
def test_a_certificate_is_warned_of_early_enough(changes: dict[str, Any], hours: int, told: str) -> None:
    """Once it is late, at once if the server has said no; what to do stands with it."""
    vitals = hub(written=at(hours * 3600), certificate=replace(CERTIFICATE, **changes))
    found = [one for one in find_warnings(replace(vitals, cameras=()), Changes()) if one.code.startswith("certificate")]
    code, _, words = told.partition(": ")
    assert [one.code for one in found] == ([code] if code else [])
    assert all(words in str(one) for one in found)


def test_a_certificates_dates_say_nothing_while_the_clock_does_not() -> None:
    """There is a warning about that already."""
    vitals = hub(written=at(101 * 3600), certificate=CERTIFICATE, is_clock_trusted=False)
    assert [one.code for one in find_warnings(replace(vitals, cameras=()), Changes())] == ["clock_untrusted"]
