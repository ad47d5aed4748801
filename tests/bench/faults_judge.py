"""What became of a command that met a fault: whether every clip is complete, byte-identical and there once.

Rules of this file: `judge` takes what was found and decides, `gather` finds it and decides nothing; nobody's word
counts that can be checked: files are hashed again, clips opened as an officer does and proven by the cameras' logs.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from agent.auditor import verify_audit
from agent.clip_job import JobState, Status
from agent.clock import SECOND_NS
from agent.demo.alarm import Alarm
from agent.demo.camera_log import read_log
from agent.demo.clip_proof import prove
from agent.demo.console import ENDS
from agent.errors import TransomError
from agent.evidence.audit import decode_entry
from agent.opener import open_clip
from tests.bench.faults_site import FaultSite
from tests.bench.faults_store import read_shelf

RECEIPT_SUFFIX: Final = ".receipt"


class Found(msgspec.Struct, frozen=True):
    """Everything about one command. Digests are SHA-256 in hex, by part."""

    told: tuple[Status, ...]  # what the hub said about it
    sealed: Mapping[str, str]  # by the audit log, the newest of each part
    receipted: Mapping[str, str]  # likewise
    stored: Mapping[str, tuple[str, ...]]  # every time the store had it whole
    files: Mapping[str, str]  # at the store, hashed again
    in_manifest: Mapping[str, str]
    proofs: Mapping[str, str]  # by camera: what is wrong with its clip; empty: proven to the last byte
    litter: tuple[str, ...]  # at the store after what is unfinished has expired, and in the outbox
    audit_fault: str
    last_receipt_s: float | None  # from the command's publication


class Judgement(msgspec.Struct, frozen=True):
    """The three words of the table, and why not."""

    is_complete: bool
    is_identical: bool
    is_once: bool
    faults: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether all three hold."""
        return self.is_complete and self.is_identical and self.is_once


def judge(found: Found, cameras: int) -> Judgement:
    """Decide."""
    ends = {(one.status, one.at) for one in found.told if one.status in ENDS and one.reason is None}
    incomplete = [f"{name}: {wrong}" for name, wrong in found.proofs.items() if wrong]
    if [state for state, _ in ends] != [JobState.SUCCEEDED]:
        incomplete.append(f"ended as {sorted(ends) or 'nothing'}")
    if len(found.proofs) != cameras:
        incomplete.append(f"{len(found.proofs)} clips of {cameras} cameras")
    if not found.sealed:
        incomplete.append("nothing was sealed")
    different = [
        f"{part}: {what}"
        for part, digest in found.sealed.items()
        for what, other in (
            ("another content at the store", found.files.get(part)),
            ("a receipt for another content", found.receipted.get(part)),
            ("another content in the manifest", found.in_manifest.get(part)),
        )
        if other != digest
    ]
    different += [f"{part}: several contents" for part, digests in found.stored.items() if len(set(digests)) > 1]
    several = [
        f"{part}: {len(digests)} times at the store" for part, digests in found.stored.items() if len(digests) > 1
    ]
    unexplained = found.files.keys() - found.sealed.keys()
    several += [f"{part}: never sealed" for part in unexplained if not part.endswith(".manifest")]
    several += [f"left behind: {name}" for name in found.litter]
    if found.audit_fault:
        incomplete.append(f"audit log: {found.audit_fault}")
    return Judgement(not incomplete, not different, not several, (*incomplete, *different, *several))


def gather(site: FaultSite, alarm: Alarm, output: Path) -> Found:
    """Find it. What the store has of unfinished uploads expires first."""
    site.store.forget_unfinished()
    mine = [kept for kept in read_shelf(site.folder / "store").values() if kept.part.startswith(f"{alarm.id}.")]
    stored: dict[str, tuple[str, ...]] = {}
    for kept in mine:
        if kept.stored_at is not None:
            stored[kept.part] = (*stored.get(kept.part, ()), kept.sha256)
    times = [kept.receipted_at for kept in mine if kept.receipted_at is not None]
    files, litter = _files(site.folder / "store", alarm.id)
    sealed, receipted = _audited(site, alarm.id)
    in_manifest, proofs = _opened(site, alarm, output)
    left = tuple(path.name for path in (site.folder / "hub/data/outbox").iterdir())
    return Found(
        told=tuple(status for _, status in site.console.statuses if status.command == alarm.id),
        sealed=sealed,
        receipted=receipted,
        stored=stored,
        files=files,
        in_manifest=in_manifest,
        proofs=proofs,
        litter=(*litter, *left),
        audit_fault=_audit_fault(site),
        last_receipt_s=(max(times) - alarm.published) / SECOND_NS if times else None,
    )


def _files(store: Path, command: str) -> tuple[dict[str, str], list[str]]:
    files, litter = {}, []
    for path in store.glob(f"{command}.*/*"):
        name, suffix, rest = path.name.partition(".mp4.age")
        if not suffix:
            name, suffix, rest = path.name.partition(".json")
        if rest or not (suffix or path.name.endswith(RECEIPT_SUFFIX)):
            litter.append(path.name)
        elif suffix:
            files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files, litter


def _audited(site: FaultSite, command: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what was sealed and what has a receipt; a part without pictures has no file."""
    sealed: dict[str, str] = {}
    receipted: dict[str, str] = {}
    mark = command.encode()
    for line in (site.folder / "hub/data/audit/audit.jsonl").read_bytes().split(b"\n")[:-1]:
        entry = decode_entry(line) if mark in line else None
        if entry and entry.ref == command and entry.kind in {"sealed", "receipt"}:
            kind = sealed if entry.kind == "sealed" else receipted
            kind[str(entry.detail["part"])] = str(entry.detail["sha256"])
    return {part: digest for part, digest in sealed.items() if digest}, receipted


def _opened(site: FaultSite, alarm: Alarm, output: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Open every clip as the officer does; return what the manifests say of the parts, and what is wrong with clips."""
    in_manifest: dict[str, str] = {}
    proofs: dict[str, str] = {}
    output.mkdir()
    names = {str(camera.id): camera.name for camera in site.own(site.wait_cameras())}
    for folder in sorted((site.folder / "store").glob(f"{alarm.id}.*")):
        camera = folder.name.removeprefix(f"{alarm.id}.")
        video = output / f"{folder.name}.mp4"
        try:
            opened = open_clip(folder, site.folder / "officer" / "key.txt", video)
            in_manifest |= {part.name.removesuffix(".mp4.age"): part.sha256 for part in opened.manifest.parts}
            log = read_log(site.logs / f"camera-{names[camera].lower().replace(' ', '-')}.sent.jsonl")
            proof = prove([Path(file).read_bytes() for file in opened.files], log, alarm.window)
        except TransomError as error:
            proofs[camera] = str(error)
            continue
        wrong = [] if opened.is_whole_clip else ["parts are missing"]
        wrong += [f"no receipt for {word.part}" for word in opened.store if not word.is_checked]
        if not proof.is_exact:
            wrong.append(f"{len(proof.outside)} outside, {len(proof.missing)} missing, {'; '.join(proof.faults[:3])}")
        proofs[camera] = ", ".join(wrong)
    shutil.rmtree(output)
    return in_manifest, proofs


def _audit_fault(site: FaultSite) -> str:
    key = str(site.central.enrolments.evidence_keys[site.factory.hub_id])
    return verify_audit(site.folder / "hub/data/audit", key, [str(site.central.witness)]).fault
