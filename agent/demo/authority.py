"""The other side, for trying it out and for tests: an agency that signs commands, and an owner who signs consent.

Rules of this file: times and keys are arguments; every statement takes `claims` overrides, so a test can forge one
thing and leave the rest true. Not for production: a real root is offline, a real officer's key is in a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.clock import SECOND_NS, WallTime, Window, rfc3339
from agent.command.claims import APPROVAL_TYP, COMMAND_TYP
from agent.command.envelope import Audience
from agent.command.grants import GRANT_TYP
from agent.command.parameters import SHAPES
from agent.command.signed_time import TIME_TYP
from agent.command.trust import TRUST_TYP
from agent.consent.policy import ANSWER_TYP, POLICY_TYP
from agent.crypto import canonical_json, sha256_hex
from agent.signing import SigningKey, generate_signing_key, public_jwk, sign_statement, thumbprint

Claims = Mapping[str, Any]

SHIFT_S: Final = 8 * 3600
YEAR_S: Final = 365 * 24 * 3600
COMMAND_S: Final = 15 * 60
ANSWER_S: Final = 10 * 60


def seconds(moment: WallTime) -> int:
    """Write a time as a NumericDate."""
    return moment // SECOND_NS


def window_claim(window: Window) -> dict[str, str]:
    """Write a window as its two RFC 3339 times."""
    return {"start": rfc3339(window.start), "end": rfc3339(window.end)}


def sign_claims(claims: Claims, key: SigningKey, typ: str) -> str:
    """Sign any claims as any type of statement."""
    return sign_statement(canonical_json(dict(claims)), key, typ)


def pack_envelope(command: str, chain: Sequence[str], **more: object) -> bytes:
    """Put a signed command and its chain into the MQTT payload."""
    return canonical_json({"v": 1, "cmd": command, "chain": list(chain), **more})


@dataclass(frozen=True)
class Authority:
    """An agency with its keys: roots (in real life offline), issuer, officer, store (receipts) and clock (times)."""

    roots: tuple[SigningKey, ...] = field(default_factory=lambda: (generate_signing_key(), generate_signing_key()))
    issuer: SigningKey = field(default_factory=generate_signing_key)
    officer: SigningKey = field(default_factory=lambda: generate_signing_key("P-256"))
    store: SigningKey = field(default_factory=lambda: generate_signing_key("P-256"))
    clock: SigningKey = field(default_factory=generate_signing_key)
    agency: str = "pd-0042"
    name: str = "Riverside Police"

    def trust_claims(
        self, now: WallTime, *, recipients: Mapping[str, str], upload_hosts: Sequence[str], **claims: object
    ) -> dict[str, Any]:
        """Write a trust bundle's claims: a week long, `recipients` as id -> `age1...`."""
        issued = seconds(now)
        dates = {"nbf": issued, "exp": issued + YEAR_S}
        return {
            "agency": {"id": self.agency, "name": self.name},
            "version": 1,
            "iat": issued,
            "exp": issued + 7 * 24 * 3600,
            "roots": [public_jwk(key) for key in self.roots],
            "threshold": len(self.roots),
            "recipients": [{"id": name, "age": age, **dates} for name, age in recipients.items()],
            "upload_hosts": list(upload_hosts),
            "store_keys": [public_jwk(self.store)],
            **claims,
        }

    def trust_bundle(self, claims: Claims, *, signers: Sequence[SigningKey] | None = None) -> bytes:
        """Sign a trust bundle, by all roots unless told otherwise."""
        signed = [sign_claims(claims, key, TRUST_TYP).split(".") for key in signers or self.roots]
        return canonical_json(
            {
                "payload": signed[0][1],
                "signatures": [{"protected": protected, "signature": signature} for protected, _, signature in signed],
            },
        )

    def grant(
        self,
        now: WallTime,
        *,
        by: SigningKey,
        to: SigningKey,
        role: str,
        scope: Claims | None = None,
        **claims: object,
    ) -> str:
        """Let `to` act as `role` within `scope` for a shift, in the name of `by`."""
        issued = seconds(now)
        written = {
            "iss": thumbprint(by),
            "sub": f"{role}:1",
            "jti": f"grant-{role}-{thumbprint(to)[:8].replace('-', 'a').replace('_', 'b')}",
            "iat": issued,
            "nbf": issued,
            "exp": issued + SHIFT_S,
            "cnf": {"jwk": public_jwk(to)},
            "role": role,
            "scope": {"actions": sorted(SHAPES)} if scope is None else dict(scope),
        }
        return sign_claims({**written, **claims}, by, GRANT_TYP)

    def chain(self, now: WallTime, *, role: str = "officer", to: SigningKey | None = None) -> tuple[str, str]:
        """Grant root -> issuer -> `role`, whose key is the officer's unless told otherwise."""
        return (
            self.grant(now, by=self.roots[0], to=self.issuer, role="issuer"),
            self.grant(now, by=self.issuer, to=to or self.officer, role=role),
        )

    def command_claims(
        self, now: WallTime, audience: Audience, command_id: str, *, action: str, params: Claims, **claims: object
    ) -> dict[str, Any]:
        """Write a command's claims in the officer's name, valid for a quarter of an hour."""
        issued = seconds(now)
        return {
            "iss": thumbprint(self.officer),
            "sub": "officer:1",
            "aud": audience.claim,
            "jti": command_id,
            "iat": issued,
            "exp": issued + COMMAND_S,
            "action": action,
            "params": dict(params),
            **claims,
        }

    def sign_command(self, claims: Claims, *, key: SigningKey | None = None, typ: str = COMMAND_TYP) -> str:
        """Sign a command's claims by the officer's key unless told otherwise."""
        return sign_claims(claims, key or self.officer, typ)

    def clip_upload(
        self, now: WallTime, audience: Audience, command_id: str, params: Claims, **claims: object
    ) -> bytes:
        """Make the whole message of a `clip.upload`; `params` come from `clip_params`."""
        written = self.command_claims(now, audience, command_id, action="clip.upload", params=params, **claims)
        return pack_envelope(self.sign_command(written), self.chain(now))

    def order(
        self,
        now: WallTime,
        audience: Audience,
        command_id: str,
        *,
        action: str,
        params: Claims,
        role: str = "officer",
        **claims: object,
    ) -> bytes:
        """Make the whole message of any other command, in the name of the role that may give it."""
        named = {"sub": f"{role}:1", **claims}
        written = self.command_claims(now, audience, command_id, action=action, params=params, **named)
        return pack_envelope(self.sign_command(written), self.chain(now, role=role))

    def approval(
        self,
        now: WallTime,
        audience: Audience,
        command: str,
        *,
        by: SigningKey,
        sub: str = "supervisor:1",
        **claims: object,
    ) -> dict[str, Any]:
        """Approve a signed command as a second officer, a supervisor unless told otherwise."""
        issued, role = seconds(now), sub.partition(":")[0]
        written = {
            "iss": thumbprint(by),
            "sub": sub,
            "aud": audience.claim,
            "iat": issued,
            "exp": issued + COMMAND_S,
            "command_sha256": sha256_hex(command.encode()),
        }
        chain = (self.chain(now)[0], self.grant(now, by=self.issuer, to=by, role=role, sub=sub))
        return {"approval": sign_claims({**written, **claims}, by, APPROVAL_TYP), "chain": list(chain)}

    def signed_time(self, now: WallTime, request: bytes, *, key: SigningKey | None = None, **claims: object) -> str:
        """Answer a hub's question for the time, by the clock's key unless told otherwise."""
        asked = json.loads(request)
        written = {"aud": asked["aud"], "nonce": asked["nonce"], "now": rfc3339(now)}
        return sign_claims({**written, **claims}, key or self.clock, TIME_TYP)

    def ping(self, now: WallTime, audience: Audience, command_id: str) -> bytes:
        """Make the whole message of a `hub.ping`, which a dispatcher sends."""
        claims = self.command_claims(now, audience, command_id, action="hub.ping", params={}, sub="dispatcher:1")
        return pack_envelope(self.sign_command(claims), self.chain(now, role="dispatcher"))


def clip_params(
    window: Window, *, recipients: Sequence[str], upload: Claims, cameras: Sequence[str] = ("*",), **params: object
) -> dict[str, Any]:
    """Write what a `clip.upload` asks for; `upload` comes from `upload_params`."""
    return {
        "incident": {"id": "2026-0042-1", "type": "alarm.burglary", "reported_at": rfc3339(window.start)},
        "window": window_claim(window),
        "cameras": list(cameras),
        "recipients": list(recipients),
        "upload": dict(upload),
        "basis": "consent",
        "reason": "Glass break alarm at the back door",
        **params,
    }


def upload_params(url: str, receipts_url: str, token: str, method: str = "tus") -> dict[str, str]:
    """Write where the parts go."""
    return {"method": method, "url": url, "receipts_url": receipts_url, "token": token}


@dataclass(frozen=True)
class Owner:
    """The owner of one hub, with the key that pairing pinned."""

    hub: str
    key: SigningKey = field(default_factory=generate_signing_key)

    def write_key(self, path: Path) -> None:
        """Write the private key as a JWK (RFC 7517), as the owner's app lets its owner keep a copy."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.key.as_dict(private=True)) + "\n")

    def policy(self, now: WallTime, version: int, **claims: object) -> str:
        """Sign a policy; without further claims it is the empty one, which refuses everything."""
        return sign_claims({"hub": self.hub, "version": version, "iat": seconds(now), **claims}, self.key, POLICY_TYP)

    def answer(self, now: WallTime, command_sha256: str, decision: str, **claims: object) -> str:
        """Sign a `yes` or `no` to one command; `cameras`, `window` and `sound` narrow it."""
        issued = seconds(now)
        written = {
            "hub": self.hub,
            "command_sha256": command_sha256,
            "decision": decision,
            "iat": issued,
            "exp": issued + ANSWER_S,
        }
        return sign_claims({**written, **claims}, self.key, ANSWER_TYP)


def sharing_claims(authority: Authority, cameras: Sequence[str], **claims: object) -> dict[str, Any]:
    """Write the claims of a policy that shares `cameras` with `authority` for any incident, without asking."""
    agency = {"id": authority.agency, "roots": [thumbprint(key) for key in authority.roots]}
    return {
        "mode": "opt_in",
        "agencies": [agency],
        "cameras": dict.fromkeys(cameras, "share"),
        "incident_types": None,
        **claims,
    }


def command_of(envelope: bytes) -> str:
    """Return the compact JWS inside a message: what answers and manifests are bound to."""
    return str(json.loads(envelope)["cmd"])
