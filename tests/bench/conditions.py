"""Where and with what a bench measured: what somebody needs to compare its figures with others."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import msgspec


class Conditions(msgspec.Struct, frozen=True):
    """Where and with what was measured."""

    processor: str
    cores: int
    kernel: str
    python: str
    ffmpeg: str
    load: float  # of the machine before the first round; a busy machine measures worse, not wrong
    source: str = ""

    def __str__(self) -> str:
        return f"{self.processor}, {self.cores} cores, Linux {self.kernel}, load {self.load}"


def conditions(source: str = "") -> Conditions:
    """Read them. Raises OSError or CalledProcessError without ffmpeg."""
    said = subprocess.run(("ffmpeg", "-version"), capture_output=True, text=True, check=True).stdout
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return Conditions(
        processor=processor or platform.machine(),
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        ffmpeg=said.split()[2],
        load=round(os.getloadavg()[0], 1),
        source=source,
    )
