"""What a group of processes costs, read from /proc: processor time, switches, memory, system calls, bytes written.

Rules of this file: a process that has gone costs nothing more and is not an error; what the kernel does not tell is
None, never 0.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_SWITCHES: Final = re.compile(r"^voluntary_ctxt_switches:\s+(\d+)", re.MULTILINE)
_WRITTEN: Final = re.compile(r"^write_bytes: (\d+)", re.MULTILINE)
_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_MAPPING: Final = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+) (\d+)", re.MULTILINE)
_RSS: Final = re.compile(r"^Rss:\s+(\d+) kB", re.MULTILINE)
_NO_INODE: Final = "0"


@dataclass(frozen=True, slots=True)
class Cost:
    """Counters of a group of processes at one moment; two of them make a rate."""

    at_s: float
    cpu_ns: int  # of all threads, exact: not counted in ticks of 10 ms
    switches: int  # times a thread waited by itself
    written_bytes: int  # given to block devices, for whoever has no device of its own


def family(processes: Iterable[int]) -> list[int]:
    """Return these processes and all their descendants."""
    found, open_ends = [], list(processes)
    while open_ends:
        process = open_ends.pop()
        found.append(process)
        with suppress(OSError):
            for task in (_PROC / str(process) / "task").iterdir():
                open_ends += map(int, (task / "children").read_text().split())
    return found


def cost(processes: Iterable[int]) -> Cost:
    """Read the counters of these processes as they are now."""
    cpu_ns = switches = written = 0
    for process in processes:
        folder = _PROC / str(process)
        with suppress(OSError):
            for task in (folder / "task").iterdir():
                cpu_ns += int((task / "schedstat").read_text().split()[0])
                switches += _number(_SWITCHES, task / "status")
            written += _number(_WRITTEN, folder / "io")
    return Cost(time.monotonic(), cpu_ns, switches, written)


def pss_bytes(processes: Iterable[int]) -> int:
    """Return the kernel's proportional share: a page that five processes map counts a fifth for each."""
    total = 0
    for process in processes:
        with suppress(OSError):
            total += 1024 * _number(_PSS, _PROC / str(process) / "smaps_rollup")
    return total


def alone_bytes(groups: Mapping[str, Iterable[int]], bystanders: Iterable[int]) -> dict[str, int]:
    """Return what each group would take if no other group, and no bystander, were there.

    PSS flatters whoever is measured beside its like: two recorders in Python, and the bench itself, halve each other's
    interpreter. So a file that another group maps too counts whole, once per group, and everything else by its PSS.
    """
    mapped = {name: [_mappings(process) for process in processes] for name, processes in groups.items()}
    outside = {file for process in bystanders for file in _mappings(process)}
    totals = {}
    for name, maps in mapped.items():
        others = outside.union(*(one for other, theirs in mapped.items() if other != name for one in theirs))
        total = 0
        for file in {file for one in maps for file in one}:
            sizes = [one[file] for one in maps if file in one]
            is_shared = file != _NO_INODE and file in others
            total += max(rss for rss, _ in sizes) if is_shared else sum(pss for _, pss in sizes)
        totals[name] = total
    return totals


def count_system_calls(groups: Mapping[str, list[int]], seconds: float) -> dict[str, float | None]:
    """Count system calls per second with perf's tracepoint, which slows what it watches: not while timing.

    None where perf is missing or may not count.
    """
    counters: dict[str, subprocess.Popen[str]] = {}
    for name, processes in groups.items():
        watched = ",".join(map(str, processes))
        command = ("perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", watched, "sleep", str(seconds))
        with suppress(OSError):
            counters[name] = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    rates: dict[str, float | None] = dict.fromkeys(groups)
    for name, counter in counters.items():
        said = counter.communicate()[1]
        count = re.search(r"^(\d+|<not counted>),.*raw_syscalls", said, re.MULTILINE)
        if count and counter.returncode == 0:  # "not counted" is said of whoever never ran
            rates[name] = int(count[1]) / seconds if count[1].isdecimal() else 0.0
    return rates


def _mappings(process: int) -> dict[str, tuple[int, int]]:
    """Return resident and proportional bytes by mapped file; what is no file stands under `_NO_INODE`."""
    sizes: dict[str, tuple[int, int]] = {}
    try:
        text = (_PROC / str(process) / "smaps").read_text()
    except OSError:
        return sizes
    begins = list(_MAPPING.finditer(text))
    for begin, following in zip(begins, [*begins[1:], None], strict=True):
        part = text[begin.end() : following.start() if following else len(text)]
        file = f"{begin[1]} {begin[2]}" if begin[2] != _NO_INODE else _NO_INODE
        rss, pss = (1024 * int(found[1]) if (found := what.search(part)) else 0 for what in (_RSS, _PSS))
        before = sizes.get(file, (0, 0))
        sizes[file] = before[0] + rss, before[1] + pss
    return sizes


def _number(what: re.Pattern[str], path: Path) -> int:
    found = what.search(path.read_text())
    return int(found[1]) if found else 0
