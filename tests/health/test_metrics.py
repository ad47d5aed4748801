"""The hub as metrics: readable by a strict reader, named as the field names them, and true."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.health.metrics import encode_metrics
from agent.health.vitals import CertificateVitals
from agent.health.warnings import Changes, find_warnings
from agent.pictures.watch import PictureVitals
from tests.simulators.exposition import read_exposition
from tests.simulators.vital_signs import DOOR, EVENTS, START, YARD, at, camera, hub, ring

UNITS = {"seconds", "bytes", "total", "info", "second", "ratio"}
PLAIN = {
    *("transom_clock_trusted", "transom_cameras", "transom_warning", "transom_camera_recording"),
    *("transom_camera_kept_apart", "transom_camera_can_serve", "transom_camera_self_test_bad_chunks"),
    *("transom_camera_events_subscribed", "transom_camera_event_active"),
    *("transom_ring_slabs", "transom_ring_failing", "transom_ring_damaged_chunks"),
    *("transom_outbox_waiting_parts", "transom_outbox_sending_parts", "transom_outbox_store_away"),
}
"""Metrics without a unit: counts, and what is true or not."""


def test_a_strict_reader_reads_it() -> None:
    """Every value is there, under the camera's name."""
    read = read_exposition(encode_metrics(hub()))
    door, yard = (("camera", DOOR),), (("camera", YARD),)
    assert read["transom_camera_received_bytes_total"].samples == {door: 16_200_000_000, yard: 16_200_000_000}
    assert read["transom_camera_last_byte_timestamp_seconds"].samples[door] == START / 1e9 + 9 * 3600
    assert read["transom_camera_time_error_seconds"].samples[door] == pytest.approx(0.041)
    assert read["transom_camera_clock_offset_seconds"].samples[door] == pytest.approx(-0.0125)
    assert read["transom_camera_can_serve"].samples[yard] == 1
    assert read["transom_outbox_waiting_bytes"].samples == {(): 6_000_000}
    assert read["transom_outbox_oldest_timestamp_seconds"].samples == {(): START / 1e9 + 9 * 3600 - 20}
    assert read["transom_outbox_cap_bytes_per_second"].samples == {(): 1_000_000}
    assert read["transom_outbox_store_away"].samples == {(): 0}
    assert read["transom_ring_limit_bytes"].samples == {(): 16 * 1024**3}
    assert read["transom_info"].samples == {(("hub", "01J8ZQ"), ("version", "0.1.0")): 1}
    assert read["transom_warning"].samples == {}


def test_pictures_are_told_once_they_were_looked_at() -> None:
    """Shares from 0 to 1, and what could not be judged."""
    looked = PictureVitals(
        taken=at(9 * 3600), brightness=51, sharpness=0.6, likeness=0.98, group_bytes=900_000, looks=8, looks_failed=1
    )
    read = read_exposition(encode_metrics(hub(camera(DOOR, picture=looked), camera(YARD))))
    door = (("camera", DOOR),)
    assert {
        name.removeprefix("transom_camera_picture_"): f.samples for name, f in read.items() if "_picture_" in name
    } == {
        "timestamp_seconds": {door: START / 1e9 + 9 * 3600},
        "brightness_ratio": {door: 0.2},
        "sharpness_ratio": {door: 0.6},
        "likeness_ratio": {door: 0.98},
        "group_bytes": {door: 900_000},
        "looks_total": {door: 8},
        "looks_failed_total": {door: 1},
    }


def test_the_certificates_end_is_told() -> None:
    """As a time, to be alerted on from outside."""
    certificate = CertificateVitals(at(100), at(66), at(83), 0, "", is_refused=False)
    family = read_exposition(encode_metrics(hub(certificate=certificate)))["transom_certificate_end_timestamp_seconds"]
    assert list(family.samples.values()) == [START / 1e9 + 100]


def test_units_stand_last_in_the_names() -> None:
    """As Prometheus asks: base units, counters end in total."""
    for name in read_exposition(encode_metrics(hub())):
        unit = re.sub(r"_per_second$", "", name).rpartition("_")[2]
        assert unit in UNITS | {"pictures"} or name in PLAIN, name


def test_what_is_not_known_is_left_out() -> None:
    """Nobody takes a missing value for zero: a camera that was never there, a hub without an owner."""
    new = camera(
        last_byte="",
        key_interval_s=None,
        clock_offset_ms=None,
        clock_offset_error_ms=None,
        time_error_ms=None,
        footage_oldest="",
        footage_newest="",
        self_test=None,
    )
    read = read_exposition(encode_metrics(hub(new, ring=None)))
    empty = {name for name, family in read.items() if not family.samples} - {
        "transom_warning",
        "transom_clock_error_seconds",
        "transom_certificate_end_timestamp_seconds",  # of a hub that is not enrolled
    }
    assert empty == {
        f"transom_camera_{name}"
        for name in (
            *("last_byte_timestamp_seconds", "key_interval_seconds", "clock_offset_seconds"),
            *("clock_offset_error_seconds", "time_error_seconds", "footage_oldest_timestamp_seconds"),
            *("footage_newest_timestamp_seconds", "can_serve", "self_test_covered_seconds"),
            *("self_test_bad_chunks", "self_test_timestamp_seconds", "picture_timestamp_seconds"),
            *("picture_brightness_ratio", "picture_sharpness_ratio", "picture_likeness_ratio"),
            *("picture_group_bytes", "picture_looks_total", "picture_looks_failed_total"),
            *("events_subscribed", "events_kept_total", "events_left_out_total"),
            *("event_active", "event_starts_total", "event_last_timestamp_seconds"),
        )
    }
    assert not [name for name in read if name.startswith("transom_ring")]


def test_how_well_the_time_is_known_is_a_metric() -> None:
    """Only where it is the server's signed time: of NTP's own error nothing is known."""
    signed = read_exposition(encode_metrics(hub(clock_source="signed", clock_error_ms=125.0)))
    assert signed["transom_clock_error_seconds"].samples == {(): 0.125}
    assert not read_exposition(encode_metrics(hub()))["transom_clock_error_seconds"].samples


def test_events_are_metrics() -> None:
    """By camera and kind; a kind that was never so has no time."""
    read = read_exposition(encode_metrics(hub(camera(events=EVENTS))))
    motion, tamper = ((("camera", DOOR), ("kind", kind)) for kind in ("motion", "tamper"))
    assert read["transom_camera_events_subscribed"].samples == {(("camera", DOOR),): 1}
    assert read["transom_camera_event_active"].samples == {motion: 0, tamper: 1}
    assert read["transom_camera_event_starts_total"].samples == {motion: 7, tamper: 1}
    assert read["transom_camera_event_last_timestamp_seconds"].samples == {motion: START / 1e9 + 60}
    assert read["transom_camera_events_kept_total"].samples == {(("camera", DOOR),): 15}


def test_warnings_are_metrics_too() -> None:
    """By code and camera; the hub's own have none."""
    vitals = hub(camera(loss_share=0.1), camera(YARD), ring=ring(last_error="gone"))
    warned = hub(*vitals.cameras, ring=vitals.ring, warnings=find_warnings(vitals, Changes()))
    assert read_exposition(encode_metrics(warned))["transom_warning"].samples == {
        (("code", "disk_failing"), ("camera", "")): 1,
        (("code", "packets_lost"), ("camera", "door")): 1,
    }


@given(st.text(max_size=60))
def test_a_camera_may_call_itself_anything(name: str) -> None:
    """Quotes, breaks and backslashes come through, and nothing of it becomes a metric."""
    read = read_exposition(encode_metrics(hub(camera(name=name))))
    assert read["transom_camera_info"].samples == {(("camera", DOOR), ("name", name)): 1}
