"""The server renews for the hub whose newest certificate that is, and for nobody else; the vectors say why."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from provisioning.enrolment import REQUEST_BYTES_MAX
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.issuing import HubAuthority
from provisioning.keys import pin, read_chain
from provisioning.reissue import HubKeys, accept_confirmation, accept_renewal, read_confirmation, read_renewal
from provisioning.renewal import write_confirmation
from tests.vectors.provisioning import make_renewals as made

VECTORS: list[dict[str, Any]] = json.loads(made.FILE.read_text())
LIFE = dt.timedelta(days=30)


def authority(pem: str) -> HubAuthority:
    """Return the authority of the vectors."""
    return HubAuthority(made.key("authority"), read_chain(pem)[0], LIFE)


def decided(vector: dict[str, Any]) -> tuple[bytes, HubKeys]:
    """Let the server decide on one vector."""
    server, body = vector["server"], json.dumps(vector["request"]).encode()
    request = read_renewal(body)
    record = FactoryRecord(made.HUB, bytes.fromhex(server["factory_pin"])) if server["factory_pin"] else None
    present, offered = (bytes.fromhex(one) if one else None for one in server["keys"])
    assert present is not None
    keys = HubKeys(present, offered)
    return accept_renewal(request, record, keys, authority=authority(vector["authority"]), now_s=server["now_s"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each shows one good renewal or one reason for a no."""
    if vector["outcome"] != "GOOD":
        with pytest.raises(BadInputError, match=vector["outcome"]):
            decided(vector)
        return
    answer, keys = decided(vector)
    leaf = read_chain(json.loads(answer)["certificate_chain_pem"])[0]
    following = leaf.public_key()
    assert isinstance(following, ec.EllipticCurvePublicKey)
    assert keys == HubKeys(bytes.fromhex(made.pin("present")), bytes.fromhex(made.pin("next")))
    assert pin(following) == keys.offered
    assert leaf.not_valid_after_utc.timestamp() == vector["server"]["now_s"] + LIFE.total_seconds()
    assert leaf.subject.rfc4514_string() == f"CN={made.HUB}"
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_vectors_are_what_their_maker_writes() -> None:
    """It shares no code with the server."""
    assert made.FILE.read_text() == made.text()


def confirm(key: str, keys: HubKeys | None, *, of: str = "present", now_s: int = made.NOW_S) -> HubKeys:
    """Confirm a certificate by a key."""
    body = write_confirmation(made.HUB, made.key(key), made.certificate(of=of))
    place = authority(VECTORS[0]["authority"])
    return accept_confirmation(read_confirmation(body), keys, authority=place, now_s=now_s)


def test_a_confirmed_key_is_the_only_one() -> None:
    """Confirmed once or twice, the key before it renews nothing any more."""
    offered, older = bytes.fromhex(made.pin("present")), bytes.fromhex(made.pin("older"))
    assert confirm("present", HubKeys(older, offered)) == HubKeys(offered)
    assert confirm("present", HubKeys(offered)) == HubKeys(offered)


@pytest.mark.parametrize(
    ("by", "keys", "now_s"),
    [
        ("thief", HubKeys(bytes.fromhex(made.pin("present"))), made.NOW_S),
        ("present", HubKeys(bytes(32)), made.NOW_S),
        ("present", None, made.NOW_S),
        ("present", HubKeys(bytes.fromhex(made.pin("present"))), int(made.ENDS.timestamp()) + 1),
    ],
    ids=["another key", "not offered", "no such hub", "ended"],
)
def test_what_was_not_offered_is_not_confirmed(by: str, keys: HubKeys | None, now_s: int) -> None:
    """Nothing changes by it."""
    with pytest.raises(BadInputError):
        confirm(by, keys, now_s=now_s)


@given(st.one_of(st.binary(max_size=300), st.just(b"[" * 20_000), st.just(b" " * (REQUEST_BYTES_MAX + 1))))
def test_strangers_bytes_are_refused(body: bytes) -> None:
    """Whatever they are, in one way."""
    for read in (read_renewal, read_confirmation):
        with pytest.raises(BadInputError):
            read(body)


@given(st.sampled_from(sorted(VECTORS[0]["request"])), st.text(max_size=40))
def test_a_changed_member_is_refused(member: str, value: str) -> None:
    """Each member is under a signature, or is compared."""
    vector = VECTORS[0] | {"request": VECTORS[0]["request"] | {member: value}}
    with pytest.raises(BadInputError):
        decided(vector)
