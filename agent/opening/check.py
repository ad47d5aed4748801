"""A collected clip against what its hub signed and its store has receipted: all there, in order, byte for byte.

Rules of this file: everything that is wrong is named at once, in words for the officer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from agent.clock import parse_rfc3339, rfc3339
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.receipt import verify_receipt
from agent.errors import BadInputError, UnavailableError
from agent.evidence.statement import Manifest, PartFacts
from agent.opening.collect import PART_SUFFIX, CollectedClip
from agent.opening.meter import Meter
from agent.opening.plain import printable
from agent.signing import SigningKey

READ_BYTES: Final = 1024 * 1024


class StoreWord(msgspec.Struct, frozen=True):
    """What the store has said about one part."""

    part: str
    stored_at: str = ""  # empty if it said nothing that could be checked
    is_checked: bool = False  # False with an unchecked receipt, too: no key of the store is known


class FaultyClipError(BadInputError):
    """The clip is not what its hub signed; `faults` say how."""

    def __init__(self, manifest: Manifest, faults: Sequence[str], cure: str) -> None:
        super().__init__("; ".join(faults), cure=cure)
        self.manifest, self.faults = manifest, tuple(faults)


def check_clip(clip: CollectedClip, store_keys: Sequence[SigningKey], meter: Meter) -> tuple[StoreWord, ...]:
    """Check parts, their order and the receipts there are; return what the store said of each part.

    Raises FaultyClipError that names all that is wrong, UnavailableError if a disk fails.
    """
    manifest = clip.manifest
    if not clip.parts:
        whys = "; ".join(gap.why for gap in manifest.gaps[:3])
        raise BadInputError(f"the hub delivered no pictures for this window ({printable(whys) or 'no reason given'})")
    faults = [fault for part in clip.parts if (fault := _fault(clip, part, meter))]
    if faults:
        raise FaultyClipError(manifest, faults, "fetch these parts from the store again")
    if disorder := list(_disorder(manifest.parts)):
        raise FaultyClipError(manifest, disorder, "ask the hub's operator: the hub has signed a clip that cannot be")
    words, lies = [], []
    for part in clip.parts:
        try:
            words.append(_store_word(clip, part, store_keys))
        except BadInputError as error:
            lies.append(f"the receipt of {part.name}: {error}")
    if lies:
        raise FaultyClipError(manifest, lies, "ask the store; without these receipts the parts can be opened")
    return tuple(words)


def _fault(clip: CollectedClip, part: PartFacts, meter: Meter) -> str:
    """Say what is wrong with a part's file; no more of it is read than the hub's own files have."""
    path = clip.folder / part.name
    if not path.is_file():
        return f"{part.name} is missing"
    try:
        size = path.stat().st_size
        alike = {each.sha256: each.name for each in clip.manifest.parts if each.size == size}
        digest = _digest(path, size, meter) if alike else ""
    except OSError as error:
        raise UnavailableError(f"{printable(str(path))} cannot be read ({error.strerror})") from error
    if digest == part.sha256:
        return ""
    if digest in alike:
        return f"{part.name} holds the bytes of {alike[digest]}: they were swapped"
    if size < part.size:
        return f"{part.name} is cut off: {size} of {part.size} bytes"
    return f"{part.name} was changed: its bytes are not those that the hub signed"


def _disorder(parts: Sequence[PartFacts]) -> list[str]:
    """Name parts whose numbers or times do not rise."""
    faults = []
    for before, after in pairwise(parts):
        if _number(before) >= _number(after):
            faults.append(f"{after.name} stands behind {before.name} in the manifest")
        elif before.last_picture and after.first_picture and _time(before.last_picture) >= _time(after.first_picture):
            faults.append(f"{after.name} begins before {before.name} ends")
    return faults


def _number(part: PartFacts) -> tuple[int, str]:
    """Return what parts are ordered by: shorter numbers are smaller ones."""
    number = part.name.removesuffix(PART_SUFFIX).rpartition(".")[2]
    return len(number), number


def _time(text: str) -> int:
    return parse_rfc3339(text)


def _store_word(clip: CollectedClip, part: PartFacts, store_keys: Sequence[SigningKey]) -> StoreWord:
    token = clip.receipts.get(part.name)
    if token is None or not store_keys:
        return StoreWord(part.name)
    path = clip.folder / part.name
    sealed = SealedPart(part.name.removesuffix(PART_SUFFIX), path, part.size, part.sha256, MEDIA_TYPE_CLIP)
    receipt = verify_receipt(token, store_keys, sealed, clip.manifest.hub)
    return StoreWord(part.name, rfc3339(receipt.stored_at), is_checked=True)


def _digest(path: Path, size: int, meter: Meter) -> str:
    """Hash a file of so many bytes, and one more if it has grown since: it may never end."""
    digest, left = hashlib.sha256(), size + 1
    with path.open("rb") as file:
        while block := file.read(min(READ_BYTES, left)):
            digest.update(block)
            meter.add(len(block))
            left -= len(block)
    return digest.hexdigest()
