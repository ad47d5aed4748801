"""A clock that can be set for one process and nobody else: it starts with a library between it and the kernel."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.clock import SECOND_NS
from agent.errors import UnavailableError

SOURCE: Final = Path(__file__).with_name("stepped_clock.c")


class SteppedClock:
    """Whoever is started with `environment` reads a UTC that `set_ahead` moves; the monotonic clocks go on as they do.

    Compiles the library into `folder`. Raises UnavailableError without a compiler.
    """

    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "clock-ahead-ns"
        self._ahead.write_bytes(bytes(8))
        self.environment: Mapping[str, str] = {"LD_PRELOAD": str(_build(folder)), "BENCH_CLOCK": str(self._ahead)}

    def set_ahead(self, seconds: float) -> None:
        """Let the clock be so far ahead of the machine's from now on; below zero it is behind."""
        with self._ahead.open("r+b") as file:
            file.write(struct.pack("<q", round(seconds * SECOND_NS)))


def _build(folder: Path) -> Path:
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    library = folder / f"stepped-clock-{digest}.so"
    compiler, cure = shutil.which("cc"), "install a compiler (Debian: apt-get install gcc libc6-dev)"
    if compiler is None:
        raise UnavailableError("no C compiler for the clock that can be set", cure=cure)
    argv = (compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl")
    built = subprocess.run(argv, capture_output=True, text=True, check=False)
    if built.returncode:
        raise UnavailableError(f"the clock that can be set does not compile: {built.stderr[-300:]}", cure=cure)
    return library
