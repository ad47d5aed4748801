"""The main job end to end, for a person to watch: cameras, hub, alarm, exact clips, refusals, and the proof of it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from agent.auditor import verify_audit
from agent.demo.alarm import AFTER_S, BEFORE_S, judge_clips, note_delivery, raise_alarm, try_bad_commands
from agent.demo.facts import Facts
from agent.demo.owner_visit import ask_owner, owner_page, print_owner_page
from agent.demo.site import Scene, Site
from agent.demo.summary import print_summary
from agent.errors import ConfigurationError, TransomError

MARK: Final = ".made-by-transom-demo"
STEPS: Final = (
    "start two cameras",
    "start a broker and a central server",
    "plug in a blank hub; it finds the cameras and reads the installer's code",
    "pair the owner, who signs what may be shared",
    "record both cameras into the encrypted ring",
    "raise the alarm; the hub cuts, seals and uploads",
    "send three commands that the hub must refuse",
    "open the clips and judge every picture",
    "check the audit log and stop the hub",
)


class Stage:
    """Shows how far the demo is: a line for each step that is done, a bar for the one that runs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._number = 0

    @contextlib.contextmanager
    def step(self, expected_s: float) -> Iterator[None]:
        """Show one step; the bar fills in the time that it should take."""
        text, began = STEPS[self._number], time.monotonic()
        self._number += 1
        label = f"{self._number}/{len(STEPS)} {text}"
        columns = (TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(label, total=expected_s)
            progress.tasks[0].fields["began"] = began
            self._progress, self._task = progress, task
            yield
        self.console.print(f"[green]✔[/] {label} [dim]({time.monotonic() - began:.1f} s)[/]")

    def wait(self, seconds: float) -> None:
        """Let time pass, visibly."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._progress.update(self._task, total=seconds, completed=seconds - left)
            time.sleep(min(left, 0.1))

    def note(self, text: str) -> None:
        """Say what the running step is doing."""
        self._progress.update(self._task, description=f"{self._number}/{len(STEPS)} {text}")


def play(site: Site, stage: Stage, facts: Facts, output: Path) -> None:
    """Run the whole story on a site; the facts are filled in as they become known."""
    with stage.step(2):
        site.start_cameras()
    with stage.step(1):
        site.start_central()
        facts.broker, facts.is_client_certificate_checked = site.broker.kind, site.broker.checks_client_certificates
    with stage.step(8):
        site.start_hub(owner_page={"address": "127.0.0.1", "port": 0}, status_file=str(output / "hub" / "status.json"))
        facts.hub = site.install().version and site.factory.hub_id
    with stage.step(3):
        site.pair()
    with stage.step(BEFORE_S + 2):
        # The ring begins with a key picture, so it takes one key interval more to have all of the window's past.
        stage.wait(BEFORE_S + site.scene.gop / site.scene.fps + 0.5)
    with stage.step(AFTER_S + 2):
        alarm = raise_alarm(site)
        stage.wait(AFTER_S)
        note_delivery(site, alarm, facts)
    with stage.step(1):
        try_bad_commands(site, alarm, facts)
    with stage.step(4):
        judge_clips(
            site, alarm, facts, output, lambda name: stage.note(f"open the clip of {name} and judge every picture")
        )
    with stage.step(1):
        facts.stop_s = site.hub.stop()
        verdict = verify_audit(site.folder / "hub/data/audit", str(site.central.enrolments.evidence_keys[facts.hub]))
        facts.is_audit_intact, facts.audit_entries = verdict.is_intact, verdict.entries


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; 0 only if everything it promises held."""
    options = _parser().parse_args(arguments)
    console, facts, began = Console(), Facts(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        folder = _fresh_folder(options.out)
    except ConfigurationError as error:
        console.print(f"[bold red]✘ {escape(str(error))}[/]", soft_wrap=True)
        return 2
    film = {"fps": options.fps, "gop": options.gop, "b_frames": options.b_frames}
    scene = Scene(**film, broker=options.broker, upload=options.upload)
    with Site(folder, scene) as site:
        try:
            play(site, Stage(console), facts, folder)
        except TransomError as error:
            facts.failure = str(error)
        except KeyboardInterrupt:
            facts.failure = "interrupted"
        facts.total_s = round(time.monotonic() - began, 1)
        print_summary(console, facts, folder)
        if options.json:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=2) + b"\n")
        if options.keep and not facts.failure:
            boot = site.console.presence.boot if site.console.presence else 0
            site.restart_hub()
            with console.status("start the hub again and raise an alarm that the owner is asked about"):
                ask_owner(site, after_boot=boot)
            print_owner_page(console, owner_page(site), site.owner_key)
            console.print(f"\nEverything keeps running. Configuration: {site.config}. Ctrl-C ends it.", soft_wrap=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    return 1 if facts.problems else 0


def _fresh_folder(folder: Path) -> Path:
    """Empty the demo's own folder; a folder that somebody else filled is left alone."""
    if folder.exists() and not (folder / MARK).exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is not empty and was not made by the demo", cure="choose another by --out")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return folder.resolve()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the same facts as JSON")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--fps", type=int, default=15, help="pictures per second of the cameras (default %(default)s)")
    parser.add_argument(
        "--gop", type=int, default=30, help="pictures from key picture to key picture (default %(default)s)"
    )
    parser.add_argument("--b-frames", type=int, default=0, help="B-frames between two others (default %(default)s)")
    parser.add_argument(
        "--broker", choices=("mosquitto", "iotcore"), default="", help="default: mosquitto if installed"
    )
    parser.add_argument(
        "--upload", choices=("tus", "put"), default="tus", help="put: by presigned URLs (default %(default)s)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
