"""Holds, orders about jobs, the operator's upkeep, and second officers: the good ones and what is wrong with others."""

from __future__ import annotations

from typing import Any

from agent.clock import Window
from agent.crypto import canonical_json
from agent.demo.authority import command_of, pack_envelope, seconds, window_claim
from agent.signing import SigningKey, thumbprint
from tests.vectors.command.case import IAT, Case, after, issuer_grant, officer_grant
from tests.vectors.command.scene import (
    AUDIENCE,
    AUTHORITY,
    COMMAND_ID,
    MALLORY,
    NOW,
    WINDOW,
    claims,
    fixed_key,
    message,
    params,
    trust_claims,
)

SECOND = fixed_key("second officer")
APPROVED = trust_claims(second_officer=["clip.upload"])
ORDER_ID = "01JD3QAZK4T9Z1V6Y8W3X5A002"


def described(**changed: object) -> dict[str, Any]:
    """Describe the scene's incident, as every command about clips must."""
    return {**{name: value for name, value in params().items() if name != "upload"}, **changed}


def order(action: str, *, role: str = "officer", chain: tuple[str, ...] | None = None, **parameters: object) -> bytes:
    """Sign any action with any parameters, in the name of a role."""
    written = claims(action=action, params=parameters, sub=f"{role}:1", jti=ORDER_ID)
    return message(written, chain=chain or AUTHORITY.chain(NOW, role=role))


def about(action: str, **changed: object) -> bytes:
    """Sign an order about the scene's job."""
    return order(action, **described(**{"job": COMMAND_ID, **changed}))


def hold(**changed: object) -> bytes:
    """Sign a hold of the scene's footage for an hour."""
    return order("clip.hold", **described(**{"hold_s": 3600, **changed}))


def firmware(**changed: object) -> dict[str, object]:
    """Describe a bundle."""
    return {"url": "https://evidence.example/hub-2.raucb", "sha256": "ab" * 32, "size": 1000, **changed}


def good_orders() -> dict[str, Case]:
    """Make one message of each action that must pass."""
    bundle = AUTHORITY.trust_bundle(trust_claims(version=2)).decode()
    later = window_claim(Window(WINDOW.start, after(60)))
    made = {
        "good-hold": ("an officer may hold", hold()),
        "good-release": ("an officer may release", about("clip.release")),
        "good-cancel": ("an officer may cancel", about("clip.cancel")),
        "good-extend": ("an officer may extend", about("clip.extend", window=later)),
        "good-trust-update": ("operations may bring a bundle", order("trust.update", role="ops", bundle=bundle)),
        "good-config-set": ("operations may set what is on the list", order("config.set", role="ops", part_s=8.0)),
        "good-firmware": ("operations may order firmware", order("firmware.install", role="ops", **firmware())),
    }
    return {name: Case(what, "verified", raw) for name, (what, raw) in made.items()}


def orders() -> dict[str, Case]:
    """Forge steps 6 and 7 of every other action."""
    refused = {
        "role-ops-hold": (
            "operators never touch clips",
            "role",
            order("clip.hold", role="ops", **described(hold_s=60)),
        ),
        "role-ops-cancel": (
            "not even to end one",
            "role",
            order("clip.cancel", role="ops", **described(job=COMMAND_ID)),
        ),
        "role-ops-extend": (
            "let alone to have more of one",
            "role",
            order("clip.extend", role="ops", **described(job=COMMAND_ID)),
        ),
        "role-officer-firmware": ("officers never bring firmware", "role", order("firmware.install", **firmware())),
        "role-officer-config": ("nor settings", "role", order("config.set", part_s=8.0)),
        "role-supervisor-trust": ("nor trust", "role", order("trust.update", role="supervisor", bundle="{}")),
        "role-dispatcher-config": ("nor does a dispatcher", "role", order("config.set", role="dispatcher", part_s=8.0)),
        "unsupported-standing": ("there is no standing order", "unsupported", order("clip.watch", **described())),
        "unsupported-browse": ("nor a list of what is recorded", "unsupported", order("clip.list")),
        "hold-too-long": ("eight days", "bad_envelope", hold(hold_s=8 * 24 * 3600)),
        "hold-too-short": ("a second", "bad_envelope", hold(hold_s=1)),
        "hold-with-upload": ("a hold goes nowhere", "bad_envelope", hold(upload=params()["upload"])),
        "hold-no-reason": ("a hold has a reason", "bad_envelope", hold(reason=" ")),
        "hold-recipient-unknown": ("whom would it be for", "recipient_unknown", hold(recipients=["mallory"])),
        "hold-recipient-mixed": ("both kinds", "recipient_mixed", hold(recipients=["vault", "vault-pq"])),
        "cancel-no-job": ("which job?", "bad_envelope", order("clip.cancel", **described())),
        "cancel-job-path": ("a job that would leave its folder", "bad_envelope", about("clip.cancel", job="../x")),
        "cancel-bare": ("an order describes its job", "bad_envelope", order("clip.cancel", job=COMMAND_ID)),
        "extend-recipient-unknown": (
            "an extension names no new recipient",
            "recipient_unknown",
            about("clip.extend", recipients=["mallory"]),
        ),
        "extend-with-upload": ("nor another store", "bad_envelope", about("clip.extend", upload=params()["upload"])),
        "extend-beyond-grant": (
            "longer than the officer's grant covers",
            "grant_scope",
            order(
                "clip.extend",
                chain=(issuer_grant(), officer_grant(scope={"actions": ["clip.extend"], "window_s_max": 300})),
                **described(job=COMMAND_ID, window=window_claim(Window(WINDOW.start, NOW))),
            ),
        ),
        "release-not-granted": (
            "an action that the grant does not list",
            "grant_scope",
            order(
                "clip.release",
                chain=(issuer_grant(), officer_grant(scope={"actions": ["clip.hold"]})),
                **described(job=COMMAND_ID),
            ),
        ),
        "config-camera-login": ("no camera's login", "bad_envelope", order("config.set", role="ops", login="root")),
        "config-upload-host": (
            "no upload host",
            "bad_envelope",
            order("config.set", role="ops", upload_hosts=["a.test"]),
        ),
        "config-consent": ("no consent", "bad_envelope", order("config.set", role="ops", mode="opt_in")),
        "config-clock": (
            "no clock",
            "bad_envelope",
            order("config.set", role="ops", clock="unsafe_assume_synchronised"),
        ),
        "config-part-too-long": ("an hour", "bad_envelope", order("config.set", role="ops", part_s=3600)),
        "config-log-level": ("no such level", "bad_envelope", order("config.set", role="ops", log_level="trace")),
        "trust-update-too-long": (
            "40,000 characters",
            "bad_envelope",
            order("trust.update", role="ops", bundle="x" * 40_000),
        ),
        "firmware-host": (
            "firmware from elsewhere",
            "upload_host",
            order("firmware.install", role="ops", **firmware(url="https://evil.test/hub.raucb")),
        ),
        "firmware-http": (
            "firmware in the clear",
            "upload_host",
            order("firmware.install", role="ops", **firmware(url="http://evidence.example/hub.raucb")),
        ),
        "firmware-file": (
            "firmware from the hub's own disk",
            "upload_host",
            order("firmware.install", role="ops", **firmware(url="file:///etc/passwd")),
        ),
        "firmware-digest": (
            "half a digest",
            "bad_envelope",
            order("firmware.install", role="ops", **firmware(sha256="ab")),
        ),
        "firmware-huge": ("3 GiB", "bad_envelope", order("firmware.install", role="ops", **firmware(size=3 * 1024**3))),
    }
    return {name: Case(what, expect, raw) for name, (what, expect, raw) in refused.items()}


def approved(by: SigningKey = SECOND, raw: bytes | None = None, **changed: Any) -> bytes:  # noqa: ANN401 - any claim
    """Let a second officer approve the scene's command."""
    good = message() if raw is None else raw
    about_which = changed.pop("command", None) or command_of(good)
    approval = AUTHORITY.approval(NOW, AUDIENCE, about_which, by=by, **changed)
    return pack_envelope(command_of(good), AUTHORITY.chain(NOW), approvals=[approval])


def _with_chain(*grants: str) -> bytes:
    approval = AUTHORITY.approval(NOW, AUDIENCE, command_of(message()), by=SECOND)
    return pack_envelope(command_of(message()), AUTHORITY.chain(NOW), approvals=[{**approval, "chain": list(grants)}])


def _granted(**changed: Any) -> str:  # noqa: ANN401 - any claim
    written = {"role": "supervisor", "sub": "supervisor:1", **changed}
    return AUTHORITY.grant(NOW, by=AUTHORITY.issuer, to=SECOND, **written)


def approvals() -> dict[str, Case]:
    """Make and forge step 8."""
    strict = (issuer_grant(), officer_grant(scope={"actions": ["clip.upload"], "second_officer": True}))
    upload_only = {"actions": ["clip.upload"]}
    other = message(claims(jti="01JD3QAZK4T9Z1V6Y8W3X5A009"))
    own = AUTHORITY.approval(NOW, AUDIENCE, command_of(message()), by=AUTHORITY.officer)
    issued = seconds(NOW)
    bad = {
        "approval-same-key": (
            "the officer approves themself under another name",
            pack_envelope(command_of(message()), AUTHORITY.chain(NOW), approvals=[own]),
        ),
        "approval-same-person": ("the same person with a second key", approved(sub="officer:1")),
        "approval-other-command": ("of another command", approved(command=command_of(other))),
        "approval-other-hub": ("for another hub", approved(aud="hub:other:3")),
        "approval-expired": ("61 s after it ended", approved(iat=issued - 900, exp=issued - 61)),
        "approval-early": ("61 s before it begins", approved(iat=issued + 61)),
        "approval-too-long": ("two days", approved(exp=issued + 2 * 86_400)),
        "approval-foreign-key": ("by a key that nobody granted", _forged()),
        "approval-ops": ("by operations", approved(sub="ops:1")),
        "approval-issuer": ("by an issuer", approved(sub="issuer:1")),
        "approval-dispatcher-other-hub": (
            "by somebody whose grant is for another hub",
            _with_chain(issuer_grant(), _granted(scope={**upload_only, "hubs": ["other"]})),
        ),
        "approval-short-window": (
            "by somebody who may ask for a minute only",
            _with_chain(issuer_grant(), _granted(scope={**upload_only, "window_s_max": 60})),
        ),
        "approval-grant-expired": (
            "by somebody whose shift is over",
            _with_chain(issuer_grant(), _granted(nbf=IAT - 9000, iat=IAT - 9000, exp=IAT - 61)),
        ),
        "approval-unknown-root": (
            "from a root of nobody's",
            _with_chain(AUTHORITY.grant(NOW, by=MALLORY, to=SECOND, role="supervisor")),
        ),
    }
    cases = {name: Case(what, "approval_bad", raw) for name, (what, raw) in bad.items()}
    revoked = trust_claims(revoked_grants=[_grant_id()])
    return {
        **cases,
        "good-approved": Case("a supervisor agrees, as the bundle wants", "verified", approved(), trust=APPROVED),
        "good-approved-unasked": Case("an approval that nobody needs must hold too", "verified", approved()),
        "good-approved-grant": Case(
            "the officer's grant wants it",
            "verified",
            pack_envelope(
                command_of(message()),
                strict,
                approvals=[AUTHORITY.approval(NOW, AUDIENCE, command_of(message()), by=SECOND)],
            ),
        ),
        "good-second-officer-elsewhere": Case(
            "the bundle wants two officers for extensions only",
            "verified",
            message(),
            trust=trust_claims(second_officer=["clip.extend"]),
        ),
        "approval-missing": Case("the bundle wants two officers", "approval_missing", message(), trust=APPROVED),
        "approval-missing-grant": Case("the grant wants two officers", "approval_missing", message(chain=strict)),
        "approval-revoked": Case("by a grant that was taken back", "approval_bad", approved(), trust=revoked),
        "approval-three": Case(
            "two are the most",
            "bad_envelope",
            pack_envelope(command_of(message()), AUTHORITY.chain(NOW), approvals=[own] * 3),
        ),
        "approval-string": Case("an approval has a chain", "bad_envelope", message(approvals=["a.a.a"])),
        "approval-ping": Case(
            "a ping needs none",
            "unsupported",
            pack_envelope(
                command_of(AUTHORITY.ping(NOW, AUDIENCE, ORDER_ID)),
                AUTHORITY.chain(NOW, role="dispatcher"),
                approvals=[own],
            ),
        ),
        "grant-drops-second-officer": Case(
            "a child grant that forgets what its parent wants",
            "grant_scope",
            message(
                chain=(
                    issuer_grant(scope={"actions": ["clip.upload"], "second_officer": True}),
                    officer_grant(scope={"actions": ["clip.upload"]}),
                )
            ),
        ),
    }


def _grant_id() -> str:
    name = thumbprint(SECOND)[:8].replace("-", "a").replace("_", "b")
    return f"grant-supervisor-{name}"


def _forged() -> bytes:
    true = AUTHORITY.approval(NOW, AUDIENCE, command_of(message()), by=SECOND)
    false = AUTHORITY.approval(NOW, AUDIENCE, command_of(message()), by=MALLORY)
    mixed = {"approval": false["approval"], "chain": true["chain"]}
    return canonical_json(
        {"v": 1, "cmd": command_of(message()), "chain": list(AUTHORITY.chain(NOW)), "approvals": [mixed]}
    )
