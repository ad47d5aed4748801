"""`transom clip`: what officers and owners do, on computers that have nothing of a hub."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.crypto import Secret
from agent.deliver.age import recipient_of
from agent.evidence.note import verifier_of
from tests.simulators.clip_folder import ClipFolder, make_clip

ROOT = Path(__file__).parents[2]
HUB_ONLY = ("av", "cv2", "onvif", "zeep", "paho", "httpx", "lxml", "numpy", "yaml", "dbus_fast", "segno", "zxingcpp")
NOT_ON_WINDOWS = ("fcntl", "grp", "pwd", "resource", "termios")


def transom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, check=False, text=True, timeout=60)


@pytest.fixture
def clip(tmp_path: Path) -> ClipFolder:
    """Make a clip from a hub that the officer knows."""
    made = make_clip(tmp_path / "clip", [b"first", b"second"])
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', made.hub_key)}\n")
    return made


def test_a_clip_is_opened(clip: ClipFolder, tmp_path: Path) -> None:
    """The videos are there, and what they are is said in plain lines, or as JSON for programs."""
    done = transom("clip", "open", clip.folder, "--identity", clip.identity, "-o", tmp_path / "video.mp4")
    assert done.returncode == 0
    assert (tmp_path / "video.000.mp4").read_bytes() == b"first"
    assert "Incident:" in done.stdout
    assert done.stderr == ""  # no progress bar where nobody watches
    done = transom("clip", "open", clip.folder, "--identity", clip.identity, "-o", tmp_path / "again.mp4", "--json")
    opened = json.loads(done.stdout)
    assert opened["is_whole_clip"] is True
    assert len(opened["files"]) == 2


def test_a_clip_that_was_changed_is_exit_code_1(
    clip: ClipFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer is no: the part is named, and no video is left."""
    clip.part(1).write_bytes(clip.part(1).read_bytes() + b"x")
    arguments = ["clip", "open", str(clip.folder), "--identity", str(clip.identity), "-o", str(tmp_path / "v.mp4")]
    assert main(arguments) == 1
    assert "0001.mp4.age was changed" in capsys.readouterr().err
    assert not list(tmp_path.glob("v*"))


def test_a_clip_without_its_key_is_exit_code_2(
    clip: ClipFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person must fetch the key."""
    arguments = ["clip", "open", str(clip.folder), "--identity", str(tmp_path / "none"), "-o", str(tmp_path / "v.mp4")]
    assert main(arguments) == 2
    assert "none" in capsys.readouterr().err


def test_a_report_is_drawn(clip: ClipFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is beside the video; one that exists is not overwritten, and then nothing is opened."""
    arguments = ["clip", "open", str(clip.folder), "--identity", str(clip.identity), "-o", str(tmp_path / "v.mp4")]
    arguments += ["--report", str(tmp_path / "v.html")]
    assert main(arguments) == 0
    assert "This is the clip that the hub made." in (tmp_path / "v.html").read_text()
    for video in tmp_path.glob("v*.mp4"):
        video.unlink()
    assert main(arguments) == 2
    assert "v.html exists already" in capsys.readouterr().err
    assert not list(tmp_path.glob("v*.mp4"))


def test_a_changed_clip_is_said_to_programs_and_drawn(
    clip: ClipFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, the faults as JSON, a page that says so, and no video."""
    clip.part(0).unlink()
    arguments = ["clip", "open", str(clip.folder), "--identity", str(clip.identity), "-o", str(tmp_path / "v.mp4")]
    assert main([*arguments, "--json", "--report", str(tmp_path / "v.html")]) == 1
    (fault,) = json.loads(capsys.readouterr().out)["faults"]
    assert "0000.mp4.age is missing" in fault
    assert "This is not the clip as the hub made it." in (tmp_path / "v.html").read_text()
    clip.manifest.write_bytes(clip.manifest.read_bytes().replace(b"IjoiM", b"IjoiN", 1))
    assert main([*arguments, "--json"]) == 1
    assert "was changed" in json.loads(capsys.readouterr().out)["faults"][0]
    assert not list(tmp_path.glob("v*.mp4"))


def test_a_person_sees_a_bar_and_a_table(clip: ClipFolder, tmp_path: Path) -> None:
    """In a terminal, how far it is, then the verdict, the rows and the window."""
    command = [sys.executable, "-m", "agent", "clip", "open", str(clip.folder), "--identity", str(clip.identity)]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen([*command, "-o", str(tmp_path / "v.mp4")], cwd=ROOT, env=environment, **streams) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # the other end is closed
            pass
        assert process.wait(60) == 0
    os.close(ours)
    for stated in (b"Opening", b"This is the clip that the hub made.", b"Incident", b"2026-118", b"Window"):
        assert stated in shown


def test_letters_that_a_code_page_has_not_are_escaped(clip: ClipFolder, tmp_path: Path) -> None:
    """On a computer that writes Latin letters only, a camera's Greek name still comes out, and JSON stays JSON."""
    clip.sign(replace(clip.facts, camera_name="Είσοδος"))
    command = [sys.executable, "-m", "agent", "clip", "open", str(clip.folder), "--identity", str(clip.identity)]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    for name, more in (("a.mp4", []), ("b.mp4", ["--json"])):
        run = [*command, "-o", str(tmp_path / name), *more]
        done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, check=True)
        assert "Είσοδος" in done.stdout.decode("ascii").encode().decode("unicode_escape")
    assert json.loads(done.stdout)["manifest"]["camera"]["name"] == "Είσοδος"


@pytest.mark.parametrize("is_post_quantum", [False, True])
def test_a_key_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str], is_post_quantum: bool) -> None:  # noqa: FBT001 - a parameter
    """A file for its owner's eyes only, and the line for the agency; a key that exists is not overwritten."""
    arguments = ["clip", "key", "-o", str(tmp_path / "key.txt"), *(["--post-quantum"] if is_post_quantum else [])]
    assert main(arguments) == 0
    recipient = capsys.readouterr().out.strip()
    assert recipient.startswith("age1pq1") is is_post_quantum
    lines = (tmp_path / "key.txt").read_text().splitlines()
    assert lines[1] == f"# {recipient}"
    assert recipient_of(Secret(lines[-1])) == recipient
    assert (tmp_path / "key.txt").stat().st_mode & 0o777 == 0o600
    assert main(arguments) == 2
    assert "choose another name" in capsys.readouterr().err


def test_a_computer_without_the_hubs_libraries_is_enough(clip: ClipFolder, tmp_path: Path) -> None:
    """Neither they nor what only Unix has are there: clips open, and what needs a hub says how to get it."""
    script = f"""
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {HUB_ONLY + NOT_ON_WINDOWS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
for name in {NOT_ON_WINDOWS!r}:
    sys.modules.pop(name, None)
from agent.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
    run = [sys.executable, "-c", script]
    own = [str(clip.folder), "--identity", str(clip.identity), "-o", str(tmp_path / "v.mp4")]
    done = subprocess.run([*run, "clip", "open", *own], cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert "signature and hashes hold" in done.stdout
    done = subprocess.run([*run, "status"], cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert "pip install 'transom[hub]'" in done.stderr
    done = subprocess.run([*run, "--help"], cwd=ROOT, capture_output=True, check=False, text=True)
    assert "clips that a hub has sent" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="names of bytes and named pipes are not of Windows")
def test_a_hostile_folder_steers_no_terminal_and_holds_nobody_up(clip: ClipFolder, tmp_path: Path) -> None:
    """Names with escapes, names that are no text, and a pipe instead of a file: each is named, and it ends."""
    common = ("--identity", clip.identity, "-o")
    named = clip.folder / "01JDCOMMAND.front.\x1b]0;gone\x07\x9b2J.mp4.age"
    named.write_bytes(b"")
    done = transom("clip", "open", named, *common, tmp_path / "a.mp4")
    assert done.returncode == 1
    assert "is not a part of the clip" in done.stderr
    assert done.stderr.strip().isprintable()
    named.rename(clip.folder / os.fsdecode(b"01JDCOMMAND.front.\xff\x9b.mp4.age"))
    done = transom("clip", "open", clip.folder, *common, tmp_path / "b.mp4", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["strays"] == ["01JDCOMMAND.front.??.mp4.age"]
    clip.manifest.unlink()
    os.mkfifo(clip.manifest)
    done = transom("clip", "open", clip.folder, *common, tmp_path / "c.mp4")
    assert done.returncode == 2
    assert "is not a file" in done.stderr


def test_a_report_that_cannot_be_written_is_told_before_anything_is_opened(
    clip: ClipFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In no folder, or under the video's own name: there is no video either."""
    video = tmp_path / "v.mp4"
    arguments = ["clip", "open", str(clip.folder), "--identity", str(clip.identity), "-o", str(video), "--report"]
    for report in (tmp_path / "nowhere" / "v.html", video):
        assert main([*arguments, str(report)]) == 2
        assert "cannot be the report" in capsys.readouterr().err
    assert not list(tmp_path.glob("v*"))
