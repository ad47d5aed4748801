"""A clip against what its hub signed and what its store has receipted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.deliver.part import Receipt
from agent.deliver.receipt import sign_receipt
from agent.errors import BadInputError
from agent.evidence.note import verifier_of
from agent.opening.check import READ_BYTES, FaultyClipError, StoreWord, check_clip
from agent.opening.collect import CollectedClip, collect_clip
from agent.opening.meter import Meter
from agent.signing import generate_signing_key
from tests.simulators.clip_folder import HUB, ClipFolder, make_clip, moment

STORE = generate_signing_key()


@pytest.fixture
def clip(tmp_path: Path) -> ClipFolder:
    """Make a clip of two parts from a known hub."""
    made = make_clip(tmp_path / "clip", [b"first", b"second"])
    (tmp_path / "known_hubs").write_text(f"{verifier_of(HUB, made.hub_key)}\n")
    return made


def collected(clip: ClipFolder) -> CollectedClip:
    """Collect it."""
    return collect_clip([clip.folder], clip.folder.parent / "known_hubs")


def checked(clip: ClipFolder) -> tuple[StoreWord, ...]:
    """Check it with the store's key."""
    return check_clip(collected(clip), [STORE], Meter(lambda *_: None, 1))


def leave_receipt(clip: ClipFolder, number: int, hub: str = HUB) -> None:
    """Lay the store's receipt of a part beside it."""
    sealed, _ = clip.facts.parts[number]
    token = sign_receipt(Receipt(sealed.id, sealed.size, sealed.sha256, moment(100 + number), ""), hub, STORE)
    (clip.folder / f"{sealed.id}.receipt").write_text(token + "\n")


def test_receipts_are_checked_where_they_are(clip: ClipFolder) -> None:
    """A receipt by the store's key says since when it holds the part; without one, or its key, nothing is said."""
    leave_receipt(clip, 1)
    first, second = checked(clip)
    assert (first.is_checked, second.is_checked, second.stored_at[:4]) == (False, True, "2026")
    words = check_clip(collected(clip), [], Meter(lambda *_: None, 1))
    assert not any(word.is_checked for word in words)


def test_a_receipt_that_lies_is_named(clip: ClipFolder) -> None:
    """Another hub's, another part's, and one by another key."""
    leave_receipt(clip, 0, hub="hub-2")
    with pytest.raises(FaultyClipError, match=r"receipt of 01JDCOMMAND.front.0000.mp4.age: .*not for part"):
        checked(clip)
    leave_receipt(clip, 0)
    receipts = sorted(clip.folder.glob("*.receipt"))
    receipts[0].rename(clip.folder / "01JDCOMMAND.front.0001.receipt")
    with pytest.raises(FaultyClipError, match=r"0001.mp4.age: .*not for part"):
        checked(clip)
    leave_receipt(clip, 1)
    with pytest.raises(FaultyClipError, match="no known key of the store"):
        check_clip(collected(clip), [generate_signing_key()], Meter(lambda *_: None, 1))


def test_all_that_is_wrong_is_named_at_once(clip: ClipFolder) -> None:
    """A missing part and a changed one, in words, with the manifest that names them."""
    clip.part(0).unlink()
    clip.part(1).write_bytes(clip.part(1).read_bytes()[:-1] + b"x")
    with pytest.raises(FaultyClipError) as caught:
        checked(clip)
    missing, changed = caught.value.faults
    assert "0000.mp4.age is missing" in missing
    assert "0001.mp4.age was changed" in changed
    assert caught.value.manifest.hub == HUB


def test_parts_out_of_order_are_named_even_if_the_hub_signed_them(clip: ClipFolder) -> None:
    """Numbers and times must rise."""
    clip.sign(replace(clip.facts, parts=clip.facts.parts[::-1]))
    with pytest.raises(FaultyClipError, match=r"0000.mp4.age stands behind .*0001"):
        checked(clip)
    (sealed, told), second = clip.facts.parts
    longer = msgspec.structs.replace(told, last_picture=moment(12))
    clip.sign(replace(clip.facts, parts=[(sealed, longer), second]))
    with pytest.raises(FaultyClipError, match=r"0001.mp4.age begins before .*0000.mp4.age ends"):
        checked(clip)


def test_parts_that_the_hub_did_not_sign_are_strays(clip: ClipFolder) -> None:
    """They are told and left alone; another clip's files are none of this one's business."""
    (clip.folder / "01JDCOMMAND.front.0007.mp4.age").write_bytes(b"?")
    (clip.folder / "01OTHER.front.0000.mp4.age").write_bytes(b"?")
    assert collected(clip).strays == ("01JDCOMMAND.front.0007.mp4.age",)
    assert len(checked(clip)) == 2
    clip.manifest.rename(clip.folder / "evidence.manifest.json")  # whatever the manifest is called
    assert collected(clip).strays == ("01JDCOMMAND.front.0007.mp4.age",)


def test_a_hub_that_delivered_nothing_is_no_clip(clip: ClipFolder) -> None:
    """There is nothing to check."""
    clip.sign(replace(clip.facts, parts=[]))
    with pytest.raises(BadInputError, match="no pictures for this window"):
        checked(clip)


def test_what_is_no_receipt_is_named_beside_its_part(clip: ClipFolder) -> None:
    """Whatever lies there under a receipt's name: the parts can be opened without it, and that is said."""
    path = clip.part(0).with_name("01JDCOMMAND.front.0000.receipt")
    for content in (b"\xff\xfe\x1b[2J", b"x" * 100_000, b""):
        path.write_bytes(content)
        with pytest.raises(FaultyClipError, match=r"receipt of .*0000.mp4.age: .*without these receipts"):
            checked(clip)


def test_of_a_file_of_another_size_nothing_is_read(clip: ClipFolder) -> None:
    """A part that claims a terabyte (it is a hole) is named at once."""
    with clip.part(0).open("r+b") as file:
        file.truncate(2**40)
    read = list[int]()
    with pytest.raises(FaultyClipError, match=r"0000.mp4.age was changed"):
        check_clip(collected(clip), [], Meter(lambda done, _: read.append(done), 2**50))
    assert max(read) < 2**20


def test_a_file_that_grows_for_ever_is_read_to_its_first_size(clip: ClipFolder) -> None:
    """Each look at it makes it longer by two; it was changed, and that is found."""

    def grow(*_: int) -> None:
        with clip.part(0).open("ab") as file:
            file.write(bytes(READ_BYTES))

    clip.part(0).write_bytes(bytes(clip.facts.parts[0][0].size))
    with pytest.raises(FaultyClipError, match=r"0000.mp4.age was changed"):
        check_clip(collected(clip), [], Meter(grow, 2**50))
