"""The other side of the demo: what it signs by default is true, and every claim of it can be forged."""

from __future__ import annotations

from agent.clock import SECOND_NS, WallTime, Window, parse_rfc3339
from agent.command.envelope import Audience, verify
from agent.command.ping import VerifiedPing
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.trust import open_first_bundle
from agent.consent.decide import answered, decide
from agent.consent.grant import Ask, Granted
from agent.consent.history import Held, History
from agent.consent.policy import open_answer, open_policy
from agent.consent.terms import OwnersWord
from agent.crypto import sha256_hex
from agent.demo.authority import Authority, Owner, clip_params, command_of, sharing_claims, upload_params

NOW = parse_rfc3339("2026-11-22T14:00:00Z")
HERE = Audience("hub-1", 1)
WINDOW = Window(WallTime(NOW - 60 * SECOND_NS), WallTime(NOW - 30 * SECOND_NS))
UPLOAD = upload_params("https://127.0.0.1:8443/files/", "https://127.0.0.1:8443/receipts/", "token")


def test_alarm_from_signature_to_the_owners_yes() -> None:
    """Generated keys carry a command through verification, the question, the answer and the grant."""
    authority, owner = Authority(), Owner(HERE.hub)
    claims = authority.trust_claims(NOW, recipients={"vault": "age1" + "q" * 58}, upload_hosts=["127.0.0.1:8443"])
    trust = open_first_bundle(authority.trust_bundle(claims))
    raw = authority.clip_upload(NOW, HERE, "command-1", clip_params(WINDOW, recipients=["vault"], upload=UPLOAD))
    command = verify(raw, trust, HERE, NOW, is_clock_trusted=True)
    assert isinstance(command, VerifiedCommand)
    assert command.sha256 == sha256_hex(command_of(raw).encode())
    policy = open_policy(
        owner.policy(NOW, 1, **sharing_claims(authority, ["front"], mode="ask_first")), owner.key, HERE.hub, 0
    )
    always = History((Held(policy, "", WallTime(0), NOW),))
    word = OwnersWord(policy, "0" * 64, always)
    ask = decide(command, word, [*policy.cameras], NOW, 0)
    assert isinstance(ask, Ask)
    answer = open_answer(owner.answer(NOW, command.sha256, "yes"), owner.key, HERE.hub, NOW)
    assert isinstance(answered(ask, answer, word, NOW), Granted)
    assert isinstance(
        verify(authority.ping(NOW, HERE, "ping-1"), trust, HERE, NOW, is_clock_trusted=True), VerifiedPing
    )


def test_single_claim_can_be_forged() -> None:
    """An override changes one claim and leaves the signature true."""
    authority = Authority()
    claims = authority.trust_claims(NOW, recipients={"vault": "age1" + "q" * 58}, upload_hosts=["127.0.0.1:8443"])
    trust = open_first_bundle(authority.trust_bundle(claims))
    params = clip_params(WINDOW, recipients=["vault"], upload=UPLOAD)
    raw = authority.clip_upload(NOW, HERE, "command-1", params, aud="hub:other:1")
    answer = verify(raw, trust, HERE, NOW, is_clock_trusted=True)
    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.WRONG_AUDIENCE
