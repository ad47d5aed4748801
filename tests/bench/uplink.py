"""How exactly a cap is kept, what keeping it costs, and whether a share of a narrow line is what it says."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from agent.command.request import UploadTarget
from agent.crypto import Secret, sha256_hex
from agent.deliver.cap import Caps
from agent.deliver.pace import WIRE_FACTOR
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.outside.host import HostClock
from agent.outside.https import HttpsUploader
from agent.outside.pacer import Pacer
from tests.bench.conditions import Conditions, conditions
from tests.bench.figures import Figure
from tests.bench.print_figures import print_figures, write_report
from tests.simulators.private_network import in_private_network
from tests.simulators.tus_server import tus_server

SUMMARY: Final = "how exactly upload caps are kept, and what it costs"
CAPS_KBIT_S: Final = (250, 1000, 4000, 16_000)
SHARES: Final = (0.25, 0.5, 0.8)
LINE_KBIT_S: Final = 16_000
LEARNING_BYTES: Final = 6 * 1024 * 1024
_SWITCHES: Final = re.compile(rb"^voluntary_ctxt_switches:\s+(\d+)$", re.MULTILINE)


class Kept(msgspec.Struct, frozen=True):
    """One cap, and what it came to."""

    asked_kbit_s: float
    uploads: int
    seconds: float
    kbit_s: float  # on the wire
    cpu_share: float  # of the event loop's thread, TLS included
    wakes_per_s: float  # of that thread
    uplink_kbit_s: float | None = None  # as it was measured, for a share

    @property
    def is_off_by(self) -> float:
        """How far the rate is from the cap, as a share of it."""
        return abs(self.kbit_s / self.asked_kbit_s - 1)


class UplinkReport(msgspec.Struct, frozen=True):
    """Everything."""

    conditions: Conditions
    absolute: tuple[Kept, ...]
    shares: tuple[Kept, ...]  # empty: this machine cannot make a narrow line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the bench can be told."""
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--json", type=Path, metavar="FILE")


def run(arguments: argparse.Namespace, console: Console) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), arguments.seconds)
    _print(report, console)
    if arguments.json:
        write_report(arguments.json, report)


def measure(folder: Path, seconds: float) -> UplinkReport:
    """Send as much as each cap lets through in so many seconds, in one upload and in four."""
    absolute = [
        _keep(folder, Pacer(HostClock(), Caps(kbit_s_max=cap)), cap, seconds, uploads)
        for cap in CAPS_KBIT_S
        for uploads in (1, 4)
    ]
    shares: list[Kept] = []
    if os.geteuid() == 0:
        in_private_network(lambda: shares.extend(_keep_shares(folder, seconds)))
    return UplinkReport(conditions(), tuple(absolute), tuple(shares))


def figures(report: UplinkReport) -> list[Figure]:
    """Name what must hold."""
    off = max((one.is_off_by for one in report.absolute), default=None)
    share = max((one.is_off_by for one in report.shares), default=None)
    line = max((abs((one.uplink_kbit_s or 0) / LINE_KBIT_S - 1) for one in report.shares), default=None)
    wakes = max((one.wakes_per_s for one in report.absolute if one.asked_kbit_s <= LINE_KBIT_S), default=None)
    return [
        Figure("absolute cap: off by at most", "", off, 0.05, 0.02),
        Figure("share of a narrow line: off by at most", "", share, 0.1, 0.05),
        Figure("uplink as measured: off by at most", "", line, 0.15, 0.05),
        Figure("the loop's thread wakes up, at most", "1/s", wakes, 100.0),
    ]


def _keep_shares(folder: Path, seconds: float) -> list[Kept]:
    """Measure on a line of `LINE_KBIT_S`; nothing, if the kernel cannot make one."""
    shape = f"tc qdisc add dev lo root tbf rate {LINE_KBIT_S}kbit burst 64kb latency 300ms"
    if subprocess.run(shape.split(), check=False, capture_output=True).returncode:
        return []
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500"], check=True)
    kept = []
    for share in SHARES:
        pacer = Pacer(HostClock(), Caps(uplink_share=share))
        _send(folder, pacer, LEARNING_BYTES, 1)
        measured = (pacer.figures().uplink_bit_s or 0) / 1000
        one = _keep(folder, pacer, share * measured, seconds, 1)
        kept.append(msgspec.structs.replace(one, uplink_kbit_s=measured))
    return kept


def _keep(folder: Path, pacer: Pacer, kbit_s: float, seconds: float, uploads: int) -> Kept:
    size = round(kbit_s * 125 * seconds / WIRE_FACTOR)
    took, cpu_s, wakes = _send(folder, pacer, size, uploads)
    rate = size // uploads * uploads * WIRE_FACTOR / took / 125
    return Kept(kbit_s, uploads, took, rate, cpu_s / took, wakes / took)


def _send(folder: Path, pacer: Pacer, size: int, uploads: int) -> tuple[float, float, int]:
    """Send so many bytes in so many parts; return seconds, processor time and wake-ups of the event loop's thread."""
    with tus_server(folder) as (store, url, pem):
        target = UploadTarget(f"{url}/files", f"{url}/receipts", Secret(store.token))
        parts = [_part(folder, f"part-{number}", size // uploads) for number in range(uploads)]

        async def send() -> tuple[float, float, int]:
            async with HttpsUploader([pem], HostClock(), pacer=pacer) as uploader:
                places = [await uploader.create(part, target) for part in parts]
                before = time.monotonic(), time.thread_time(), _wakes()
                await asyncio.gather(
                    *(uploader.send(part, target, place) for part, place in zip(parts, places, strict=True))
                )
                return time.monotonic() - before[0], time.thread_time() - before[1], _wakes() - before[2]

        return asyncio.run(send())


def _part(folder: Path, name: str, size: int) -> SealedPart:
    content = os.urandom(size)
    (folder / name).write_bytes(content)
    return SealedPart(name, folder / name, size, sha256_hex(content), MEDIA_TYPE_CLIP)


def _wakes() -> int:
    found = _SWITCHES.search(Path(f"/proc/self/task/{threading.get_native_id()}/status").read_bytes())
    return int(found[1]) if found else 0


def _print(report: UplinkReport, console: Console) -> None:
    console.print(str(report.conditions), highlight=False)
    table = Table(title="Caps, and what they came to", title_justify="left")
    for title in ("cap, kbit/s", "uploads", "sent, kbit/s", "of a core", "wakes/s", "uplink measured"):
        table.add_column(title, justify="right")
    rows: Sequence[Kept] = (*report.absolute, *report.shares)
    for one in rows:
        link = "" if one.uplink_kbit_s is None else f"{one.uplink_kbit_s:.0f}"
        sent = f"{one.kbit_s:.0f}"
        table.add_row(
            f"{one.asked_kbit_s:.0f}", str(one.uploads), sent, f"{one.cpu_share:.1%}", f"{one.wakes_per_s:.0f}", link
        )
    console.print(table)
    print_figures(console, figures(report))
