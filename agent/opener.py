"""Story three, on the officer's computer: a sealed clip and a key in, checked video and what it is out.

Rules of this file: nothing is written before the manifest's signature by a known hub and every part's hash held; a
video file is there whole or not at all; nothing that exists is overwritten. Runs without the hub's other libraries.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from agent.crypto import Secret
from agent.deliver.unseal import open_age
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.evidence.dsse import ENVELOPE_BYTES_MAX, claimed_signer
from agent.evidence.known_hubs import KNOWN_HUBS_CHARS_MAX, find_known, parse_known_hubs
from agent.evidence.manifest import open_manifest
from agent.evidence.statement import Manifest, PartFacts

MANIFEST_SUFFIX: Final = ".manifest.json"
PART_SUFFIX: Final = ".mp4.age"
IDENTITY_BYTES_MAX: Final = 64 * 1024
READ_BYTES: Final = 1024 * 1024

Progress = Callable[[int, int], object]
"""Told after each step how many bytes of how many are done; each part is read twice, once to check, once to open."""


class Opened(msgspec.Struct, frozen=True):
    """What was opened: the hub's whole statement, and the files that were written."""

    manifest: Manifest
    parts: tuple[str, ...]  # names of the sealed parts that were opened, in order
    files: tuple[str, ...]  # the videos, in the same order
    is_whole_clip: bool  # False: only some of the clip's parts were asked for


def open_clip(
    source: Path, identity: Path, output: Path, known_hubs: Path | None = None, progress: Progress = lambda *_: None
) -> Opened:
    """Check and open a clip.

    `source` is the clip's folder, its manifest, or one of its parts (then only that part is opened). `identity` is an
    age identity file. `output` names the video; of several parts it is `NAME.000.mp4`, `NAME.001.mp4` and so on.
    `known_hubs` lists the hubs to believe (default: `known_hubs` beside the identity).
    Raises ConfigurationError if a file or a key is missing, BadInputError if the clip is not what its hub signed,
    UnavailableError if a disk fails.
    """
    # 1. whom we are and whom we believe
    identities = _read_identities(identity)
    where = known_hubs or identity.with_name("known_hubs")
    known = parse_known_hubs(_read_text(where, KNOWN_HUBS_CHARS_MAX)) if where.exists() else ()
    # 2. the manifest, by a hub we know
    part_path = source if source.name.endswith(PART_SUFFIX) else None
    manifest_path = _find_manifest(source)
    envelope = _read(manifest_path, ENVELOPE_BYTES_MAX)
    manifest = open_manifest(envelope, find_known(claimed_signer(envelope), known, str(where)))
    # 3. the parts: all there, in order, each exactly the bytes that were signed
    parts = [part for part in manifest.parts if part_path is None or part.name == part_path.name]
    if not parts:
        raise BadInputError(_nothing_to_open(manifest, part_path))
    meter = _Meter(progress, 2 * sum(part.size for part in parts))
    _check_parts(manifest_path.parent, parts, manifest, meter)
    # 4. the videos, under their names only when all of them are whole
    files = _output_names(output, len(parts))
    with ExitStack() as unfinished:
        written = [
            unfinished.enter_context(_opened_part(manifest_path.parent / part.name, part, identities, output, meter))
            for part in parts
        ]
        for temporary, final in zip(written, files, strict=True):
            temporary.rename(final)
    is_whole = len(parts) == len(manifest.parts)
    return Opened(manifest, tuple(part.name for part in parts), tuple(map(str, files)), is_whole)


# --- finding and reading


def _find_manifest(source: Path) -> Path:
    """Find the one manifest that belongs to `source`."""
    if source.is_dir():
        found = sorted(source.glob("*" + MANIFEST_SUFFIX))
        if len(found) != 1:
            cure = "name the manifest itself" if found else f"fetch the clip's {MANIFEST_SUFFIX} file into it too"
            raise ConfigurationError(f"{source} holds {len(found)} manifests", cure=cure)
        return found[0]
    if source.name.endswith(MANIFEST_SUFFIX):
        return source
    if source.name.endswith(PART_SUFFIX):
        # "<command>.<camera>.<number>.mp4.age" belongs to "<command>.<camera>.manifest.json"
        clip, _, _ = source.name.removesuffix(PART_SUFFIX).rpartition(".")
        return source.with_name(clip + MANIFEST_SUFFIX)
    cure = f"name a folder, a {MANIFEST_SUFFIX} file or a {PART_SUFFIX} file"
    raise ConfigurationError(f"{source} is not a clip", cure=cure)


def _read(path: Path, bytes_max: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})", cure="check the path") from error
    if len(content) > bytes_max:
        raise BadInputError(f"{path} has more than {bytes_max} bytes")
    return content


def _read_text(path: Path, bytes_max: int) -> str:
    try:
        return _read(path, bytes_max).decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not a text file", cure="check the path") from None


def _read_identities(path: Path) -> list[Secret]:
    """Read an age identity file: one identity a line, comments begin with `#`."""
    lines = [line.strip() for line in _read_text(path, IDENTITY_BYTES_MAX).splitlines()]
    identities = [Secret(line) for line in lines if line and not line.startswith("#")]
    if not identities:
        cure = "an identity file is made with `age-keygen -o FILE`"
        raise ConfigurationError(f"{path} holds no age identity", cure=cure)
    return identities


def _nothing_to_open(manifest: Manifest, part: Path | None) -> str:
    if part is not None:
        return f"{part.name} is not a part of the clip in the manifest beside it"
    whys = "; ".join(gap.why for gap in manifest.gaps[:3])
    return f"the hub delivered no pictures for this window ({printable(whys) or 'no reason given'})"


# --- checking


class _Meter:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, size: int) -> None:
        self._done += size
        self._progress(self._done, self._total)


def _check_parts(folder: Path, parts: Sequence[PartFacts], manifest: Manifest, meter: _Meter) -> None:
    """Compare every part with what the hub signed, and name all that is wrong at once. Raises BadInputError."""
    names = {part.sha256: part.name for part in manifest.parts}
    wrong = [fault for part in parts if (fault := _fault(folder / part.name, part, names, meter))]
    if wrong:
        raise BadInputError("; ".join(wrong), cure="fetch these parts from the store again")


def _fault(path: Path, part: PartFacts, names: dict[str, str], meter: _Meter) -> str:
    if not path.is_file():
        return f"{part.name} is missing"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = _digest(file, meter)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read ({error.strerror})") from error
    if digest == part.sha256 and size == part.size:
        return ""
    if digest in names:
        return f"{part.name} holds the bytes of {names[digest]}: they were swapped"
    if size < part.size:
        return f"{part.name} is cut off: {size} of {part.size} bytes"
    return f"{part.name} was changed: its bytes are not those that the hub signed"


def _digest(file: BinaryIO, meter: _Meter) -> str:
    digest = hashlib.sha256()
    while block := file.read(READ_BYTES):
        digest.update(block)
        meter.add(len(block))
    return digest.hexdigest()


class _HashedReader:
    """A file whose bytes are hashed as they are read: the file could be replaced after the first check."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        return self._counted(self._file.read(size))

    def readline(self, size: int) -> bytes:
        return self._counted(self._file.readline(size))

    def _counted(self, content: bytes) -> bytes:
        self.digest.update(content)
        return content


# --- writing


def _output_names(output: Path, count: int) -> list[Path]:
    """Name the videos; nothing that exists is overwritten."""
    stem = output.with_suffix("") if output.suffix == ".mp4" else output
    numbers = [""] if count == 1 else [f".{number:03d}" for number in range(count)]
    names = [stem.with_name(f"{stem.name}{number}.mp4") for number in numbers]
    if taken := [name for name in names if name.exists()]:
        raise ConfigurationError(f"{taken[0]} exists already", cure="choose another name, or move it away")
    if not output.parent.is_dir():
        raise ConfigurationError(f"{output.parent} is not a folder", cure="make it, or choose another name")
    return names


@contextmanager
def _opened_part(
    sealed: Path, part: PartFacts, identities: Sequence[Secret], output: Path, meter: _Meter
) -> Iterator[Path]:
    """Open one part into a temporary file beside the output; it is gone afterwards unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", suffix=".unfinished", dir=output.parent)
    except OSError as error:
        raise UnavailableError(f"{output.parent} cannot be written ({error.strerror})") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as video, sealed.open("rb") as file:
            reader, clear = _HashedReader(file), hashlib.sha256()
            for piece in open_age(cast("BinaryIO", reader), *identities):
                video.write(piece)
                clear.update(piece)
                meter.add(len(piece))
            video.flush()
            os.fsync(video.fileno())
        if reader.digest.hexdigest() != part.sha256:
            raise BadInputError(f"{part.name} was changed while it was being opened")
        if clear.hexdigest() != part.clear_sha256:
            raise BadInputError(f"the video in {part.name} is another than the one that the hub signed")
        yield temporary
    except OSError as error:
        raise UnavailableError(f"{part.name} could not be opened into {output.parent} ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def describe(opened: Opened) -> str:
    """Say in plain lines what a clip is: for the officer's screen and file."""
    manifest, command, window = opened.manifest, opened.manifest.command, opened.manifest.window
    pictures = sum(part.pictures for part in manifest.parts)
    withheld = sum(part.refused for part in manifest.parts)
    lines = [
        ("Incident", f"{manifest.incident.id} ({manifest.incident.type}), reported {manifest.incident.reported_at}"),
        ("Camera", f"{manifest.camera.name} ({manifest.camera.id}) on hub {manifest.hub}"),
        ("Asked by", f"{command.subject}, {command.agency}"),
        ("Basis", command.basis),
        ("Reason", command.reason),
        ("Asked for", f"{window.asked.start} to {window.asked.end}"),
        ("Granted", f"{window.granted.start} to {window.granted.end}, {manifest.policy.mode}"),
        ("Delivered", f"{window.first_picture} to {window.last_picture}, {pictures} pictures, {manifest.processing}"),
        ("Time", f"source {manifest.clock.source or 'unknown'}, within {manifest.clock.error_ns / 1e6:.3f} ms"),
        *(("Gap", f"{gap.start} to {gap.end}: {gap.why}") for gap in manifest.gaps),
        *([("Withheld", f"{withheld} pictures that may show what lay outside the window")] if withheld else []),
        *([("Sound", sound)] if (sound := _sound_told(manifest)) else []),
        *(("No sound", f"{gap.start} to {gap.end}: {gap.why}") for gap in manifest.sound_gaps),
        ("Parts", f"{len(opened.parts)} of {len(manifest.parts)} opened, signature and hashes hold"),
        *(("Video", file) for file in opened.files),
        ("Made by", f"transom {manifest.software}, policy version {manifest.policy.version}"),
    ]
    return "\n".join(f"{label + ':':<11} {printable(text)}" for label, text in lines)


def _sound_told(manifest: Manifest) -> str:
    """Say what sound is in the parts; empty if the owner does not share this camera's."""
    sounds = [part.sound for part in manifest.parts if part.sound is not None]
    heard = [sound for sound in sounds if sound.codec]
    if not heard:
        return "none" if sounds else ""
    how = "re-encoded" if any(sound.reencoded for sound in heard) else "copied"
    sources = ", ".join(sorted({sound.source for sound in heard}))
    error_ms = max(sound.error_ns for sound in heard) / 1e6
    return f"{heard[0].start} to {heard[-1].end}, {how} from {sources}, within {error_ms:.0f} ms"


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
