"""A hub's finished clip as it lies in the store: sealed parts and their signed manifest, in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from agent.acquire.stream import CameraId
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.request import Incident, Recipient, UploadTarget, VerifiedCommand
from agent.consent.grant import Granted
from agent.crypto import Secret
from agent.cut.clip import ClipReport, Gap, PictureRun
from agent.deliver.age import generate_identity
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.seal import AgeWriter
from agent.evidence.manifest import ClipFacts, build_manifest, part_file_name

HUB = "hub-1"
CAMERA = CameraId("front")
T0 = WallTime(1_795_000_000 * SECOND_NS)


def moment(seconds: float) -> WallTime:
    """Return a time some seconds after the window's start."""
    return WallTime(T0 + int(seconds * SECOND_NS))


def granted(recipient: str = "age1-not-looked-at") -> Granted:
    """Make the hub's yes to a command for 30 seconds of one camera."""
    window = Window(T0, moment(30))
    command = VerifiedCommand(
        id="01JDCOMMAND",
        sha256="cd" * 32,
        signer="thumbprint",
        subject="Officer 4711",
        role="officer",
        agency="Example Police",
        root="root",
        action="clip.upload",
        issued=moment(60),
        expires=moment(3600),
        incident=Incident("2026-118", "burglary", moment(10)),
        window=window,
        cameras=(CAMERA,),
        recipients=(Recipient("vault-2026q4", recipient),),
        upload=UploadTarget("https://store.example/files", "https://store.example/receipts", Secret("x")),
        basis="consent",
        reason="broken shop window",
    )
    return Granted(command, (CAMERA,), window, 7, "ef" * 32, "opt_in", {})


def report(number: int = 0, *, gap: str = "", clear_sha256: str = "ca" * 32) -> ClipReport:
    """Make the report of a ten-second part."""
    start = 10 * number
    gaps = (Gap(moment(start + 4), moment(start + 5), gap),) if gap else ()
    return ClipReport(
        pictures=100,
        copied=97,
        reencoded=3,
        first_picture=moment(start),
        last_picture=moment(start + 9.9),
        width=1920,
        height=1080,
        codec="h264",
        gaps=gaps,
        error_ns=4_000_000 + number,
        source="sr" if number else "sr+onvif",
        reencoded_at=(PictureRun(moment(start), moment(start + 0.2), 3),),
        clear_sha256=clear_sha256,
    )


@dataclass
class ClipFolder:
    """A clip's folder with the keys to make it and to open it."""

    folder: Path
    hub_key: Ed25519PrivateKey
    identity: Path
    contents: list[bytes]
    facts: ClipFacts

    @property
    def manifest(self) -> Path:
        """Where the manifest lies."""
        return self.folder / f"01JDCOMMAND.{CAMERA}.manifest.json"

    def part(self, number: int) -> Path:
        """Where a part lies."""
        return self.folder / f"01JDCOMMAND.{CAMERA}.{number:04d}.mp4.age"

    def sign(self, facts: ClipFacts | None = None, key: Ed25519PrivateKey | None = None) -> None:
        """Write the manifest (again)."""
        self.manifest.write_bytes(build_manifest(facts or self.facts, key or self.hub_key))


def make_clip(
    folder: Path,
    contents: Sequence[bytes],
    reports: Sequence[ClipReport] | None = None,
    *,
    is_post_quantum: bool = False,
) -> ClipFolder:
    """Seal `contents` as the parts of one clip into a new folder, with the officer's identity file beside it.

    `reports` are what the cutter says of them; without, they are ten-second parts of a form that nobody knows.
    """
    folder.mkdir()
    identity, recipient = generate_identity(is_post_quantum=is_post_quantum)
    identity_file = folder.parent / f"{folder.name}.key"
    identity_file.write_bytes(b"# an officer's key\n" + identity.reveal() + b"\n")
    parts = []
    for number, content in enumerate(contents):
        part_id = f"01JDCOMMAND.{CAMERA}.{number:04d}"
        path = folder / part_file_name(part_id)
        with path.open("wb") as file:
            writer = AgeWriter([recipient], file.write)
            writer.write(content)
            sealed = writer.finish()
        told = reports[number] if reports else report(number)
        told = structs.replace(told, clear_sha256=sealed.clear_sha256)
        parts.append((SealedPart(part_id, path, sealed.size, sealed.sha256, MEDIA_TYPE_CLIP), told))
    facts = ClipFacts(
        hub=HUB,
        grant=granted(recipient),
        camera=CAMERA,
        camera_name="Front door",
        parts=parts,
        empty=(),
        audit=(812, hashlib.sha256(b"log").hexdigest()),
        software="0.1.0",
    )
    clip = ClipFolder(folder, Ed25519PrivateKey.generate(), identity_file, list(contents), facts)
    clip.sign()
    return clip


def with_gap(facts: ClipFacts, why: str) -> ClipFacts:
    """Return the facts with a gap in the first part."""
    first, *rest = facts.parts
    return replace(facts, parts=[(first[0], report(gap=why, clear_sha256=first[1].clear_sha256)), *rest])
