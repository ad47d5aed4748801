"""The hub's side of a renewal: what it asks is what the vectors' server takes, and it keeps no answer that lies."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity
from provisioning.issuing import HubAuthority, issue_chain
from provisioning.keys import make_key, pin, read_chain
from provisioning.reissue import HubKeys, accept_renewal, read_renewal
from provisioning.renewal import AHEAD_S_MAX, ANSWER_BYTES_MAX, RenewalAttempt, finish_renewal, start_renewal
from provisioning.secret import Secret
from tests.simulators.enrolment_server import make_authority, pem
from tests.vectors.provisioning import make_renewals as made

IDENTITY = FactoryIdentity(made.HUB, "hub.example", made.key("factory"), Secret(bytes(16)), Secret(bytes(16)))
AUTHORITY = HubAuthority(made.key("authority"), made.certificate(of="authority"))
NEXT = make_key()
ATTEMPT = start_renewal(IDENTITY, made.key("present"), made.certificate(), NEXT)


def answer(attempt: RenewalAttempt = ATTEMPT, now_s: int = made.NOW_S) -> bytes:
    """Let the server answer."""
    keys = HubKeys(bytes.fromhex(made.pin("present")))
    return accept_renewal(read_renewal(attempt.request), IDENTITY.record, keys, authority=AUTHORITY, now_s=now_s)[0]


def test_the_answer_becomes_the_next_pair() -> None:
    """What the hub asks is what the server takes, and what that answers is what the hub keeps."""
    leaf = read_chain(finish_renewal(ATTEMPT, answer(), made.NOW_S))[0]
    assert pin(leaf.public_key()) == pin(NEXT.public_key())  # type: ignore[arg-type] # our own P-256 key
    assert finish_renewal(ATTEMPT, answer(), None)


def issued(
    key: object = NEXT, hub: str = made.HUB, authority: HubAuthority = AUTHORITY, now_s: int = made.NOW_S
) -> bytes:
    """Answer with any certificate."""
    chain = issue_chain(key.public_key(), hub, authority, now_s)  # type: ignore[attr-defined] # a private key
    return json.dumps({"certificate_chain_pem": chain}).encode()


SHORT = HubAuthority(AUTHORITY.key, AUTHORITY.certificate, dt.timedelta(days=1))
LIES = {
    "another key": issued(make_key()),
    "another hub": issued(hub=made.OTHER),
    "ends before the present one": issued(authority=SHORT),
    "ended": issued(now_s=made.NOW_S - 2 * 365 * 86400),
    "begins tomorrow": issued(now_s=made.NOW_S + AHEAD_S_MAX + 600),
    "a chain of strangers": json.dumps(
        {
            "certificate_chain_pem": pem(read_chain(json.loads(issued())["certificate_chain_pem"])[0])
            + pem(make_authority().certificate)
        }
    ).encode(),
    "more members": json.dumps(json.loads(issued()) | {"broker": {}}).encode(),
}


@pytest.mark.parametrize("lie", LIES, ids=list(LIES))
def test_a_lie_is_not_kept(lie: str) -> None:
    """A certificate that is not for this key and hub, or not good now, or would end sooner."""
    with pytest.raises(BadInputError):
        finish_renewal(ATTEMPT, LIES[lie], made.NOW_S)


def test_without_a_clock_dates_are_the_brokers_question() -> None:
    """A hub that does not know the time takes a certificate that ends no earlier than its own."""
    assert finish_renewal(ATTEMPT, LIES["begins tomorrow"], None)


@given(st.one_of(st.binary(max_size=300), st.just(b"[" * 20_000), st.just(b" " * (ANSWER_BYTES_MAX + 1))))
def test_strangers_bytes_are_refused(body: bytes) -> None:
    """Whatever they are, in one way."""
    with pytest.raises(BadInputError):
        finish_renewal(ATTEMPT, body, made.NOW_S)
