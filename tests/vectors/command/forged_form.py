"""Messages that cannot be understood, or come when the hub has no footing; and the good ones."""

from __future__ import annotations

import json

from agent.command.claims import COMMAND_TYP
from agent.demo.authority import command_of, pack_envelope
from agent.signing import public_jwk, sign_statement
from tests.vectors.command.case import (
    IAT,
    Case,
    after,
    envelope_with,
    issuer_grant,
    officer_grant,
    with_params,
    with_upload,
)
from tests.vectors.command.scene import (
    AUDIENCE,
    AUTHORITY,
    NOW,
    UPLOAD,
    claims,
    message,
    trust_claims,
)


def good() -> dict[str, Case]:
    """Make messages that must pass."""
    return {
        "good": Case("everything is true", "verified", message()),
        "good-every-camera": Case("`*` asks for every shared camera", "verified", with_params(cameras=["*"])),
        "good-root-to-officer": Case(
            "a root may grant an officer without an issuer between them",
            "verified",
            message(chain=(officer_grant(by=AUTHORITY.roots[0]),)),
        ),
        "good-last-second-of-skew": Case(
            "60 s after expiry is too late, just before is not", "verified", message(), now=after(15 * 60 + 59.999)
        ),
        "good-other-port": Case(
            "a host with its port is listed as such",
            "verified",
            with_upload(url="https://127.0.0.1:8443/files/", receipts_url="https://127.0.0.1:8443/receipts/"),
        ),
        "good-presigned": Case("parts may go by presigned URLs", "verified", with_upload(method="put")),
        "good-ping": Case(
            "a dispatcher may ping", "verified", AUTHORITY.ping(NOW, AUDIENCE, "01JD3QAZK4PING000000000001")
        ),
    }


def unreadable() -> dict[str, Case]:
    """Forge step 1, and the shapes of what is signed."""
    good = message()
    command = command_of(good)
    doubled = good[:-1] + b',"v":1}'
    bad = {
        "empty": ("no bytes at all", b""),
        "not-utf8": ("JSON is UTF-8", b'{"v":1,"cmd":"\xff","chain":["x"]}'),
        "not-json": ("half a message", good[: len(good) // 2]),
        "not-an-object": ("a list is no envelope", b"[1]"),
        "nan": ("NaN is not JSON", good[:-1] + b',"x":NaN}'),
        "nested-bomb": ("brackets without end", b"[" * 60_000),
        "nested-deep": ("17 levels, properly closed", b'{"v":' + b"[" * 17 + b"]" * 17 + b"}"),
        "duplicate-key": ("the same key twice", doubled),
        "unknown-field": ("a field the hub does not know", message(live_view=True)),
        "version-2": ("an envelope of the future", message(v=2)),
        "no-chain": ("nobody granted anything", pack_envelope(command, [])),
        "long-chain": ("five grants, four is the limit", pack_envelope(command, ["a.a.a"] * 5)),
        "surrogate": ("half a character", b'{"v":1,"cmd":"\\ud800","chain":["x"]}'),
        "claims-unknown": ("an unknown claim, truly signed", message(claims(live=True))),
        "claims-float-time": ("half seconds", message(claims(iat=IAT + 0.5))),
        "claims-id-path": ("an id that would leave its folder", message(claims(jti="../../etc/passwd"))),
        "claims-id-newline": ("an id with a newline behind it", message(claims(jti="abc\n"))),
        "claims-duplicate": (
            "a claim twice, truly signed",
            envelope_with(
                sign_statement(json.dumps(claims()).encode()[:-1] + b',"aud":"x"}', AUTHORITY.officer, COMMAND_TYP),
            ),
        ),
        "params-unknown": ("an unknown parameter", with_params(padding_s=60)),
        "params-camera-path": ("a camera id that would leave its folder", with_params(cameras=["../front"])),
        "params-camera-twice": ("a camera twice", with_params(cameras=["front", "front"])),
        "params-camera-none": ("no camera is not every camera", with_params(cameras=[])),
        "params-camera-mixed": ("every camera and one more", with_params(cameras=["*", "front"])),
        "params-window-empty": (
            "a window that ends before it starts",
            with_params(window={"start": "2026-11-22T13:00:00Z", "end": "2026-11-22T12:00:00Z"}),
        ),
        "params-window-date": (
            "the 31st of November",
            with_params(window={"start": "2026-11-31T13:00:00Z", "end": "2026-12-01T13:00:00Z"}),
        ),
        "params-window-zone": (
            "times in local zones",
            with_params(window={"start": "2026-11-22T13:00:00+01:00", "end": "2026-11-22T13:05:00+01:00"}),
        ),
        "params-no-reason": ("a blank reason", with_params(reason="   ")),
        "params-reason-bidi": ("a reason that reads backwards", with_params(reason="alarm \u202egnihton")),
        "params-reason-mark": ("a reason with a mark of direction", with_params(reason="alarm \u061c(1) 2")),
        "params-token-header": (
            "a token that carries a second header",
            with_params(upload={**UPLOAD, "token": "x\r\nHost: evil.test"}),
        ),
        "params-method": ("a way to upload that there is not", with_params(upload={**UPLOAD, "method": "ftp"})),
        "params-raw-recipient": ("a key instead of a name", with_params(recipients=["age1 " + "q" * 58])),
        "ping-params": (
            "a ping asks for nothing",
            pack_envelope(
                AUTHORITY.sign_command(claims(action="hub.ping", sub="dispatcher:1", params={"cameras": ["front"]})),
                AUTHORITY.chain(NOW, role="dispatcher"),
            ),
        ),
        "grant-private-key": (
            "a grant that gives its key away",
            message(chain=(issuer_grant(cnf={"jwk": {**public_jwk(AUTHORITY.issuer), "d": "AA"}}), officer_grant())),
        ),
        "grant-not-a-point": (
            "a key that is not on its curve",
            message(
                chain=(issuer_grant(), officer_grant(cnf={"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}))
            ),
        ),
    }
    cases = {name: Case(about, "bad_envelope", raw) for name, (about, raw) in bad.items()}
    cases["huge"] = Case("one byte more than 64 KiB", "bad_envelope", good, spaces=64 * 1024 + 1 - len(good))
    return cases


def footing() -> dict[str, Case]:
    """Forge step 2."""
    return {
        "clock-untrusted": Case("the hub does not know the time", "clock_untrusted", message(), is_clock_trusted=False),
        "trust-expired": Case(
            "the bundle is out of date", "trust_expired", message(), trust=trust_claims(iat=IAT - 9000, exp=IAT - 61)
        ),
        "trust-future": Case(
            "the clock is behind the bundle", "trust_expired", message(), trust=trust_claims(iat=IAT + 61)
        ),
    }
