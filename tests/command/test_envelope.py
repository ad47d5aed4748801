"""What becomes of a message from the broker: the refusal table, the happy path field by field, and fuzz."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, WallTime
from agent.command import grants
from agent.command.envelope import Audience, verify, verify_again
from agent.command.grants import GRANT_TYP
from agent.command.ping import VerifiedPing
from agent.command.request import Recipient, Refusal, RefusalReason, VerifiedCommand
from agent.command.statement import base64url
from agent.command.trust import TrustBundle
from agent.command.words import SKEW_NS, wall_time
from agent.crypto import sha256_hex
from agent.demo.authority import Authority, command_of, pack_envelope, sign_claims
from agent.signing import generate_signing_key, thumbprint
from tests.vectors.command import scene
from tests.vectors.command.case import Case, after
from tests.vectors.command.forgeries import CASES

TRUST = msgspec.convert(scene.trust_claims(), TrustBundle)
GOOD = scene.message()
FORGERIES = {name: case for name, case in CASES.items() if case.expect != "verified"}


def check(
    raw: bytes, now: WallTime = scene.NOW, trust: TrustBundle = TRUST
) -> VerifiedCommand | VerifiedPing | Refusal:
    """Verify a message at the scene's hub."""
    return verify(raw, trust, scene.AUDIENCE, now, is_clock_trusted=True)


def check_case(case: Case) -> VerifiedCommand | VerifiedPing | Refusal:
    """Verify a case in its circumstances."""
    trust = msgspec.convert(case.trust, TrustBundle)
    return verify(case.raw, trust, scene.AUDIENCE, case.now, is_clock_trusted=case.is_clock_trusted)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_refused_for_its_own_reason(name: str) -> None:
    """Each forgery hits the check it was made for and no other."""
    case = FORGERIES[name]
    answer = check_case(case)
    assert isinstance(answer, Refusal), case.about
    assert (answer.reason.value, len(answer.detail) <= 200) == (case.expect, True)


def test_every_reason_of_this_stage_has_a_forgery() -> None:
    """No reason is untested; replay is the journal's, the rest is consent's."""
    reasons = list(RefusalReason)
    here = set(reasons[: reasons.index(RefusalReason.NOT_PAIRED)]) - {
        RefusalReason.REPLAYED,
        RefusalReason.DUPLICATE_ID,
    }
    assert {case.expect for case in FORGERIES.values()} == {reason.value for reason in here}


def test_good_command_says_what_was_signed() -> None:
    """Every field of a verified command comes from the signed claims, the chain or the trust bundle."""
    command = check(GOOD)
    assert isinstance(command, VerifiedCommand)
    assert (command.id, command.sha256) == (scene.COMMAND_ID, sha256_hex(command_of(GOOD).encode()))
    assert (command.signer, command.root) == tuple(
        thumbprint(key) for key in (scene.AUTHORITY.officer, scene.AUTHORITY.roots[0])
    )
    assert (command.subject, command.role, command.agency, command.action) == (
        "officer:1", "officer", "pd-0042", "clip.upload",
    )  # fmt: skip
    assert (command.issued, command.expires) == (scene.NOW, scene.NOW + 900 * SECOND_NS)
    assert (command.window, command.cameras) == (scene.WINDOW, ("front", "back"))
    assert command.recipients == (Recipient("vault", scene.VAULT),)
    assert (command.upload.url, command.upload.token.reveal()) == (scene.UPLOAD["url"], b"fixed-token")
    assert command.incident.reported_at == scene.WINDOW.start


def test_every_camera_is_the_empty_tuple() -> None:
    """`*` on the wire is what `VerifiedCommand` calls all cameras."""
    command = check_case(CASES["good-every-camera"])
    assert isinstance(command, VerifiedCommand)
    assert command.cameras == ()


def test_ping_is_a_type_of_its_own() -> None:
    """A ping can not be handed to consent or to a cut."""
    assert isinstance(check_case(CASES["good-ping"]), VerifiedPing)


def test_p256_all_the_way() -> None:
    """An agency with P-256 keys only is served like one with Ed25519."""
    keys = [generate_signing_key("P-256") for _ in range(4)]
    authority = Authority(roots=(keys[0],), issuer=keys[1], officer=keys[2], store=keys[3])
    written = authority.trust_claims(scene.NOW, recipients={"vault": scene.VAULT}, upload_hosts=["evidence.example"])
    raw = authority.clip_upload(scene.NOW, scene.AUDIENCE, scene.COMMAND_ID, scene.params())
    assert isinstance(check(raw, trust=msgspec.convert(written, TrustBundle)), VerifiedCommand)


@pytest.mark.parametrize(
    ("name", "command_id"),
    [("other-hub", scene.COMMAND_ID), ("huge", ""), ("claims-id-path", ""), ("not-a-jws", ""), ("not-json", "")],
)
def test_refusal_names_the_command_if_it_could_be_read(name: str, command_id: str) -> None:
    """The server learns which command was refused; an id that is not one is not repeated."""
    answer = check_case(CASES[name])
    assert isinstance(answer, Refusal)
    assert answer.command_id == command_id


def test_token_is_in_no_text() -> None:
    """Neither the command nor a refusal of one with a bad token prints the upload token."""
    bad = scene.message(scene.claims(params=scene.params(upload={**scene.UPLOAD, "token": "fixed-token\n"})))
    assert "fixed-token" not in repr(check(GOOD)) + repr(check(bad))


def test_stored_job_outlives_its_expiry_but_not_a_revocation() -> None:
    """After a restart a message is in time if it was when it came; revocations since then still count."""
    late = after(3600 * 5)

    def again(**changed: object) -> object:
        trust = msgspec.convert(scene.trust_claims(**changed), TrustBundle)
        return verify_again(GOOD, trust, scene.AUDIENCE, scene.NOW, late, is_clock_trusted=True)

    assert isinstance(check(GOOD, now=late), Refusal)
    assert isinstance(again(iat=late // SECOND_NS), VerifiedCommand)
    revoked = again(revoked_keys=[thumbprint(scene.AUTHORITY.officer)])
    assert isinstance(revoked, Refusal)
    assert revoked.reason is RefusalReason.REVOKED


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text(alphabet='{}[]":,\\ vcmdhainuxl01.é\ud800', max_size=200).map(
    lambda text: text.encode("utf-8", "surrogatepass")))  # fmt: skip
def test_any_bytes_are_answered_and_never_believed(raw: bytes) -> None:
    """Bytes from nobody end as a refusal, not as an exception."""
    assert isinstance(check(raw), Refusal)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100)
@given(st.data())
def test_truly_signed_nonsense_is_answered(data: st.DataObject) -> None:
    """An officer's own key over any claims, and a grant over any claims, end as a value."""
    claims: dict[str, Any] = scene.claims()
    for path in data.draw(st.lists(st.sampled_from(sorted(claims)), min_size=1, max_size=3)):
        claims[path] = data.draw(JSON)
    if isinstance(claims["params"], dict):
        name = data.draw(st.sampled_from(sorted(scene.params())))
        claims["params"] = {**claims["params"], name: data.draw(JSON)}
    assert isinstance(check(scene.message(claims)), VerifiedCommand | VerifiedPing | Refusal)


@settings(max_examples=150)
@given(st.data())
def test_one_changed_byte_of_what_is_signed_never_verifies(data: st.DataObject) -> None:
    """Every byte of the command and of its grants matters, the last bits of base64url included."""
    envelope = json.loads(GOOD)
    tokens = [envelope["cmd"], *envelope["chain"]]
    which = data.draw(st.integers(0, len(tokens) - 1))
    token = tokens[which].encode()
    place = data.draw(st.integers(0, len(token) - 1) | st.just(len(token) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != token[place]))
    start = GOOD.index(token) + place
    assert isinstance(check(GOOD[:start] + bytes([byte]) + GOOD[start + 1 :]), Refusal)


@settings(max_examples=100)
@given(st.integers(0, len(GOOD)), st.integers(0, len(GOOD)), st.binary(max_size=8))
def test_mutated_message_is_the_same_command_or_none(start: int, end: int, patch: bytes) -> None:
    """Whatever is cut out or put in, the hub reads the signed command or refuses."""
    answer = check(GOOD[: min(start, end)] + patch + GOOD[max(start, end) :])
    assert isinstance(answer, Refusal) or answer.sha256 == sha256_hex(command_of(GOOD).encode())


def test_audience_is_one_hub_and_one_pairing() -> None:
    """The claim names both."""
    assert Audience("hub-1", 7).claim == "hub:hub-1:7"


def test_what_was_proven_once_is_judged_anew() -> None:
    """That a grant's signature held before helps neither its expired or revoked self, nor whatever looks like it."""
    grants._read.cache_clear()
    assert isinstance(check(GOOD), VerifiedCommand)
    claims = json.loads(base64url(json.loads(GOOD)["chain"][1].split(".")[1]))
    revoked = msgspec.convert(scene.trust_claims(revoked_grants=[claims["jti"]]), TrustBundle)
    strangers = msgspec.convert(
        scene.trust_claims(roots=Authority().trust_claims(scene.NOW, recipients={}, upload_hosts=[])["roots"]),
        TrustBundle,
    )
    later = WallTime(wall_time(claims["exp"]) + SKEW_NS)
    chain = list(json.loads(GOOD)["chain"])
    chain[1] = sign_claims({**claims, "exp": claims["exp"] + 3600}, generate_signing_key(), GRANT_TYP)
    answers = [
        check(GOOD, trust=revoked),
        check(GOOD, trust=strangers),
        check(GOOD, later),
        check(pack_envelope(command_of(GOOD), chain)),
    ]
    assert [answer.reason for answer in answers if isinstance(answer, Refusal)] == [
        RefusalReason.REVOKED,
        RefusalReason.UNKNOWN_ROOT,
        RefusalReason.GRANT_EXPIRED,
        RefusalReason.BAD_SIGNATURE,
    ]
    assert isinstance(check(GOOD), VerifiedCommand)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgery_is_refused_the_second_time_too(name: str) -> None:
    """What the first look remembers changes no answer."""
    case = FORGERIES[name]
    grants._read.cache_clear()
    assert check_case(case) == check_case(case)
