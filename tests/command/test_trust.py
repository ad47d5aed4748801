"""Trust bundles: who may replace the hub's measure of everything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.command.trust import TrustBundle, open_first_bundle, open_trust_bundle
from agent.errors import BadInputError
from agent.signing import public_jwk
from tests.vectors.command.scene import AUTHORITY, MALLORY, fixed_key, trust_claims

ROOT_1, ROOT_2 = AUTHORITY.roots
ROOT_3 = fixed_key("root 3")
FIRST = AUTHORITY.trust_bundle(trust_claims())


def current() -> TrustBundle:
    """Return the bundle the hub has: version 1, two of two roots."""
    return open_first_bundle(FIRST)


def bundle(*signers: Any, **claims: object) -> bytes:  # noqa: ANN401 - keys of either kind
    """Sign a successor by these roots."""
    return AUTHORITY.trust_bundle(trust_claims(**{"version": 2, **claims}), signers=signers)


def test_first_bundle_is_read_field_by_field() -> None:
    """Enrolment's bundle gives roots, recipients, hosts and store keys."""
    opened = current()
    assert (opened.agency.id, opened.version, opened.threshold) == ("pd-0042", 1, 2)
    assert [recipient.id for recipient in opened.recipients] == ["vault", "vault-pq"]
    assert [recipient.is_post_quantum for recipient in opened.recipients] == [False, True]
    assert [public_jwk(key) for key in opened.store_signers()] == [public_jwk(AUTHORITY.store)]
    assert opened.issued < opened.expires


def test_successor_by_all_roots_is_taken() -> None:
    """A higher version with the threshold of signatures replaces the old."""
    assert open_trust_bundle(bundle(ROOT_1, ROOT_2), current()).version == 2


def test_root_is_replaced_with_the_word_of_old_and_new() -> None:
    """A new root comes in when the old threshold says so and the new root signs too."""
    roots = [public_jwk(ROOT_2), public_jwk(ROOT_3)]
    assert open_trust_bundle(bundle(ROOT_1, ROOT_2, ROOT_3, roots=roots), current()).roots[1].x == roots[1]["x"]


@pytest.mark.parametrize(
    ("signers", "claims"),
    [
        ((ROOT_1,), {}),
        ((ROOT_1, ROOT_1), {}),
        ((ROOT_1, MALLORY), {}),
        ((MALLORY,), {"roots": [public_jwk(MALLORY)], "threshold": 1}),
        ((ROOT_1, ROOT_2), {"version": 1}),
        ((ROOT_1, ROOT_2), {"agency": {"id": "other", "name": "Other"}}),
        ((ROOT_1, ROOT_2), {"exp": 1}),
        ((ROOT_1, ROOT_2), {"threshold": 3}),
        ((ROOT_1, ROOT_2), {"threshold": 0}),
        ((ROOT_1, ROOT_2), {"roots": []}),
        ((ROOT_1, ROOT_2), {"roots": [public_jwk(ROOT_1)] * 2}),
        ((ROOT_1, ROOT_2), {"roots": [public_jwk(ROOT_1), public_jwk(ROOT_3)]}),
        ((ROOT_1, ROOT_2), {"recipients": trust_claims()["recipients"][:1] * 2}),
        ((ROOT_1, ROOT_2), {"recipients": [{**trust_claims()["recipients"][0], "age": "age1short"}]}),
        ((ROOT_1, ROOT_2), {"upload_hosts": ["https://evidence.example"]}),
        ((ROOT_1, ROOT_2), {"upload_hosts": ["user@evidence.example"]}),
        ((ROOT_1, ROOT_2), {"store_keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
        ((ROOT_1, ROOT_2), {"live_view": True}),
    ],
    ids=[
        "one-of-two", "same-root-twice", "one-and-mallory", "mallorys-own", "not-newer", "other-agency", "backwards",
        "threshold-high", "threshold-zero", "no-roots", "roots-twice", "new-root-silent", "recipient-twice",
        "recipient-bad", "host-url", "host-userinfo", "store-key-bad", "unknown-field",
    ],
)  # fmt: skip
def test_successor_is_refused(signers: tuple[Any, ...], claims: dict[str, object]) -> None:
    """Too few roots, an old version, another agency or an unsound list: the hub keeps what it has."""
    with pytest.raises(BadInputError):
        open_trust_bundle(bundle(*signers, **claims), current())


def test_first_bundle_needs_its_own_roots() -> None:
    """A bundle that its roots did not sign is not pinned."""
    with pytest.raises(BadInputError, match="0 of 2"):
        open_first_bundle(AUTHORITY.trust_bundle(trust_claims(), signers=[MALLORY]))


@settings(max_examples=80)
@given(st.binary(max_size=100) | st.integers(0, len(FIRST)).map(lambda end: FIRST[:end] + b"}" * 3))
def test_hostile_bundle_is_bad_input(raw: bytes) -> None:
    """Bytes from nobody raise BadInputError and nothing else."""
    with pytest.raises(BadInputError):
        open_first_bundle(raw)


def test_payload_of_another_bundle_does_not_borrow_signatures() -> None:
    """Signatures belong to one payload."""
    mixed = {**json.loads(bundle(ROOT_1, ROOT_2)), "payload": json.loads(FIRST)["payload"]}
    with pytest.raises(BadInputError):
        open_first_bundle(json.dumps(mixed).encode())
