"""The kernel's files become readings; what is missing or strange is no sensor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from firmware_bridge.errors import UnavailableError
from firmware_bridge.messages import Led, StorageReading, TemperatureReading, Word
from firmware_bridge.tree import HardwareTree


def test_a_healthy_box(box: Path, tmp_path: Path) -> None:
    """The eMMC's boot areas are left out, the zone is judged by its own trip point."""
    reading = HardwareTree(box, tmp_path).health()
    assert reading.storage == [StorageReading("mmcblk0", 50, Word.OK)]
    assert reading.temperatures == [TemperatureReading("cpu-thermal", 61.25, Word.OK)]
    assert reading.disk is not None
    assert reading.disk.total_bytes >= reading.disk.free_bytes


def test_one_bad_sign_is_the_whole_box(box: Path, tmp_path: Path) -> None:
    """Worn-out storage makes the overall word critical."""
    (box / "sys/block/mmcblk0/device/pre_eol_info").write_text("0x03\n")
    assert HardwareTree(box, tmp_path).health().word is Word.CRITICAL


def test_a_box_without_sensors_is_fine(tmp_path: Path) -> None:
    """Nothing to read is nothing to worry about."""
    reading = HardwareTree(tmp_path, tmp_path / "missing").health()
    assert (reading.word, reading.storage, reading.temperatures, reading.disk) == (Word.OK, [], [], None)


@pytest.mark.parametrize("content", [b"", b"zero", b"0x", b"\xff\xfe", b"0x02", b"9" * 100, b"\x00" * 5000])
def test_a_strange_file_is_no_sensor(box: Path, tmp_path: Path, content: bytes) -> None:
    """No content of a sensor's file is a failure."""
    for name in ("sys/block/mmcblk0/device/life_time", "sys/class/thermal/thermal_zone0/temp"):
        (box / name).write_bytes(content)
    reading = HardwareTree(box, tmp_path).health()
    assert (reading.storage, reading.temperatures) == ([], [])


def test_a_press_is_a_change_that_was_seen(box: Path, tmp_path: Path) -> None:
    """What the file said before the start does not count; a touch, a new file or a new content does."""
    button = box / "run/transom-bridge/button"
    tree = HardwareTree(box, tmp_path)
    assert tree.pressed_s_ago(100.0) is None
    os.utime(button, ns=(0, 1))
    tree.poll_button(101.0)
    assert tree.pressed_s_ago(103.5) == 2.5
    button.unlink()
    assert tree.pressed_s_ago(104.0) == 3.0
    button.write_text("pressed")
    assert tree.pressed_s_ago(105.0) == 0.0
    button.write_text("pressed again")
    tree.poll_button(106.0)
    assert tree.pressed_s_ago(106.5) == 0.5


@pytest.mark.parametrize(("content", "is_closed"), [("1\n", True), ("0\n", False), ("", None), ("yes", None)])
def test_the_alarm_input(box: Path, tmp_path: Path, content: str, *, is_closed: bool | None) -> None:
    """Closed, open or not there."""
    (box / "run/transom-bridge/alarm").write_text(content)
    assert HardwareTree(box, tmp_path).is_alarm_closed() is is_closed


@pytest.mark.parametrize(
    ("state", "trigger", "brightness"), [(Led.ON, "none", "255"), (Led.OFF, "none", "0"), (Led.BLINK, "timer", "255")]
)
def test_the_led_is_set_as_the_kernel_wants_it(
    box: Path, tmp_path: Path, state: Led, trigger: str, brightness: str
) -> None:
    """Steady by brightness, blinking by the timer trigger."""
    HardwareTree(box, tmp_path).set_led(state)
    led = box / "sys/class/leds/status"
    assert ((led / "trigger").read_text(), (led / "brightness").read_text()) == (trigger, brightness)


def test_a_missing_led_is_reported(tmp_path: Path) -> None:
    """Somebody relies on seeing it."""
    with pytest.raises(UnavailableError):
        HardwareTree(tmp_path, tmp_path).set_led(Led.ON)
