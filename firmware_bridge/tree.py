"""The box as the kernel shows it in files: sysfs of the real one, or a folder that looks like it.

Rules of this file: a file that is missing or strange means "no such sensor", never a failure; only a LED that cannot be
set is one. Layout in FORMAT.md, section 3.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Final

from firmware_bridge.errors import UnavailableError
from firmware_bridge.messages import DiskReading, HealthReading, Led, StorageReading, TemperatureReading
from firmware_bridge.verdicts import disk_word, storage_word, temperature_word, used_percent, worst

FILE_BYTES_MAX: Final = 4096
DEVICES_MAX: Final = 16
ZONES_MAX: Final = 32
NAME_CHARACTERS_MAX: Final = 64
LED_NAME: Final = "status"
BUTTON_FILE: Final = "run/transom-bridge/button"
ALARM_FILE: Final = "run/transom-bridge/alarm"
_EMMC: Final = re.compile(r"mmcblk\d+")  # not mmcblk0boot0: boot areas report the wear of the whole device again


class HardwareTree:
    """Reads and writes below `root` (`/` on a hub); `disk` is where free space is looked up."""

    def __init__(self, root: Path, disk: Path) -> None:
        self._root = root
        self._disk = disk
        # A press is a change that this process saw: what the file says at the start is history.
        self._button = self._button_mark()
        self._pressed_s: float | None = None

    def health(self) -> HealthReading:
        """Read every sensor and judge it."""
        storage, temperatures, disk = self._storage(), self._temperatures(), self._disk_reading()
        words = [reading.word for reading in storage] + [reading.word for reading in temperatures]
        return HealthReading(worst([*words, *([disk.word] if disk else [])]), storage, temperatures, disk)

    def poll_button(self, now_s: float) -> None:
        """Notice a press; call this a few times a second."""
        mark = self._button_mark()
        if mark is not None and mark != self._button:
            self._pressed_s = now_s
        self._button = mark

    def pressed_s_ago(self, now_s: float) -> float | None:
        """Return the seconds since the last press."""
        self.poll_button(now_s)
        return None if self._pressed_s is None else max(0.0, now_s - self._pressed_s)

    def is_alarm_closed(self) -> bool | None:
        """Read the alarm input: `1` is closed, `0` open."""
        return {"1": True, "0": False}.get(_read(self._root / ALARM_FILE) or "")

    def set_led(self, state: Led) -> None:
        """Set the kernel's LED (class `leds`): steady by brightness, blinking by the timer trigger."""
        led = self._root / "sys/class/leds" / LED_NAME
        brightness = _read(led / "max_brightness") or "1"
        try:
            (led / "trigger").write_text("timer" if state is Led.BLINK else "none")
            (led / "brightness").write_text("0" if state is Led.OFF else brightness)
        except OSError as error:
            raise UnavailableError(f"the LED cannot be set: {error.strerror}") from error

    def _storage(self) -> list[StorageReading]:
        readings = []
        for block in sorted((self._root / "sys/block").glob("mmcblk*"))[:DEVICES_MAX]:
            life_time = _hexadecimals(_read(block / "device/life_time"))
            if not _EMMC.fullmatch(block.name) or len(life_time) != 2:  # noqa: PLR2004 - estimates A and B
                continue
            used, pre_eol = (
                used_percent((life_time[0], life_time[1])),
                _hexadecimals(_read(block / "device/pre_eol_info")),
            )
            readings.append(StorageReading(block.name, used, storage_word(used, pre_eol[0] if pre_eol else None)))
        return readings

    def _temperatures(self) -> list[TemperatureReading]:
        readings = []
        for zone in sorted((self._root / "sys/class/thermal").glob("thermal_zone*"))[:ZONES_MAX]:
            celsius = _celsius(_read(zone / "temp"))
            if celsius is None:
                continue
            trips = [
                _celsius(_read(kind.with_name(kind.name.removesuffix("type") + "temp"))) for kind in _critical(zone)
            ]
            critical = min((trip for trip in trips if trip is not None), default=None)
            name = (_read(zone / "type") or zone.name)[:NAME_CHARACTERS_MAX]
            readings.append(TemperatureReading(name, celsius, temperature_word(celsius, critical)))
        return readings

    def _disk_reading(self) -> DiskReading | None:
        try:
            usage = shutil.disk_usage(self._disk)
        except OSError:
            return None
        return DiskReading(usage.free, usage.total, disk_word(usage.free))

    def _button_mark(self) -> tuple[int, str | None] | None:
        path = self._root / BUTTON_FILE
        with contextlib.suppress(OSError):
            return path.stat().st_mtime_ns, _read(path)
        return None


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _hexadecimals(text: str | None) -> list[int]:
    try:
        return [int(word, 16) for word in (text or "").split()]
    except ValueError:
        return []


def _celsius(text: str | None) -> float | None:
    """Read the kernel's millidegrees."""
    match = re.fullmatch(r"-?\d{1,7}", text or "", re.ASCII)
    return int(match[0]) / 1000 if match else None


def _critical(zone: Path) -> list[Path]:
    return [path for path in sorted(zone.glob("trip_point_*_type"))[:ZONES_MAX] if _read(path) == "critical"]
