"""A message in its circumstances with the answer the hub must give, and the tools to forge one thing in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.clock import SECOND_NS, WallTime
from agent.command.claims import COMMAND_TYP
from agent.demo.authority import pack_envelope
from agent.signing import SigningKey, thumbprint
from tests.vectors.command.scene import (
    AUTHORITY,
    NOW,
    UPLOAD,
    claims,
    fixed_key,
    message,
    params,
    trust_claims,
)

IAT = NOW // SECOND_NS
SCOPE = {"actions": ["clip.upload"]}


@dataclass(frozen=True)
class Case:
    """A message and the circumstances it comes in; `expect` is `verified` or the reason of the refusal."""

    about: str
    expect: str
    message: bytes
    spaces: int = 0  # blanks to append to the message: keeps a vector about size small
    now: WallTime = NOW
    is_clock_trusted: bool = True
    trust: dict[str, Any] = field(default_factory=trust_claims)

    @property
    def raw(self) -> bytes:
        """What the broker hands over."""
        return self.message + b" " * self.spaces


def issuer_grant(**more: Any) -> str:  # noqa: ANN401 - any claim
    """Sign the grant root -> issuer."""
    return AUTHORITY.grant(NOW, by=AUTHORITY.roots[0], to=AUTHORITY.issuer, role="issuer", **more)


def officer_grant(by: SigningKey | None = None, role: str = "officer", **more: Any) -> str:  # noqa: ANN401 - any claim
    """Sign the grant issuer -> officer."""
    return AUTHORITY.grant(NOW, by=by or AUTHORITY.issuer, to=AUTHORITY.officer, role=role, **more)


def after(seconds: float) -> WallTime:
    """Return the time some seconds after the command was issued."""
    return WallTime(NOW + int(seconds * SECOND_NS))


def raw_jws(header: dict[str, object], payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Build a compact JWS from parts that no honest library would put together."""
    encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=")  # noqa: E731 - one line, used often
    signed = encode(json.dumps(header).encode()) + b"." + encode(payload)
    return (signed + b"." + encode(sign(signed))).decode()


def envelope_with(command: str) -> bytes:
    """Pack any text as the command, with the true chain."""
    return pack_envelope(command, AUTHORITY.chain(NOW))


def commands(header: dict[str, object]) -> bytes:
    """Pack the true command, truly signed, under another JWS header."""
    private = fixed_officer()
    return envelope_with(raw_jws(header, json.dumps(claims()).encode(), private))


def fixed_officer() -> Callable[[bytes], bytes]:
    """Return the officer's raw Ed25519 signature function."""
    return fixed_key("officer").private_key.sign  # type: ignore[union-attr, return-value] # it is Ed25519


HEADER: dict[str, object] = {"alg": "Ed25519", "typ": COMMAND_TYP, "kid": thumbprint(AUTHORITY.officer)}


def with_upload(**changed: str) -> bytes:
    """Sign a command with another upload target."""
    return message(claims(params=params(upload={**UPLOAD, **changed})))


def with_params(**changed: object) -> bytes:
    """Sign a command with other params."""
    return message(claims(params=params(**changed)))
