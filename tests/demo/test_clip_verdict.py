"""`transom clip prove` says yes only to an exact clip, and what a person can do when the call was wrong."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.__main__ import main
from agent.clock import WallTime, Window, rfc3339
from agent.demo import block_code
from agent.demo.camera_log import LogWriter
from agent.demo.clip_verdict import prove_files, save_ends
from agent.errors import ConfigurationError
from tests.simulators.damaged_clips import rewritten, samples_of
from tests.simulators.logged_sound import MICROPHONES, film_and_hear
from tests.simulators.logged_streams import Sort, film, log_of
from tests.simulators.proven_cuts import cut_and_prove, windows

FILMED = film(Sort(seconds=3.6))
WINDOW = windows(FILMED)["on pictures"]
ASKED = f"{rfc3339(WINDOW.start)}/{rfc3339(WINDOW.end)}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write the camera's log."""
    path = tmp_path / "camera.jsonl"
    known = log_of(FILMED)
    with path.open("wb") as file:
        writer = LogWriter(file, known.head)
        for picture in known.pictures:
            writer.note(picture)
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Write an exact clip."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(cut_and_prove([FILMED], WINDOW).clip)
    return path


def test_an_exact_clip_is_a_yes(video: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, and the words say what was counted."""
    assert main(["clip", "prove", str(video), "--camera-log", str(log), "--window", ASKED]) == 0
    said = capsys.readouterr().out
    assert f"{rfc3339(WINDOW.start)} to {rfc3339(WINDOW.end)}" in said
    assert "Samples:     45: 42 copied, 0 renumbered, 3 re-encoded" in said
    assert said.endswith("EXACT: every byte of video is accounted for.\n")


def test_a_clip_with_a_picture_too_few_is_a_no(video: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; the missing picture's time is named; JSON explains every sample."""
    clip = video.read_bytes()
    video.write_bytes(rewritten(clip, samples_of(clip)[:-1]))
    call = ["clip", "prove", str(video), "--camera-log", str(log), "--window", ASKED]
    assert main(call) == 1
    assert "Missing:     1: 2026-11-18T11:06:42.640Z" in capsys.readouterr().out
    assert main([*call, "--json"]) == 1
    proof = json.loads(capsys.readouterr().out)
    assert (len(proof["missing"]), proof["outside"], len(proof["accounts"])) == (1, [], 44)
    assert proof["accounts"][-1]["how"] == "copied"


def test_without_a_window_the_words_say_what_was_not_judged(video: Path, log: Path) -> None:
    """The borders are the clip's own."""
    _, words = prove_files([video], log)
    assert "give --window to judge its borders" in words


@pytest.mark.parametrize("window", ["yesterday", "2026-11-18T11:06:42Z", "2026-11-18T11:06:42Z/11:07", f"{ASKED}/"])
def test_a_window_that_is_none_is_a_wrong_call(video: Path, log: Path, window: str) -> None:
    """The error says how to write it."""
    with pytest.raises(ConfigurationError, match="START/END"):
        prove_files([video], log, window)


def test_a_file_that_is_not_there_is_a_wrong_call(log: Path, tmp_path: Path) -> None:
    """Exit code 2."""
    assert main(["clip", "prove", str(tmp_path / "gone.mp4"), "--camera-log", str(log)]) == 2


def test_the_first_and_the_last_picture_can_be_seen(video: Path, log: Path, tmp_path: Path) -> None:
    """Small files, in which the drawn time of the window's first and last picture stands."""
    call = ["clip", "prove", str(video), "--camera-log", str(log), "--window", ASKED, "--pictures", str(tmp_path)]
    assert main(call) == 0
    inside = [p.ticks for p in log_of(FILMED).pictures if log_of(FILMED).hub_time(p.ticks) in WINDOW]
    shown = [block_code.read(np.asarray(cv2.imread(str(tmp_path / name), cv2.IMREAD_GRAYSCALE), np.uint8))
             for name in ("first.png", "last.png")]  # fmt: skip
    assert shown == [inside[0], inside[-1]]
    with pytest.raises(ConfigurationError, match="cannot be written"):
        save_ends([video], tmp_path / "nowhere")


def test_sound_is_judged_in_words_and_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exact, with too much of it, and where none was to be."""
    filmed = film_and_hear(Sort(gops_s=(1.0,), seconds=3.0), MICROPHONES["PCMU"])
    window = windows(filmed)["1 tick before"]
    wider = Window(window.start, WallTime(window.end + 20_000_000))
    path, video, known = tmp_path / "camera.jsonl", tmp_path / "clip.mp4", log_of(filmed)
    with path.open("wb") as file:
        writer = LogWriter(file, known.head)
        for sent in (*known.pictures, *known.sounds):
            writer.note(sent)
    asked = f"{rfc3339(window.start)}/{rfc3339(window.end)}"
    call = ["clip", "prove", str(video), "--camera-log", str(path), "--window", asked]
    video.write_bytes(cut_and_prove([filmed], window, has_sound=True).clip)
    assert main(call) == main([*call, "--sound"]) == 0
    said = capsys.readouterr().out
    assert "re-encoded, 0 silence" in said
    assert "  outside:   0\n  missing:   0\n" in said
    assert said.endswith("EXACT: every byte of video and every block of sound is accounted for.\n")
    assert main([*call, "--no-sound"]) == 1
    assert "there must be none" in capsys.readouterr().out
    video.write_bytes(cut_and_prove([filmed], wider, has_sound=True).clip)
    assert main(call) == 1
    assert "  outside:   160 samples: 2026-11-18T11:06:42.240095000Z to " in capsys.readouterr().out
    assert main([*call, "--json"]) == 1
    sound = json.loads(capsys.readouterr().out)["sound"]
    assert (len(sound["outside"]), sound["missing"], sound["accounts"][1]["how"]) == (1, [], "re-encoded")
    video.write_bytes(cut_and_prove([filmed], window).clip)
    assert main(call) == 0
    assert main([*call, "--sound"]) == 1
