"""Write the manifests' vectors: `python -m tests.vectors.evidence.make`. Same key, same bytes every run."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.crypto import canonical_json
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.evidence.dsse import seal_envelope
from agent.evidence.manifest import ClipFacts, build_manifest
from agent.evidence.note import verifier_of
from agent.evidence.statement import PAYLOAD_TYPE
from tests.simulators.clip_folder import CAMERA, HUB, granted, report

FOLDER: Final = Path(__file__).parent
SEED: Final = bytes(range(32))
KEY: Final = Ed25519PrivateKey.from_private_bytes(SEED)
OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes(32))
Statement = dict[str, Any]


@dataclass(frozen=True)
class Vector:
    """An envelope, and the word of the refusal, if it must be refused."""

    name: str
    envelope: bytes
    failure: str = ""


def facts(hub: str = HUB) -> ClipFacts:
    """Make the facts of a clip of one part, with a gap."""
    part = SealedPart("01JDCOMMAND.front.0000", Path("x"), 1000, "ab" * 32, MEDIA_TYPE_CLIP)
    made = [(part, report(gap="the camera was away"))]
    return ClipFacts(hub, granted(), CAMERA, "Front door", made, (), (812, "ee" * 32), "0.1.0")


def signed(change: Callable[[Statement], object], payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Sign a statement in which one thing was changed."""
    statement = json.loads(base64.b64decode(json.loads(build_manifest(facts(), KEY))["payload"]))
    change(statement)
    return seal_envelope(canonical_json(statement), payload_type, HUB, KEY)


def flipped() -> bytes:
    """Change one letter of a signed envelope."""
    envelope = json.loads(build_manifest(facts(), KEY))
    payload = base64.b64decode(envelope["payload"]).replace(b"Officer 4711", b"Officer 4712")
    return canonical_json({**envelope, "payload": base64.b64encode(payload).decode()})


def vectors() -> list[Vector]:
    """Return all of them."""

    def part(**changed: object) -> Callable[[Statement], object]:
        return lambda statement: statement["predicate"]["parts"][0].update(changed)

    def rename(statement: Statement) -> None:
        statement["subject"][0]["name"] = statement["predicate"]["parts"][0]["name"] = "../x.mp4.age"

    return [
        Vector("valid", build_manifest(facts(), KEY)),
        Vector("another_key", build_manifest(facts(), OTHER), "did not sign it"),
        Vector("flipped_bit", flipped(), "was changed"),
        Vector("another_payload_type", signed(lambda _: None, "application/json"), "something else"),
        Vector(
            "older_predicate", signed(lambda s: s.update(predicateType="https://transom.example/clip/v1")), "version"
        ),
        Vector(
            "newer_predicate", signed(lambda s: s.update(predicateType="https://transom.example/clip/v3")), "version"
        ),
        Vector("another_hub", signed(lambda s: s["predicate"].update(hub="hub-2")), "hub-1 signed it"),
        Vector("subject_missing", signed(lambda s: s.update(subject=[])), "differ"),
        Vector("path_in_name", signed(rename), "not a clip's manifest"),
        Vector("unknown_field", signed(part(thumbnail="x")), "not a clip's manifest"),
        Vector(
            "clear_digest_missing", signed(lambda s: s["predicate"]["parts"][0].pop("clear_sha256")), "not a clip's"
        ),
        Vector("clear_digest_malformed", signed(part(clear_sha256="CA" * 32)), "not a clip's manifest"),
        Vector(
            "gap_backwards", signed(lambda s: s["predicate"]["gaps"][0].update(end="2026-11-18T11:06:43Z")), "window"
        ),
    ]


def text() -> str:
    """Return the file."""
    rows = [
        {"name": one.name, "expect": "failure" if one.failure else "success"}
        | ({"failure": one.failure} if one.failure else {})
        | {"envelope": one.envelope.decode()}
        for one in vectors()
    ]
    made = {"seed": SEED.hex(), "key": str(verifier_of(HUB, KEY)), "vectors": rows}
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "manifest.json").write_text(text())
