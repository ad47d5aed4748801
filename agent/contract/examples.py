"""One incident as messages: what goes over each topic and comes back, signed by keys that everybody knows.

Rules of this file: fixed keys, fixed times, so the same bytes at every run; each is one that a hub takes or says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.acquire.stream import CameraId
from agent.clip_job import CameraProgress, JobState, Status
from agent.clock import SECOND_NS, Instant, WallTime, Window, parse_rfc3339, rfc3339
from agent.command.envelope import Audience
from agent.command.request import RefusalReason
from agent.command.signed_time import NONCE_BYTES, TimeExchange
from agent.contract.asyncapi import TALKS
from agent.conversation import Topics
from agent.crypto import sha256_hex
from agent.deliver.part import Receipt
from agent.deliver.receipt import sign_receipt
from agent.demo.authority import Authority, Owner, clip_params, command_of, sharing_claims, upload_params
from agent.demo.witness import LogWitness
from agent.evidence.audit import Checkpoint, encode_entry, make_entry, sign_checkpoint
from agent.evidence.kinds import Kind
from agent.evidence.merkle import inclusion_proof, leaf_hash, root_of
from agent.evidence.note import verifier_of
from agent.evidence.proof import write_proof, write_witness_request
from agent.health.presence import CameraPresence, Presence
from agent.signing import SigningKey, key_from_jwk, public_jwk
from provisioning.pairing import make_statement
from provisioning.secret import Secret

NOW: Final = parse_rfc3339("2026-11-22T14:00:00Z")
HUB: Final = "01JD3Q7Z8X5M2K9P4R6T8V0W1Y"
COMMAND: Final = "01JD3QAZK4T9Z1V6Y8W3X5A001"
FRONT: Final = CameraId("front")
VAULT: Final = "age1" + "q" * 58


@dataclass(frozen=True, slots=True)
class Example:
    """One message; `payload` is exactly what goes over the wire."""

    name: str
    about: str
    channel: str  # of asyncapi.json; empty: over HTTPS, or a file
    payload: str

    def written(self) -> dict[str, Any]:
        """Return what the example's file says; the claims of signed statements stand beside them, to be read."""
        written: dict[str, Any] = {"about": self.about}
        if self.channel:
            topic = str(vars(Topics(HUB))[self.channel])
            topic += f"/{_witness().public.key_id.hex()}" if self.channel == "to_witness" else ""
            written |= {"channel": self.channel, "topic": topic, "retained": TALKS[self.channel].is_retained}
        return written | {"payload": self.payload} | _decoded(self.payload)


def fixed_key(name: str) -> SigningKey:
    """Make the Ed25519 key that belongs to a name."""
    key = _fixed(name)
    members = {"x": key.public_key().public_bytes_raw(), "d": key.private_bytes_raw()}
    return key_from_jwk({"kty": "OKP", "crv": "Ed25519", **{part: _base64url(raw) for part, raw in members.items()}})


def _fixed(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"transom example key " + name.encode()).digest())


def examples() -> list[Example]:
    """Return all of them, in the order in which they happen."""
    return [*_documents(), *_command(), *_statuses(), *_log()]


def authority() -> Authority:
    """Return the agency of the examples."""
    return Authority(
        roots=(fixed_key("root 1"), fixed_key("root 2")),
        issuer=fixed_key("issuer"),
        officer=fixed_key("officer"),
        store=fixed_key("store"),
        clock=fixed_key("clock"),
    )


def _documents() -> Iterator[Example]:
    agency, owner = authority(), Owner(HUB, fixed_key("owner"))
    enrolment, card = hashlib.sha256(b"enrolment").digest(), Secret(bytes(range(16)))
    yield Example("state-new", "An enrolled hub without an owner.", "state", _json(_presence(is_paired=False)))
    statement = make_statement(dict(public_jwk(owner.key)), HUB, card, enrolment)
    yield Example(
        "pairing", "The owner's app, after the card was scanned and the button pressed.", "pairing", statement.decode()
    )
    claims = agency.trust_claims(
        NOW,
        recipients={"vault-2026q4": VAULT},
        upload_hosts=["evidence.example"],
        witnesses=[str(_witness())],
        time_keys=[public_jwk(agency.clock)],
    )
    yield Example("trust", "Signed by both roots.", "trust", agency.trust_bundle(claims).decode())
    question = TimeExchange().ask(hashlib.sha256(b"nonce").digest()[:NONCE_BYTES], Instant(0), Audience(HUB, 3))
    yield Example("time-request", "NTP does not reach this hub: it asks.", "time_request", question.decode())
    yield Example("time", "The server's answer.", "time", agency.signed_time(NOW, question))
    shared = sharing_claims(agency, [FRONT], incident_types=["alarm.burglary"], mode="ask_first")
    yield Example(
        "policy", "The owner shares one camera, and is asked each time.", "policy", owner.policy(NOW, 1, **shared)
    )
    yield Example("state-paired", "The same hub, recording.", "state", _json(_presence(is_paired=True)))
    yield Example("state-offline", "Its Last Will.", "state", _json(Presence(state="offline", boot=7)))


def _command() -> Iterator[Example]:
    agency, owner, audience = authority(), Owner(HUB, fixed_key("owner")), Audience(HUB, 3)
    window = Window(WallTime(NOW - 600 * SECOND_NS), WallTime(NOW - 300 * SECOND_NS))
    upload = upload_params("https://evidence.example/files/", "https://evidence.example/receipts/", "upload-token")
    params = clip_params(window, recipients=["vault-2026q4"], upload=upload, cameras=[FRONT])
    envelope = agency.clip_upload(NOW, audience, COMMAND, params)
    yield Example(
        "command-clip-upload", "An officer asks for five minutes of one camera.", "command", envelope.decode()
    )
    ping = agency.ping(NOW, audience, "01JD3QAZK4T9Z1V6Y8W3X5A002")
    yield Example("command-hub-ping", "Is the hub there?", "command", ping.decode())
    digest = sha256_hex(command_of(envelope).encode())
    for decision in ("yes", "no"):
        answer = owner.answer(WallTime(NOW + 60 * SECOND_NS), digest, decision)
        yield Example(f"answer-{decision}", f"The owner says {decision} to this command.", "answer", answer)
    held = Receipt(f"{COMMAND}.{FRONT}.0000", 123_456, "ab" * 32, WallTime(NOW + 90 * SECOND_NS), token="")
    yield Example("receipt", "The store holds the first part.", "", sign_receipt(held, HUB, agency.store))


def _statuses() -> Iterator[Example]:
    at = rfc3339(WallTime(NOW + SECOND_NS))
    until = rfc3339(WallTime(NOW - 300 * SECOND_NS))
    there = (CameraProgress(FRONT, 2, 7500, until),)
    special = {
        JobState.AWAITING_OWNER: Status(COMMAND, JobState.AWAITING_OWNER, at, answer_by="2026-11-22T15:00:01Z"),
        JobState.IN_PROGRESS: Status(COMMAND, JobState.IN_PROGRESS, at, cameras=there),
        JobState.SUCCEEDED: Status(COMMAND, JobState.SUCCEEDED, at, cameras=there),
        JobState.PARTIAL: Status(COMMAND, JobState.PARTIAL, at, detail="1.200 s missing", cameras=there),
        JobState.REJECTED: Status(COMMAND, JobState.REJECTED, at, RefusalReason.OWNER_DECLINED),
    }
    for state in JobState:
        status = special.get(state, Status(COMMAND, state, at))
        name = state.value.lower().replace("_", "-")
        yield Example(f"status-{name}", f"The command is {state.value}.", "status", _json(status))


def _log() -> Iterator[Example]:
    key, witness = _fixed("evidence"), _witness()
    told = [
        (Kind.STARTED, "", {"boot": 7}),
        (Kind.COMMAND, COMMAND, {"incident": "2026-0042-1"}),
        (Kind.JOB, COMMAND, {}),
    ]
    lines = [encode_entry(make_entry(NOW, kind, ref, detail)) for kind, ref, detail in told]  # type: ignore[arg-type] # both kinds of values
    leaves = [leaf_hash(line) for line in lines]
    note = sign_checkpoint(Checkpoint(HUB, len(leaves), root_of(leaves)), key)
    request = write_witness_request(0, [], note)
    cosigned = witness.cosign(request, verifier_of(HUB, key), NOW)
    yield Example("checkpoint", "The audit log has three entries.", "checkpoint", note)
    yield Example("witness-request", "A witness that has seen nothing yet is asked.", "to_witness", request)
    yield Example("cosigned", "The witness has cosigned.", "cosigned", cosigned)
    proof = write_proof(lines[1], 1, inclusion_proof(leaves, 1), cosigned)
    yield Example("proof", "The command is in the log: a file for others.", "", proof)


def _witness() -> LogWitness:
    return LogWitness("witness.example/w1", _fixed("witness"))


def _presence(*, is_paired: bool) -> Presence:
    return Presence(
        state="online",
        boot=7,
        version="0.1.0",
        is_paired=is_paired,
        pairing="" if is_paired else _base64url(hashlib.sha256(b"enrolment").digest()),
        policy_version=1 if is_paired else 0,
        evidence_key=str(verifier_of(HUB, _fixed("evidence"))),
        certificate_ends="2027-02-20T14:00:00Z",
        cameras=(CameraPresence(FRONT, "Front door", "recording", footage_min=4320, covered_min=60),),
    )


def _decoded(payload: str) -> dict[str, Any]:
    """Read the claims inside a payload, for people."""
    if not payload.startswith("{"):
        return {"claims": _claims(payload)} if payload.count(".") == 2 and "\n" not in payload else {}  # noqa: PLR2004 - a JWS has three parts
    message = json.loads(payload)
    if "cmd" in message:
        return {"claims": {"cmd": _claims(message["cmd"]), "chain": [_claims(grant) for grant in message["chain"]]}}
    return {"claims": _claims(f".{message['payload']}.")} if "payload" in message else {}


def _claims(token: str) -> Any:  # noqa: ANN401 - any claims
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
