"""One incident with fixed keys and times, true in every detail, so that a forgery can change exactly one of them."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.command.envelope import Audience
from agent.demo.authority import Authority, Owner, clip_params, pack_envelope, upload_params
from agent.signing import SigningKey, key_from_jwk

NOW = parse_rfc3339("2026-11-22T14:00:00Z")
AUDIENCE = Audience("hub-7Q2M", 3)
COMMAND_ID = "01JD3QAZK4T9Z1V6Y8W3X5A001"
WINDOW = Window(WallTime(NOW - 600 * SECOND_NS), WallTime(NOW - 300 * SECOND_NS))
VAULT = "age1" + "q" * 58
QUANTUM_VAULT = "age1pq1" + "q" * 1952
UPLOAD = upload_params("https://evidence.example/files/", "https://evidence.example/receipts/", "fixed-token")


def fixed_key(name: str) -> SigningKey:
    """Make the Ed25519 key that belongs to a name: the same one each time, and secret to nobody."""
    seed = hashlib.sha256(b"transom test key " + name.encode()).digest()
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=").decode()  # noqa: E731 - one line, used twice
    return key_from_jwk({"kty": "OKP", "crv": "Ed25519", "x": encode(public), "d": encode(seed)})


AUTHORITY = Authority(
    roots=(fixed_key("root 1"), fixed_key("root 2")),
    issuer=fixed_key("issuer"),
    officer=fixed_key("officer"),
    store=fixed_key("store"),
)
OWNER = Owner(AUDIENCE.hub, fixed_key("owner"))
MALLORY = fixed_key("mallory")


def trust_claims(**claims: object) -> dict[str, Any]:
    """Write the scene's trust bundle."""
    recipients = {"vault": VAULT, "vault-pq": QUANTUM_VAULT}
    hosts = ["evidence.example", "127.0.0.1:8443"]
    return {**AUTHORITY.trust_claims(NOW, recipients=recipients, upload_hosts=hosts), **claims}


def params(**changed: object) -> dict[str, Any]:
    """Write the scene's `clip.upload`."""
    return {**clip_params(WINDOW, recipients=["vault"], upload=UPLOAD, cameras=["front", "back"]), **changed}


def claims(**changed: object) -> dict[str, Any]:
    """Write the scene's command."""
    return {
        **AUTHORITY.command_claims(NOW, AUDIENCE, COMMAND_ID, action="clip.upload", params=params()),
        **changed,
    }


def message(command: dict[str, Any] | None = None, chain: tuple[str, ...] | None = None, **more: object) -> bytes:
    """Sign and pack the scene's command, or a changed one."""
    return pack_envelope(AUTHORITY.sign_command(command or claims()), chain or AUTHORITY.chain(NOW), **more)
