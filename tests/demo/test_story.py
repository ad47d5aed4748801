"""The demo as a person starts it: what it promises, what it refuses, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from agent.demo.facts import Facts
from agent.demo.story import MARK

ROOT = Path(__file__).parents[2]


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in a folder."""
    environment = {**os.environ, "COLUMNS": "200", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "agent.demo.story", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )


def left_behind(folder: Path) -> list[bytes]:
    """Return the command lines of all processes that work in a folder or name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes()
            if str(folder).encode() in told or (process / "cwd").resolve().is_relative_to(folder):
                found.append(told)
        except OSError:
            continue  # it is gone, or not ours to look at
    return found


def test_help_names_every_setting(tmp_path: Path) -> None:
    """And does nothing else."""
    done = demo(tmp_path, "--help")
    assert done.returncode == 0
    for setting in ("--json", "--keep", "--out", "--fps", "--gop", "--b-frames", "--broker", "--upload"):
        assert setting in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_it_did_not_make_is_left_alone(tmp_path: Path) -> None:
    """Neither a full folder nor a file is touched; the person reads what to do, and no traceback."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("ten years")
    for place in ("mine", "mine/thesis.txt"):
        done = demo(tmp_path, "--out", place)
        assert done.returncode == 2
        assert "--out" in done.stdout
        assert "Traceback" not in done.stderr
    assert (mine / "thesis.txt").read_text() == "ten years"


def test_without_cameras_it_fails_and_says_so(tmp_path: Path) -> None:
    """Cameras that cannot start end the demo with a problem in words, in JSON, and in its exit code."""
    done = demo(tmp_path, "--fps", "7", "--json", "facts.json")
    assert done.returncode == 1
    assert "✘ camera-" in done.stdout
    assert "No picture outside" not in done.stdout
    assert "Traceback" not in done.stderr
    facts = msgspec.json.decode((tmp_path / "facts.json").read_bytes(), type=Facts)
    assert "did not start" in facts.failure
    assert left_behind(tmp_path) == []


def test_the_main_job_is_exact_with_b_frames_and_another_broker(tmp_path: Path) -> None:
    """Key pictures every 3 s, B-frames, rumqttd: still every picture of the window, no other, and everything ended."""
    (tmp_path / "demo-out").mkdir()
    (tmp_path / "demo-out" / MARK).touch()
    (tmp_path / "demo-out" / "old.txt").touch()  # its own folder is emptied
    done = demo(tmp_path, "--broker", "iotcore", "--gop", "45", "--b-frames", "2", "--json", "facts.json")
    facts = msgspec.json.decode((tmp_path / "facts.json").read_bytes(), type=Facts)
    assert (done.returncode, facts.problems) == (0, []), done.stdout + done.stderr
    assert facts.broker == "iotcore"
    assert [one.frames for one in facts.cameras] == [12 * 15, 12 * 15]
    assert all(one.copied for one in facts.cameras)
    assert "No picture outside the window left the hub" in done.stdout
    assert "does not check client certificates" in done.stdout
    assert not (tmp_path / "demo-out" / "old.txt").exists()
    assert all(Path(file).is_relative_to(tmp_path / "demo-out") for one in facts.cameras for file in one.files)
    assert left_behind(tmp_path) == []
