"""Well signed commands that ask for what their signer may not have."""

from __future__ import annotations

from agent.clock import Window
from agent.demo.authority import window_claim
from tests.vectors.command.case import (
    IAT,
    Case,
    after,
    issuer_grant,
    officer_grant,
    with_params,
    with_upload,
)
from tests.vectors.command.scene import (
    AUDIENCE,
    NOW,
    WINDOW,
    claims,
    message,
    trust_claims,
)


def audience_and_time() -> dict[str, Case]:
    """Forge step 5."""
    return {
        "other-hub": Case("for another hub", "wrong_audience", message(claims(aud="hub:other:3"))),
        "other-epoch": Case(
            "from before the hub was sold", "wrong_audience", message(claims(aud=f"hub:{AUDIENCE.hub}:2"))
        ),
        "not-yet": Case("issued 61 s ahead", "not_yet_valid", message(claims(iat=IAT + 61))),
        "expired": Case("60 s after it ended", "expired", message(), now=after(15 * 60 + 60)),
        "lives-too-long": Case("a day and a second", "expired", message(claims(exp=IAT + 86_401))),
        "lives-backwards": Case("ends before it starts", "expired", message(claims(exp=IAT - 1))),
    }


def rights() -> dict[str, Case]:
    """Forge steps 6, 7a and 8."""
    longer = window_claim(Window(WINDOW.start, NOW))
    return {
        "unsupported": Case("an action of the future", "unsupported", message(claims(action="clip.transcribe"))),
        "unsupported-live": Case("there is no live view", "unsupported", message(claims(action="live.view"))),
        "role-ops": Case(
            "operators never see pictures",
            "role",
            message(claims(sub="ops:1"), chain=(issuer_grant(), officer_grant(role="ops"))),
        ),
        "role-issuer": Case(
            "an issuer passes rights on and uses none",
            "role",
            message(claims(sub="issuer:1"), chain=(issuer_grant(), officer_grant(role="issuer"))),
        ),
        "role-officer-ping": Case("officers do not ping", "role", message(claims(action="hub.ping", params={}))),
        "recipient-unknown": Case(
            "a recipient nobody listed", "recipient_unknown", with_params(recipients=["mallory"])
        ),
        "recipient-twice": Case("a recipient twice", "recipient_unknown", with_params(recipients=["vault", "vault"])),
        "recipient-expired": Case(
            "a recipient of last year",
            "recipient_unknown",
            message(),
            trust=trust_claims(recipients=[{**trust_claims()["recipients"][0], "exp": IAT}]),
        ),
        "recipient-early": Case(
            "a recipient of next year",
            "recipient_unknown",
            message(),
            trust=trust_claims(recipients=[{**trust_claims()["recipients"][0], "nbf": IAT + 1}]),
        ),
        "recipient-mixed": Case(
            "classical beside post-quantum",
            "recipient_mixed",
            with_params(recipients=["vault", "vault-pq"], window=longer),
        ),
    }


def hosts() -> dict[str, Case]:
    """Forge step 7b."""
    urls = {
        "host-unknown": "https://evil.test/files/",
        "host-http": "http://evidence.example/files/",
        "host-userinfo": "https://evidence.example@evil.test/files/",
        "host-userinfo-password": "https://evidence.example:x@evil.test/files/",
        "host-port": "https://evidence.example:8443/files/",
        "host-subdomain": "https://evil.evidence.example/files/",
        "host-suffix": "https://evidence.example.evil.test/files/",
        "host-backslash": "https://evidence.example\\@evil.test/files/",
        "host-fragment": "https://evil.test#evidence.example/files/",
        "host-tab": "https://evidence.example\t.evil.test/files/",
        "host-newline": "https://evidence.example/files/\n",
        "host-unicode": "https://evidence.ex\u0430mple/files/",
        "host-capitals": "HTTPS://EVIDENCE.EXAMPLE/files/",
        "host-nothing": "https:///files/",
    }
    cases = {name: Case("upload URL", "upload_host", with_upload(url=url)) for name, url in urls.items()}
    cases["host-presigned"] = Case(
        "a signer must be on a listed host, too",
        "upload_host",
        with_upload(method="put", url="https://signer.example/puts/"),
    )
    cases["host-receipts"] = Case(
        "receipts from elsewhere, though it is listed",
        "upload_host",
        with_upload(receipts_url="https://127.0.0.1:8443/receipts/"),
    )
    return cases
