"""Checked parts and an identity in, whole videos out: decrypted and joined in one pass, named only when they are whole.

Rules of this file: a video is there whole or not at all; nothing that exists is overwritten. Clear pictures are in the
one unfinished file beside the video and nowhere else; memory holds the tables of the parts, not their pictures.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from agent.clock import parse_rfc3339
from agent.crypto import Secret
from agent.deliver.unseal import open_age
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.evidence.statement import PartFacts
from agent.opening.clip_boxes import BoxedMovie, take_apart
from agent.opening.collect import CollectedClip
from agent.opening.joining import JoinPlan, OpenedPart, held_back, plan_movies
from agent.opening.meter import Meter

HEAD_BYTES_MAX: Final = 16 * 1024 * 1024  # of a part's tables, before its pictures: those of 200,000 of each have 9
_MDAT_HEADER_BYTES: Final = 16


class ClearParts(Protocol):
    """Parts that can be read in the clear."""

    def clear(self, number: int) -> AbstractContextManager[Iterator[bytes]]:
        """Read a part's bytes; they are known to be good when the context ends without an error."""


@dataclass(frozen=True, slots=True)
class Video:
    """A finished video."""

    path: Path
    parts: tuple[str, ...]  # names of the parts it is made of, in order
    sha256: str  # hex digest of the file


def open_videos(clip: CollectedClip, identities: Sequence[Secret], output: Path, meter: Meter) -> list[Video]:
    """Decrypt and join the clip's parts into `output`, or `NAME.000.mp4`, `NAME.001.mp4` ... if they need several.

    Raises BadInputError if a part is not sealed to an identity or was changed meanwhile, ConfigurationError if a name
    is taken, UnavailableError if a disk fails.
    """
    opener = _Opener(clip, identities, meter)
    plans = plan_movies(held_back(opener.boxes(part) for part in clip.parts))
    names = _output_names(output, len(plans))
    videos = []
    with ExitStack() as unfinished:
        written = [unfinished.enter_context(_unfinished(output, plan, opener)) for plan in plans]
        for plan, (temporary, sha256), final in zip(plans, written, names, strict=True):
            if final.exists():  # since it was looked for: decrypting takes its time
                raise _taken(final)
            temporary.rename(final)
            numbers = (plan,) if isinstance(plan, int) else plan.numbers
            videos.append(Video(final, tuple(clip.parts[number].name for number in numbers), sha256))
    meter.finish()
    return videos


class _Opener:
    """Decrypts the parts of one clip, each as often as it is asked for."""

    def __init__(self, clip: CollectedClip, identities: Sequence[Secret], meter: Meter) -> None:
        self._clip, self._identities, self._meter = clip, identities, meter

    def boxes(self, part: PartFacts) -> OpenedPart:
        """Read what a part's tables say; a part whose tables cannot be read will stand alone."""
        with self._open(part) as reader:
            movie = _boxes(open_age(cast("BinaryIO", reader), *self._identities))
        if movie is not None and len(movie.video.samples) != part.pictures:
            raise BadInputError(f"{part.name} holds {len(movie.video.samples)} pictures, its hub says {part.pictures}")
        if movie is not None and any(sample.end > part.size for track in movie.tracks for sample in track.samples):
            movie = None
        return OpenedPart(movie, parse_rfc3339(part.first_picture) if part.first_picture else None)

    @contextmanager
    def clear(self, number: int) -> Iterator[Iterator[bytes]]:
        """Decrypt a part; whoever has read it to the end knows that it is what the hub signed."""
        part = self._clip.parts[number]
        clear = hashlib.sha256()
        with self._open(part) as reader:
            yield self._counted(open_age(cast("BinaryIO", reader), *self._identities), clear)
            if reader.digest.hexdigest() != part.sha256:
                raise BadInputError(f"{part.name} was changed while it was being opened")
            if clear.hexdigest() != part.clear_sha256:
                raise BadInputError(f"the video in {part.name} is another than the one that the hub signed")

    @contextmanager
    def _open(self, part: PartFacts) -> Iterator[_HashedReader]:
        try:
            with (self._clip.folder / part.name).open("rb") as file:
                yield _HashedReader(file)
        except OSError as error:
            raise UnavailableError(f"{part.name} cannot be opened into a video ({error.strerror})") from error

    def _counted(self, pieces: Iterator[bytes], clear: hashlib._Hash) -> Iterator[bytes]:
        for piece in pieces:
            clear.update(piece)
            self._meter.add(len(piece))
            yield piece


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


def _boxes(pieces: Iterator[bytes]) -> BoxedMovie | None:
    """Read a part's head, up to its first picture; None if it is none of ours."""
    head, at = bytearray(), 0
    for piece in pieces:
        head += piece
        while at + _MDAT_HEADER_BYTES <= len(head):
            size, kind, large = struct.unpack_from(">I4sQ", head, at)
            size = large if size == 1 else size
            if kind == b"mdat":
                try:
                    return take_apart(bytes(head), at + size)
                except BadInputError:
                    return None
            if size < 8:  # noqa: PLR2004 - a box has a size and a kind
                return None
            at += size
        if len(head) > HEAD_BYTES_MAX:
            return None
    return None


# --- writing


@contextmanager
def _unfinished(output: Path, plan: JoinPlan | int, opener: _Opener) -> Iterator[tuple[Path, str]]:
    """Write one video into a temporary file beside the output; it is gone afterwards unless it was renamed."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{output.name}.", suffix=".unfinished", dir=output.parent)
    except OSError as error:
        raise UnavailableError(f"{output.parent} cannot be written ({error.strerror})") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as video:
            if isinstance(plan, int):
                with opener.clear(plan) as pieces:
                    video.writelines(pieces)
            else:
                write_joined(plan, opener, video)
            video.flush()
            os.fsync(video.fileno())
            video.seek(0)
            sha256 = hashlib.file_digest(video, "sha256").hexdigest()
        yield temporary, sha256
    except OSError as error:
        raise UnavailableError(f"no video could be written into {output.parent} ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_joined(plan: JoinPlan, parts: ClearParts, video: BinaryIO) -> None:
    """Copy sample by sample, and write the head again once all sizes are known."""
    video.write(plan.head())
    at = [0, 0]
    for place, number in enumerate(plan.numbers):
        with parts.clear(number) as clear:
            source = _Forward(clear)
            for piece in plan.pieces[place]:
                payload = piece.content or source.take(piece.begin, piece.end)
                written = plan.rewritten(place, piece, payload)
                plan.sizes[piece.track][at[piece.track]] = len(written)
                at[piece.track] += 1
                video.write(written)
            source.finish()
    video.seek(0)
    video.write(plan.head())


class _Forward:
    """Bytes that come in order and are taken in order."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._held, self._at = pieces, bytearray(), 0

    def take(self, begin: int, end: int) -> bytes:
        """Return bytes `[begin, end)`; what is before them is gone then. Raises BadInputError if they are not there."""
        if begin < self._at:
            raise BadInputError("a part whose pictures lie over each other")
        while self._at + len(self._held) < end:
            skipped = min(begin - self._at, len(self._held))
            del self._held[:skipped]
            self._at += skipped
            piece = next(self._pieces, None)
            if piece is None:
                raise BadInputError("a part that ends before its last picture")
            self._held += piece
        taken = bytes(self._held[begin - self._at : end - self._at])
        del self._held[: end - self._at]
        self._at = end
        return taken

    def finish(self) -> None:
        """Read to the end: only then is the whole part known to be good."""
        for _ in self._pieces:
            pass


def _output_names(output: Path, count: int) -> list[Path]:
    """Name the videos; nothing that exists is overwritten."""
    stem = output.with_suffix("") if output.suffix == ".mp4" else output
    numbers = [""] if count == 1 else [f".{number:03d}" for number in range(count)]
    names = [stem.with_name(f"{stem.name}{number}.mp4") for number in numbers]
    if taken := [name for name in names if name.exists()]:
        raise _taken(taken[0])
    if not output.parent.is_dir():
        raise ConfigurationError(f"{output.parent} is not a folder", cure="make it, or choose another name")
    return names


def _taken(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} exists already", cure="choose another name, or move it away")
