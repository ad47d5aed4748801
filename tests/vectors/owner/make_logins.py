"""Write `logins.json`: login statements to a hub, each with the one thing that is wrong with it, or none.

python -m tests.vectors.owner.make_logins
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from agent.clock import Instant
from agent.command.envelope import Audience
from agent.consent.policy import ANSWER_TYP
from agent.crypto import Secret, canonical_json
from agent.demo.authority import seconds
from agent.owner.login import LOGIN_TYP, Nonces, audience_of
from agent.signing import SigningKey, key_from_jwk, public_jwk, sign_statement
from tests.vectors.command.scene import AUDIENCE, MALLORY, NOW, OWNER

PLACE: Final = Path(__file__).with_name("logins.json")
NONCE_KEY: Final = Secret(bytes(range(32)))
ORIGIN: Final = "https://192.168.1.20:8443"
BORN: Final = Instant(5_000_000_000)
NONCE: Final = Nonces(NONCE_KEY).make(BORN, bytes(16))
SIGNED_BY_P256: Final = "es256.txt"  # an ECDSA signature is another one each time: it was made once


def claims(**changed: object) -> dict[str, Any]:
    """Write a login that is true in every detail."""
    told = {"audience": audience_of(AUDIENCE, NONCE), "nonce": NONCE, "origin": ORIGIN}
    return {**told, "iat": seconds(NOW), "exp": seconds(NOW) + 120, **changed}


def signed(key: SigningKey = OWNER.key, typ: str = LOGIN_TYP, **changed: object) -> str:
    """Sign it."""
    return sign_statement(canonical_json(claims(**changed)), key, typ)


def p256_key() -> SigningKey:
    """Make the P-256 key that these vectors have."""
    secret = int.from_bytes(hashlib.sha256(b"transom test key owner on P-256").digest()) >> 1
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    octets = {"x": numbers.x.to_bytes(32), "y": numbers.y.to_bytes(32), "d": secret.to_bytes(32)}
    return key_from_jwk({"kty": "EC", "crv": "P-256", **{name: _base64url(part) for name, part in octets.items()}})


def cases() -> list[dict[str, Any]]:
    """Return all vectors."""
    good, now = signed(), seconds(NOW)
    other_pairing = audience_of(Audience(AUDIENCE.hub, AUDIENCE.epoch - 1), NONCE)
    other_hub = audience_of(Audience("hub-other", AUDIENCE.epoch), NONCE)
    strange = Nonces(Secret(bytes(32))).make(BORN, bytes(16))
    p256 = PLACE.with_name(SIGNED_BY_P256).read_text().strip()
    return [
        _case("good", good, ""),
        _case("good, by a P-256 key", p256, "", owner=p256_key()),
        _case("good after two minutes", good, "", nonce_age_s=120),
        _case("the clock is wrong and the hub knows it", good, "", hub_ahead_s=86_400, is_clock_trusted=False),
        _case("by another key", signed(MALLORY), "this is not the key"),
        _case("by the owner before", good, "this is not the key", owner=MALLORY),
        _case("a changed signature", good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), "this is not the key"),
        _case("another statement of the owner's", signed(typ=ANSWER_TYP), "this is not the key"),
        _case("to another hub", signed(audience=other_hub), "another hub"),
        _case("to the pairing before", signed(audience=other_pairing), "another hub"),
        _case("signed on another page", signed(origin="https://192.168.1.66:8443"), "another page"),
        _case("not yet", signed(iat=now + 61, exp=now + 120), "not in time"),
        _case("too late", signed(iat=now - 300, exp=now - 60), "not in time"),
        _case("good for too long", signed(exp=now + 301), "between 1 and 300 seconds"),
        _case("over before it begins", signed(exp=now), "between 1 and 300 seconds"),
        _case("the nonce is too old", good, "took too long", nonce_age_s=121),
        _case("the nonce was used", good, "used before", is_used=True),
        _case(
            "a nonce of another hub",
            signed(nonce=strange, audience=audience_of(AUDIENCE, strange)),
            "not this hub's",
        ),
        _case("a claim too many", signed(admin=True), "login"),
        _case("no nonce", signed(nonce=""), "login"),
    ]


def _case(  # noqa: PLR0913 - what a vector says, each by name
    name: str,
    token: str,
    refused: str,
    *,
    owner: SigningKey = OWNER.key,
    nonce_age_s: int = 3,
    hub_ahead_s: int = 0,
    is_clock_trusted: bool = True,
    is_used: bool = False,
) -> dict[str, Any]:
    return {
        "name": name,
        "login": token,
        "owner": public_jwk(owner),
        "hub": AUDIENCE.hub,
        "pairing_epoch": AUDIENCE.epoch,
        "origin": ORIGIN,
        "now": seconds(NOW) + hub_ahead_s,
        "nonce_age_s": nonce_age_s,
        "is_clock_trusted": is_clock_trusted,
        "is_nonce_used": is_used,
        "expect": "refused" if refused else "let in",
        "refused": refused,
    }


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


if __name__ == "__main__":
    PLACE.write_text(json.dumps(cases(), indent=1) + "\n")
