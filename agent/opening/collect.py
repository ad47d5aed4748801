"""A folder or some files on the officer's disk become a clip: its manifest by a known hub, parts, receipts and keys.

Rules of this file: nothing in a manifest is believed before its signature by a hub on the officer's list held. Every
file has a limit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.crypto import Secret
from agent.deliver.receipt import RECEIPT_BYTES_MAX
from agent.errors import BadInputError, ConfigurationError
from agent.evidence.dsse import ENVELOPE_BYTES_MAX, claimed_signer
from agent.evidence.known_hubs import KNOWN_HUBS_CHARS_MAX, find_known, parse_known_hubs
from agent.evidence.manifest import open_manifest
from agent.evidence.note import Verifier
from agent.evidence.statement import Manifest, PartFacts
from agent.opening.plain import printable
from agent.signing import SigningKey, key_from_jwk

MANIFEST_SUFFIX: Final = ".manifest.json"
PART_SUFFIX: Final = ".mp4.age"
RECEIPT_SUFFIX: Final = ".receipt"
IDENTITY_BYTES_MAX: Final = 64 * 1024
STORE_KEYS_BYTES_MAX: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class CollectedClip:
    """What lies on the disk, and what the hub has signed about it."""

    folder: Path
    manifest: Manifest
    signer: Verifier
    parts: tuple[PartFacts, ...]  # those to open, in order
    strays: tuple[str, ...]  # names of further sealed parts in the folder, of which the manifest says nothing
    receipts: dict[str, str]  # the store's statements by name of part, unchecked

    @property
    def is_whole(self) -> bool:
        """Whether all parts of the clip are to be opened."""
        return len(self.parts) == len(self.manifest.parts)


def collect_clip(sources: Sequence[Path], known_hubs: Path) -> CollectedClip:
    """Find and read the one clip that `sources` are of: its folder, its manifest, or some of its parts.

    Raises ConfigurationError if a file is missing or the hub unknown, BadInputError if the manifest is not its hub's.
    """
    manifest_path = _find_manifest(sources)
    if manifest_path.exists() and not manifest_path.is_file():
        raise ConfigurationError(f"{printable(str(manifest_path))} is not a file", cure="fetch the clip again")
    known = parse_known_hubs(read_text(known_hubs, KNOWN_HUBS_CHARS_MAX)) if known_hubs.exists() else ()
    envelope = _read(manifest_path, ENVELOPE_BYTES_MAX)
    signer = find_known(claimed_signer(envelope), known, str(known_hubs))
    manifest, folder = open_manifest(envelope, signer), manifest_path.parent
    asked = {source.name for source in sources if source.name.endswith(PART_SUFFIX)}
    stated = {part.name for part in manifest.parts}
    if unknown := sorted(asked - stated):
        raise BadInputError(f"{printable(unknown[0])} is not a part of the clip in the manifest beside it")
    parts = tuple(part for part in manifest.parts if not asked or part.name in asked)
    clips = {_clip_of(name) for name in stated} | {manifest_path.name.removesuffix(MANIFEST_SUFFIX)}
    lying = {path.name for path in folder.glob("*" + PART_SUFFIX)} if not asked else set()
    strays = tuple(sorted(name for name in lying - stated if _clip_of(name) in clips))
    return CollectedClip(folder, manifest, signer, parts, strays, _read_receipts(folder, parts))


def read_identities(path: Path) -> list[Secret]:
    """Read an age identity file: one identity a line, comments begin with `#`. Raises ConfigurationError."""
    lines = [line.strip() for line in read_text(path, IDENTITY_BYTES_MAX).splitlines()]
    identities = [Secret(line) for line in lines if line and not line.startswith("#")]
    if not identities:
        cure = "an identity file is made with `transom clip key -o FILE`"
        raise ConfigurationError(f"{path} holds no age identity", cure=cure)
    return identities


def read_store_keys(path: Path) -> list[SigningKey]:
    """Read the stores whose receipts are believed: a public JWK a line, comments begin with `#`; no file, no stores.

    Raises ConfigurationError that names the line.
    """
    keys = []
    lines = read_text(path, STORE_KEYS_BYTES_MAX).splitlines() if path.exists() else []
    for number, line in enumerate(lines, 1):
        if stated := line.strip().partition("#")[0]:
            try:
                keys.append(key_from_jwk(msgspec.json.decode(stated, type=dict[str, Any])))
            except (BadInputError, msgspec.MsgspecError, RecursionError, ValueError) as error:
                cure = "mend or remove the line; it must be a JWK of Ed25519 or P-256"
                raise ConfigurationError(f"line {number} of {path} is not a store's key", cure=cure) from error
    return keys


def read_text(path: Path, bytes_max: int) -> str:
    """Read a small text file. Raises ConfigurationError, or BadInputError if it is too large."""
    try:
        return _read(path, bytes_max).decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{printable(str(path))} is not a text file", cure="check the path") from None


def _find_manifest(sources: Sequence[Path]) -> Path:
    """Find the one manifest that all of `sources` belong to."""
    found = {_manifest_of(source) for source in sources}
    if len(found) != 1:
        cure = "open one clip at a time: one manifest, or parts of one clip"
        raise ConfigurationError(f"these files are of {len(found)} clips", cure=cure)
    return found.pop()


def _manifest_of(source: Path) -> Path:
    if source.is_dir():
        found = sorted(source.glob("*" + MANIFEST_SUFFIX))
        if len(found) != 1:
            cure = "name the manifest itself" if found else f"fetch the clip's {MANIFEST_SUFFIX} file into it too"
            raise ConfigurationError(f"{printable(str(source))} holds {len(found)} manifests", cure=cure)
        return found[0]
    if source.name.endswith(MANIFEST_SUFFIX):
        return source
    if source.name.endswith(PART_SUFFIX):
        return source.with_name(_clip_of(source.name) + MANIFEST_SUFFIX)
    cure = f"name a folder, a {MANIFEST_SUFFIX} file or {PART_SUFFIX} files"
    raise ConfigurationError(f"{printable(str(source))} is not a clip", cure=cure)


def _clip_of(part: str) -> str:
    """Name the clip of a part: `<command>.<camera>.<number>.mp4.age` belongs to `<command>.<camera>.manifest.json`."""
    return part.removesuffix(PART_SUFFIX).rpartition(".")[0]


def _read_receipts(folder: Path, parts: Sequence[PartFacts]) -> dict[str, str]:
    paths = {part.name: folder / (part.name.removesuffix(PART_SUFFIX) + RECEIPT_SUFFIX) for part in parts}
    return {name: _read_receipt(path) for name, path in paths.items() if path.is_file()}


def _read_receipt(path: Path) -> str:
    """Read what claims to be one; what cannot be one is found where receipts are checked, and named there."""
    return _read_some(path, RECEIPT_BYTES_MAX + 1).decode("ascii", "replace").strip()


def _read(path: Path, bytes_max: int) -> bytes:
    content = _read_some(path, bytes_max + 1)
    if len(content) > bytes_max:
        raise BadInputError(f"{printable(str(path))} has more than {bytes_max} bytes")
    return content


def _read_some(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(min(os.fstat(file.fileno()).st_size + 1, bytes_max))
    except OSError as error:
        shown = printable(str(path))
        raise ConfigurationError(f"{shown} cannot be read ({error.strerror})", cure="check the path") from error
