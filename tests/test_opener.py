"""An officer opens a clip: what is true opens, everything else is named and leaves no file."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from agent.cut.clip import ClipReport, Gap, SoundReport
from agent.deliver.age import generate_identity
from agent.errors import BadInputError, ConfigurationError
from agent.evidence.note import verifier_of
from agent.opener import open_clip
from agent.opening.words import Opened, describe
from tests.simulators.clip_folder import ClipFolder, make_clip, moment, with_gap

CONTENTS = [bytes([number]) * (100_000 + number) for number in range(3)]


@pytest.fixture
def clip(tmp_path: Path) -> ClipFolder:
    """Make a clip of three parts from a hub the officer knows."""
    made = make_clip(tmp_path / "clip", CONTENTS)
    (tmp_path / "known_hubs").write_text(f"{verifier_of('hub-1', made.hub_key)}\n")
    return made


def out(clip: ClipFolder) -> Path:
    """Where the video goes."""
    return clip.folder.parent / "video.mp4"


def left(clip: ClipFolder) -> list[str]:
    """List what lies where the video goes, apart from what was there before."""
    known = {"clip", "clip.key", "known_hubs"}
    return sorted(path.name for path in clip.folder.parent.iterdir() if path.name not in known)


def test_a_clip_opens_from_its_folder(clip: ClipFolder) -> None:
    """Every part becomes a whole video in order, and progress runs to the end."""
    steps: list[tuple[int, int]] = []
    opened = open_clip(clip.folder, clip.identity, out(clip), progress=lambda done, total: steps.append((done, total)))
    assert opened.is_whole_clip
    assert [Path(file).name for file in opened.files] == left(clip) == [f"video.00{number}.mp4" for number in range(3)]
    assert [Path(file).read_bytes() for file in opened.files] == CONTENTS
    assert steps == sorted(steps)
    assert 0 <= steps[-1][1] - steps[-1][0] < 3 * 300  # the age headers are not video


def test_a_clip_of_one_part_is_one_video(tmp_path: Path) -> None:
    """One part keeps the name that was asked for; the manifest may be named itself, and the hubs' file too."""
    made = make_clip(tmp_path / "one", [b"video"])
    hubs = tmp_path / "hubs"
    hubs.write_text(str(verifier_of("hub-1", made.hub_key)))
    opened = open_clip(made.manifest, made.identity, tmp_path / "evidence", hubs)
    assert opened.files == (str(tmp_path / "evidence.mp4"),)
    assert (tmp_path / "evidence.mp4").read_bytes() == b"video"


def test_one_part_opens_alone(clip: ClipFolder) -> None:
    """A single part opens with the manifest beside it, even if the others are not there."""
    clip.part(0).unlink()
    opened = open_clip(clip.part(1), clip.identity, out(clip))
    assert (opened.parts, opened.is_whole_clip) == ((clip.part(1).name,), False)
    assert out(clip).read_bytes() == CONTENTS[1]
    with pytest.raises(BadInputError, match=r"0000\.mp4\.age is missing"):
        open_clip(clip.part(0), clip.identity, out(clip).with_name("other.mp4"))


def test_a_video_that_the_hub_did_not_sign_is_not_written(clip: ClipFolder) -> None:
    """A sealed file can be the signed one, and the video that comes out of it not be the one that was signed."""
    (sealed, told), *rest = clip.facts.parts
    other = structs.replace(told, clear_sha256="00" * 32)
    clip.sign(replace(clip.facts, parts=[(sealed, other), *rest]))
    with pytest.raises(BadInputError, match="another than the one that the hub signed"):
        open_clip(clip.folder, clip.identity, out(clip))
    assert left(clip) == []


def _swap(clip: ClipFolder) -> None:
    first, second = clip.part(0).read_bytes(), clip.part(1).read_bytes()
    clip.part(0).write_bytes(second)
    clip.part(1).write_bytes(first)


def _flip(clip: ClipFolder) -> None:
    content = bytearray(clip.part(2).read_bytes())
    content[50_000] ^= 1
    clip.part(2).write_bytes(content)


def _edit_manifest(clip: ClipFolder) -> None:
    clip.manifest.write_bytes(clip.manifest.read_bytes().replace(b"IjoiM", b"IjoiN", 1))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda clip: clip.part(1).unlink(), "0001.mp4.age is missing"),
        (_swap, r"0000.mp4.age holds the bytes of 01JDCOMMAND.front.0001.mp4.age: they were swapped; .*0001"),
        (_flip, "0002.mp4.age was changed"),
        (
            lambda clip: clip.part(0).write_bytes(clip.part(0).read_bytes()[:-1]),
            "0000.mp4.age is cut off: 100215 of 100216",
        ),
        (lambda clip: clip.part(0).write_bytes(clip.part(0).read_bytes() + b"x"), "0000.mp4.age was changed"),
        (
            lambda clip: clip.sign(replace(clip.facts, parts=clip.facts.parts[::-1]), Ed25519PrivateKey.generate()),
            "another key",
        ),
        (_edit_manifest, "was changed"),
        (lambda clip: clip.manifest.write_bytes(b"{}"), "not a DSSE envelope"),
        (lambda clip: clip.manifest.unlink(), "0 manifests"),
        (lambda clip: (clip.folder / "second.manifest.json").write_bytes(b""), "2 manifests"),
    ],
)
def test_a_harmed_clip_is_named_and_leaves_nothing(
    clip: ClipFolder, harm: Callable[[ClipFolder], object], why: str
) -> None:
    """Missing, swapped, changed, cut or foreign: the officer reads what, and no file is written."""
    harm(clip)
    with pytest.raises((BadInputError, ConfigurationError), match=why):
        open_clip(clip.folder, clip.identity, out(clip))
    assert left(clip) == []


def test_a_part_that_the_key_does_not_open_leaves_nothing(clip: ClipFolder) -> None:
    """Someone who is not a recipient gets an answer and no file; one matching identity among several is enough."""
    owner, _ = generate_identity()
    stranger = clip.folder.parent / "stranger.key"
    stranger.write_bytes(owner.reveal())
    with pytest.raises(BadInputError, match="not sealed to this identity"):
        open_clip(clip.folder, stranger, out(clip))
    stranger.write_bytes(owner.reveal() + b"\n" + clip.identity.read_bytes())
    assert open_clip(clip.folder, stranger, out(clip)).is_whole_clip


def test_an_unknown_hub_is_refused_with_the_line_to_add(clip: ClipFolder) -> None:
    """Without the hub's line nothing is opened; after adding the shown line it is."""
    known = clip.folder.parent / "known_hubs"
    known.unlink()
    with pytest.raises(ConfigurationError, match="not among the hubs you know") as caught:
        open_clip(clip.folder, clip.identity, out(clip))
    line = str(verifier_of("hub-1", clip.hub_key))
    assert f"\n{line}\n" in str(caught.value)
    known.write_text(line)
    assert open_clip(clip.folder, clip.identity, out(clip)).manifest.hub == "hub-1"


def test_nothing_is_overwritten(clip: ClipFolder) -> None:
    """A video that exists stays as it is, and none of the others is written."""
    taken = out(clip).with_name("video.001.mp4")
    taken.write_bytes(b"other evidence")
    with pytest.raises(ConfigurationError, match="exists already"):
        open_clip(clip.folder, clip.identity, out(clip))
    assert (left(clip), taken.read_bytes()) == (["video.001.mp4"], b"other evidence")


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (b"", "no age identity"),
        (b"# nothing\n", "no age identity"),
        (b"\xff", "not a text file"),
        (b"age1xyz", "not an age"),
    ],
)
def test_a_bad_identity_file_is_for_a_person_to_mend(clip: ClipFolder, identity: bytes, why: str) -> None:
    """A file without a key says how to make one."""
    clip.identity.write_bytes(identity)
    with pytest.raises(ConfigurationError, match=why):
        open_clip(clip.folder, clip.identity, out(clip))
    assert left(clip) == []


def test_paths_that_lead_nowhere_are_for_a_person_to_mend(clip: ClipFolder, tmp_path: Path) -> None:
    """A wrong source, key or output folder is named."""
    for source, identity, output in (
        (tmp_path / "x.txt", clip.identity, out(clip)),
        (tmp_path / "x.0000.mp4.age", clip.identity, out(clip)),
        (clip.folder, tmp_path / "no.key", out(clip)),
        (clip.folder, clip.identity, tmp_path / "no" / "video.mp4"),
    ):
        with pytest.raises(ConfigurationError):
            open_clip(source, identity, output)


def test_a_hub_that_delivered_nothing_says_why(clip: ClipFolder) -> None:
    """A manifest without parts is an answer: the gap and its reason."""
    empty = ClipReport(0, 0, 0, None, None, gaps=(Gap(moment(0), moment(30), "the camera was\x1b[2J off"),))
    clip.sign(replace(clip.facts, parts=[], empty=[empty]))
    with pytest.raises(BadInputError, match=r"no pictures .*the camera was\?\[2J off"):
        open_clip(clip.folder, clip.identity, out(clip))


def test_says_what_the_clip_is(clip: ClipFolder) -> None:
    """People read who asked, why, the windows, gaps and the clock; programs read the same as JSON."""
    clip.sign(with_gap(clip.facts, "the camera was\x1b[2J away"))
    opened = open_clip(clip.folder, clip.identity, out(clip))
    text = describe(opened)
    for stated in (
        "2026-118 (burglary)",
        "Front door (front) on hub hub-1",
        "Officer 4711, Example Police",
        "broken shop window",
        "300 pictures, copied 291, re-encoded 9 pictures",
        "source sr, within 4.000 ms",
        "the camera was?[2J away",
        "3 of 3 opened",
    ):
        assert stated in text
    assert "\x1b" not in text
    assert msgspec.json.decode(msgspec.json.encode(opened), type=Opened) == opened


def test_says_what_is_to_be_heard(clip: ClipFolder) -> None:
    """Where the owner shares the sound: from when to when, how it was made, and where there is none."""
    gap = Gap(moment(4), moment(5), "packets of sound were lost")
    heard = SoundReport("PCMU", "aac", True, moment(0), moment(10), (gap,), 24_000_000, "sr")  # noqa: FBT003 - in order
    parts = [(sealed, msgspec.structs.replace(told, sound=heard)) for sealed, told in clip.facts.parts]
    clip.sign(replace(clip.facts, parts=parts))
    text = describe(open_clip(clip.folder, clip.identity, out(clip)))
    assert re.search(r"Sound: +\S+ to \S+, re-encoded from PCMU, within 24 ms", text)
    assert re.search(r"No sound: +\S+ to \S+: packets of sound were lost", text)
    nothing = [(sealed, msgspec.structs.replace(told, sound=SoundReport())) for sealed, told in clip.facts.parts]
    clip.sign(replace(clip.facts, parts=nothing))
    assert re.search(r"Sound: +none", describe(open_clip(clip.folder, clip.identity, out(clip).with_name("other.mp4"))))


def test_a_plain_computer_is_enough() -> None:
    """Opening loads neither libav, nor OpenCV, nor the camera, broker or upload libraries."""
    script = "import sys, agent.opener, agent.auditor; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()
    assert "agent.deliver.unseal" in loaded
    assert not {"av", "cv2", "onvif", "zeep", "paho", "httpx", "lxml"} & set(loaded)
