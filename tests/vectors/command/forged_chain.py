"""Chains and signatures that do not hold."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from agent.command.claims import COMMAND_TYP
from agent.demo.authority import command_of, pack_envelope, sign_claims
from agent.signing import public_jwk, thumbprint
from tests.vectors.command.case import (
    HEADER,
    IAT,
    SCOPE,
    Case,
    commands,
    envelope_with,
    issuer_grant,
    officer_grant,
    raw_jws,
)
from tests.vectors.command.scene import (
    AUDIENCE,
    AUTHORITY,
    MALLORY,
    NOW,
    OWNER,
    claims,
    message,
    trust_claims,
)


def chains() -> dict[str, Case]:
    """Forge step 3."""
    root = AUTHORITY.roots[0]
    wide = {**SCOPE, "incident_types": ["alarm.burglary"], "hubs": [AUDIENCE.hub], "window_s_max": 600}

    def narrowed(**child: object) -> bytes:
        return message(chain=(issuer_grant(scope=wide), officer_grant(scope={**wide, **child})))

    scope = {
        "scope-action": ("a child grant with an action more", narrowed(actions=["clip.upload", "hub.ping"])),
        "scope-hubs": ("a child grant for another hub", narrowed(hubs=[AUDIENCE.hub, "other"])),
        "scope-all-hubs": ("a child grant for all hubs", narrowed(hubs=None)),
        "scope-types": ("a child grant for more incident types", narrowed(incident_types=["alarm.burglary", "fire"])),
        "scope-all-types": ("a child grant for all incident types", narrowed(incident_types=None)),
        "scope-window": ("a child grant for longer windows", narrowed(window_s_max=601)),
        "scope-any-window": ("a child grant for any window", narrowed(window_s_max=None)),
        "scope-expiry": (
            "a child grant that outlives its parent",
            message(chain=(issuer_grant(exp=IAT + 900), officer_grant())),
        ),
        "scope-officer-delegates": (
            "an officer grants a friend",
            pack_envelope(
                AUTHORITY.sign_command(claims(iss=thumbprint(MALLORY)), key=MALLORY),
                (
                    issuer_grant(),
                    officer_grant(),
                    AUTHORITY.grant(NOW, by=AUTHORITY.officer, to=MALLORY, role="officer"),
                ),
            ),
        ),
        "scope-no-action": (
            "a grant that does not name the action",
            message(chain=(issuer_grant(), officer_grant(scope={"actions": []}))),
        ),
        "scope-other-hub": (
            "a grant for another hub",
            message(chain=(issuer_grant(), officer_grant(scope={**SCOPE, "hubs": ["other"]}))),
        ),
        "scope-incident": (
            "a grant for fires",
            message(chain=(issuer_grant(), officer_grant(scope={**SCOPE, "incident_types": ["fire"]}))),
        ),
        "scope-too-long": (
            "a grant for short windows",
            message(chain=(issuer_grant(), officer_grant(scope={**SCOPE, "window_s_max": 299}))),
        ),
    }
    signature = {
        "chain-foreign-link": (
            "the second grant is Mallory's",
            message(chain=(issuer_grant(), officer_grant(by=MALLORY))),
        ),
        "chain-other-issuer": (
            "a grant in another issuer's name",
            message(chain=(issuer_grant(iss=thumbprint(MALLORY)), officer_grant())),
        ),
        "chain-command-as-grant": (
            "a command where a grant must be",
            message(chain=(issuer_grant(), AUTHORITY.sign_command(claims()))),
        ),
        "chain-garbage": ("a chain of nothing", message(chain=("not a grant",))),
        "chain-order": ("the grants the wrong way round", message(chain=(issuer_grant(), issuer_grant()))),
        "chain-policy-as-grant": (
            "a policy where a grant must be",
            message(chain=(issuer_grant(), OWNER.policy(NOW, 1))),
        ),
    }
    revoked = {
        "revoked-root": {"revoked_keys": [thumbprint(root)]},
        "revoked-issuer": {"revoked_keys": [thumbprint(AUTHORITY.issuer)]},
        "revoked-officer": {"revoked_keys": [thumbprint(AUTHORITY.officer)]},
        "revoked-grant": {"revoked_grants": ["grant-of-today"]},
        "revoked-by-time": {"min_iat": IAT + 1},
    }
    revocable = message(chain=(issuer_grant(), officer_grant(jti="grant-of-today")))
    old = IAT - 20_000
    return {
        **{name: Case(about, "grant_scope", raw) for name, (about, raw) in scope.items()},
        **{name: Case(about, "bad_signature", raw) for name, (about, raw) in signature.items()},
        **{name: Case("revoked", "revoked", revocable, trust=trust_claims(**more)) for name, more in revoked.items()},
        "revoked-command-by-time": Case(
            "a command older than the line, under a newer grant",
            "revoked",
            message(claims(iat=IAT - 30)),
            trust=trust_claims(min_iat=IAT - 10),
        ),
        "unknown-root": Case(
            "Mallory's own root",
            "unknown_root",
            message(chain=(AUTHORITY.grant(NOW, by=MALLORY, to=AUTHORITY.issuer, role="issuer"), officer_grant())),
        ),
        "no-root": Case("the chain starts at the issuer", "unknown_root", message(chain=(officer_grant(),))),
        "grant-expired": Case(
            "yesterday's shift",
            "grant_expired",
            message(chain=(issuer_grant(), officer_grant(iat=old, nbf=old, exp=IAT - 61))),
        ),
        "grant-early": Case(
            "tomorrow's shift",
            "grant_expired",
            message(chain=(issuer_grant(), officer_grant(nbf=IAT + 61))),
        ),
    }


def signatures() -> dict[str, Case]:
    """Forge step 4."""
    public = base64.urlsafe_b64decode(public_jwk(AUTHORITY.officer)["x"] + "==")
    payload = json.dumps(claims()).encode()
    flipped = command_of(message())
    flipped = flipped[:-10] + ("A" if flipped[-10] != "A" else "B") + flipped[-9:]

    def hmac_by_public_key(signed: bytes) -> bytes:
        mac = HMAC(public, SHA256())
        mac.update(signed)
        return mac.finalize()

    def loose(token: str) -> str:  # the last character of 64 bytes carries four bits that no decoder reads
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]

    bad = {
        "alg-none": ("no signature", envelope_with(raw_jws({**HEADER, "alg": "none"}, payload, lambda _: b"\0"))),
        "alg-hs256": (
            "the public key as a shared secret",
            envelope_with(raw_jws({**HEADER, "alg": "HS256"}, payload, hmac_by_public_key)),
        ),
        "alg-other": ("ES256 said over an Ed25519 signature", commands({**HEADER, "alg": "ES256"})),
        "typ-grant": (
            "signed as a grant",
            envelope_with(sign_claims(claims(), AUTHORITY.officer, "transom-grant+jwt")),
        ),
        "typ-none": ("no typ", commands({"alg": "Ed25519", "kid": HEADER["kid"]})),
        "typ-case": ("typ in capitals", commands({**HEADER, "typ": COMMAND_TYP.upper()})),
        "header-jwk": ("brings its own key", commands({**HEADER, "jwk": public_jwk(MALLORY)})),
        "header-crit": ("wants an extension", commands({**HEADER, "crit": ["b64"], "b64": False})),
        "kid-other": ("names another key", commands({**HEADER, "kid": thumbprint(MALLORY)})),
        "signature-flipped": ("one bit", envelope_with(flipped)),
        "signature-loose": ("not canonical base64url", envelope_with(loose(command_of(message())))),
        "signature-padded": ("padded base64", envelope_with(command_of(message()) + "==")),
        "signature-mallory": (
            "Mallory signs under the officer's chain",
            envelope_with(AUTHORITY.sign_command(claims(), key=MALLORY)),
        ),
        "grant-as-command": ("the officer's grant as a command", envelope_with(AUTHORITY.chain(NOW)[1])),
        "not-a-jws": ("plain text", envelope_with("upload everything")),
        "other-subject": ("in another officer's name", message(claims(sub="officer:2"))),
        "other-issuer": ("in another key's name", message(claims(iss=thumbprint(MALLORY)))),
    }
    return {name: Case(about, "bad_signature", raw) for name, (about, raw) in bad.items()}
