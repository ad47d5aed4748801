"""The demo's last word: one table for people."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from agent.demo.facts import Facts


def print_summary(console: Console, facts: Facts, folder: Path) -> None:
    """Print what was shown, where the clips lie, and how to open one by hand."""
    clips = Table(title="Two clips, every picture judged by the capture time drawn into it", title_justify="left")
    for title in ("camera", "in the window", "outside", "missing", "copied + re-encoded", "clock within", "sealed"):
        clips.add_column(title, justify="left" if title == "camera" else "right")
    for one in facts.cameras:
        clips.add_row(
            escape(one.name),
            f"{one.frames} of {one.frames_expected}",
            _zero(one.frames_outside),
            _zero(one.frames_missing),
            f"{one.copied} + {one.reencoded}",
            f"{one.clock_error_ms:.0f} ms",
            f"{one.bytes / 1024:.0f} KiB in {one.parts} parts",
        )
    console.print(clips)
    refused = Table(title="What the hub refused", title_justify="left")
    for title in ("attempt", "answer", "reason"):
        refused.add_column(title)
    for attempt in facts.refusals:
        refused.add_row(attempt.attempt, attempt.status, escape(f"{attempt.reason}: {attempt.detail}".rstrip(": ")))
    console.print(refused)
    console.print(
        f"Alarm to first sealed byte at the store: {facts.alarm_to_first_byte_s:.2f} s;"
        f" to the last: {facts.alarm_to_receipt_s:.2f} s (4 s of the window lay in the future).",
        soft_wrap=True,
    )
    console.print(f"Audit log: {facts.audit_entries} entries, {'intact' if facts.is_audit_intact else 'NOT INTACT'}.")
    checks = (
        "checks client certificates" if facts.is_client_certificate_checked else "does not check client certificates"
    )
    console.print(
        f"Broker: {facts.broker}, which {checks}. Stopped in {facts.stop_s:.2f} s; all of it: {facts.total_s:.0f} s.",
        soft_wrap=True,
    )
    _print_how_to_open(console, facts, folder)
    for problem in facts.problems:
        console.print(f"[bold red]✘ {escape(problem)}[/]", soft_wrap=True)
    if not facts.problems:
        console.print("[bold green]✔ No picture outside the window left the hub, and none inside it is missing.[/]")


def _print_how_to_open(console: Console, facts: Facts, folder: Path) -> None:
    files = [file for one in facts.cameras for file in one.files]
    if not files:
        return
    console.print(
        f"\nWatch: {_near(Path(files[0]).parent)}/*.mp4 ({len(files)} videos)", soft_wrap=True, highlight=False
    )
    sealed = next(iter(sorted((folder / "store").glob("*/*.mp4.age"))), None)
    if sealed is not None:
        key = _near(folder / "officer" / "key.txt")
        console.print("Open one with the stock age tool, or with Transom's own check of signature and hashes:")
        console.print(f"  age -d -i {key} {_near(sealed)} > clip.mp4", soft_wrap=True, highlight=False)
        transom = _near(Path(sys.executable).with_name("transom"))
        opened = f"  {transom} clip open {_near(sealed.parent)} --identity {key} -o opened.mp4 --report opened.html"
        console.print(opened, soft_wrap=True, highlight=False)


def _zero(count: int) -> str:
    return "[green]0[/]" if count == 0 else f"[bold red]{count}[/]"


def _near(path: Path) -> str:
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
