"""Recipients, identities and the header of a sealed file."""

import base64
import io
import json
import zlib
from hashlib import sha256
from pathlib import Path

import pytest

from agent.crypto import Secret
from agent.deliver import age
from agent.deliver.age import check_recipients, encode_header, generate_identity, recipient_of
from agent.deliver.unseal import open_age
from agent.errors import BadInputError, ConfigurationError

CCTV = json.loads((Path(__file__).parents[1] / "vectors/age/cctv.json").read_text())


def test_the_specifications_identity_belongs_to_its_recipient() -> None:
    """The identity in c2sp.org/age opens files for the recipient printed beside it."""
    identity = Secret("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
    assert recipient_of(identity) == "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


@pytest.mark.parametrize(
    ("recipients", "why"),
    [
        ([], "0 recipients"),
        ([generate_identity()[1]] * 21, "21 recipients"),
        (["age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwk"], "checksum"),
        (["nobody@example.org"], "not an age key"),
        ([age.bech32.encode("npub", bytes(32))], "not an age v1 public key"),
        ([age.bech32.encode("age", bytes(31))], "not a usable X25519 key"),
        ([age.bech32.encode("age", bytes(32))], "not a usable X25519 key"),  # a point of low order
        ([age.bech32.encode("age1pq", bytes(1216))], "not a usable post-quantum key"),
        ([generate_identity()[1], generate_identity(is_post_quantum=True)[1]], "post-quantum and classical"),
    ],
)
def test_refuses_recipients_no_file_may_be_sealed_to(recipients: list[str], why: str) -> None:
    """Nobody, too many, mistyped, unsupported and mixed recipients are refused before a byte is written."""
    with pytest.raises(BadInputError, match=why):
        encode_header(recipients, Secret(bytes(16)))


def test_checks_recipients_without_writing() -> None:
    """A list of good recipients passes; a mixed one does not."""
    classical, post_quantum = ([generate_identity(is_post_quantum=kind)[1] for _ in range(2)] for kind in (False, True))
    check_recipients(classical)
    check_recipients(post_quantum)
    with pytest.raises(BadInputError):
        check_recipients(classical + post_quantum)


@pytest.mark.parametrize("is_post_quantum", [False, True])
def test_an_identity_knows_its_recipient(is_post_quantum: bool) -> None:  # noqa: FBT001 - a parameter
    """Both kinds have the forms that age's own tools read."""
    identity, recipient = generate_identity(is_post_quantum=is_post_quantum)
    assert recipient_of(identity) == recipient
    assert recipient.startswith("age1pq1" if is_post_quantum else "age1")
    assert identity.reveal().startswith(b"AGE-SECRET-KEY-PQ-1" if is_post_quantum else b"AGE-SECRET-KEY-1")
    assert len(recipient) == (1959 if is_post_quantum else 62)


@pytest.mark.parametrize(
    "identity",
    ["", "AGE-SECRET-KEY-1QQ", "AGE-PLUGIN-YUBIKEY-1QQ", "é", generate_identity()[1], "\x00" * 100],
    ids=["empty", "short", "plugin", "accent", "recipient", "zeros"],
)
def test_refuses_what_is_no_identity(identity: str) -> None:
    """What is not an identity is for a person to mend, and is not repeated in the error."""
    with pytest.raises(ConfigurationError) as caught:
        recipient_of(Secret(identity))
    assert not identity or identity not in str(caught.value)


@pytest.mark.parametrize("vector", CCTV, ids=[vector["name"] for vector in CCTV])
def test_agrees_with_the_community_vectors(vector: dict[str, str]) -> None:
    """Each file of the community's vectors is opened, or refused for what it lies about."""
    sealed = zlib.decompress(base64.b64decode(vector["zlib"]))
    digest = sha256()
    try:
        for piece in open_age(io.BytesIO(sealed), *map(Secret, vector["identities"])):
            digest.update(piece)
    except BadInputError:
        assert vector["expect"] != "success"
    else:
        assert (vector["expect"], digest.hexdigest()) == ("success", vector["payload"])
