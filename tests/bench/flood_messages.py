"""What somebody who owns the broker might send a hub: messages of every bad sort, none of which it may obey.

Rules of this file: whoever reads the broker has good commands and good chains of grants, and can send them again; the
officers' keys he has not.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agent.clock import SECOND_NS, WallTime
from agent.command.statement import unverified_claims
from agent.command.trust import TRUST_TYP
from agent.consent.policy import ANSWER_TYP, POLICY_TYP
from agent.crypto import canonical_json
from agent.demo.authority import Authority, pack_envelope, sign_claims
from agent.demo.broker import PACKET_BYTES_MAX
from agent.signing import generate_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.command.envelope import Audience

Message = tuple[str, bytes]
"""The last word of a topic of the hub's, and the payload."""

ROUND: Final = 100
DAY_NS: Final = 24 * 3600 * SECOND_NS
ENVELOPE_BYTES: Final = 60_000  # near the limit of what is parsed
SHARES: Final = {
    "forged": 30,
    "malformed": 15,
    "replayed": 15,
    "expired": 10,
    "long": 5,
    "oversized": 2,
    "policy": 7,
    "trust": 5,
    "answer": 5,
    "pair": 2,
    "witness": 2,
    "unknown": 2,
}
"""How many of each sort are in a round."""


def bad_messages(authority: Authority, audience: Audience, now: WallTime, seen: bytes) -> list[Message]:
    """Make a round of messages in a random order, always the same; `seen` is a good command that was executed."""
    makers = _makers(authority, audience, now, seen)
    messages = [makers[sort](number) for sort, share in SHARES.items() for number in range(share)]
    random.Random(1).shuffle(messages)  # noqa: S311 - an order, no secret
    return messages


def _makers(
    authority: Authority, audience: Audience, now: WallTime, seen: bytes
) -> dict[str, Callable[[int], Message]]:
    known, mallory = json.loads(seen), generate_signing_key("P-256")
    params: dict[str, Any] = msgspec.convert(unverified_claims(known["cmd"])["params"], dict[str, Any])
    drawn = random.Random(2)  # noqa: S311 - rubbish, no secret

    def forged(number: int) -> Message:
        claims = authority.command_claims(now, audience, f"forged-{number}", action="clip.upload", params=params)
        signed = authority.sign_command(claims, key=mallory if number % 2 else None)
        vouched = signed if number % 2 else f"{signed.rpartition('.')[0]}.{known['cmd'].rpartition('.')[2]}"
        return "cmd", pack_envelope(vouched, known["chain"])

    def malformed(number: int) -> Message:
        return "cmd", (drawn.randbytes(300), seen[: len(seen) // 2], b"[" * 2000, b'{"cmd":"a.b.c"}', b"")[number % 5]

    def expired(number: int) -> Message:
        return "cmd", authority.clip_upload(WallTime(now - DAY_NS), audience, f"expired-{number}", params)

    def statement(topic: str, typ: str) -> Callable[[int], Message]:
        return lambda number: (topic, sign_claims({"hub": audience.hub, "version": number}, mallory, typ).encode())

    def trust(number: int) -> Message:
        claims = authority.trust_claims(now, recipients={}, upload_hosts=["evil.example"], version=2 + number)
        return "trust", authority.trust_bundle(claims, signers=[mallory] * len(authority.roots))

    return {
        "forged": forged,
        "malformed": malformed,
        "replayed": lambda _: ("cmd", seen),
        "expired": expired,
        "long": lambda _: ("cmd", canonical_json({**known, "cmd": "a" * ENVELOPE_BYTES})),
        "oversized": lambda _: ("cmd", drawn.randbytes(PACKET_BYTES_MAX - 200)),
        "policy": statement("policy", POLICY_TYP),
        "trust": trust,
        "answer": statement("answer", ANSWER_TYP),
        "pair": statement("pair", TRUST_TYP),
        "witness": lambda number: ("witness", b"hub\n%d\nAAAA\n\n" % number),
        "unknown": lambda number: (f"evt/{number}", drawn.randbytes(300)),
    }
