"""Both kinds of age keys: what each wraps it unwraps, and nobody else's."""

import os

import pytest

from agent.crypto import Secret
from agent.deliver.age_kinds import FILE_KEY_BYTES, KINDS, Kind, new_identity
from agent.deliver.age_text import Stanza, decode_base64, encode_base64
from agent.errors import BadInputError

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=[kind.stanza for kind in KINDS])
SIZES = {"X25519": (32, 32), "mlkem768x25519": (1216, 1120)}  # recipient, share (c2sp.org/age)


@EACH_KIND
def test_only_the_recipient_unwraps(kind: Kind) -> None:
    """The file key comes back for its recipient, and is another's for everybody else."""
    mine, other, file_key = new_identity(), new_identity(), Secret(os.urandom(FILE_KEY_BYTES))
    stanza = kind.wrap(kind.recipient_of(mine), file_key)
    unwrapped = kind.unwrap(stanza, mine)
    assert unwrapped is not None
    assert unwrapped.reveal() == file_key.reveal()
    assert kind.unwrap(stanza, other) is None


@EACH_KIND
def test_a_stanza_is_what_the_specification_says(kind: Kind) -> None:
    """Its first argument is the kind, its second a new share of the kind's size; its body is key and tag."""
    recipient, file_key = kind.recipient_of(new_identity()), Secret(bytes(FILE_KEY_BYTES))
    first, second = kind.wrap(recipient, file_key), kind.wrap(recipient, file_key)
    name, share = first.arguments
    assert (name, len(recipient), len(decode_base64(share))) == (kind.stanza, *SIZES[kind.stanza])
    assert len(first.body) == 32
    assert first.arguments != second.arguments


@EACH_KIND
@pytest.mark.parametrize("flipped", [0, -1], ids=["first byte", "last byte"])
def test_a_changed_share_opens_nothing(kind: Kind, flipped: int) -> None:
    """One changed bit in either half of a share makes the stanza somebody else's."""
    mine = new_identity()
    stanza = kind.wrap(kind.recipient_of(mine), Secret(bytes(FILE_KEY_BYTES)))
    share = bytearray(decode_base64(stanza.arguments[1]))
    share[flipped] ^= 1
    assert kind.unwrap(Stanza((kind.stanza, encode_base64(share)), stanza.body), mine) is None


@EACH_KIND
def test_refuses_what_no_writer_makes(kind: Kind) -> None:
    """Missing and further arguments, shares and bodies of other sizes are lies."""
    mine = new_identity()
    good = kind.wrap(kind.recipient_of(mine), Secret(bytes(FILE_KEY_BYTES)))
    share = decode_base64(good.arguments[1])
    for bad in (
        Stanza((kind.stanza,), good.body),
        Stanza((*good.arguments, "more"), good.body),
        Stanza(good.arguments, good.body + b"x"),
        Stanza((kind.stanza, encode_base64(share[:-1])), good.body),
        Stanza((kind.stanza, encode_base64(share + b"\0")), good.body),
    ):
        with pytest.raises(BadInputError):
            kind.unwrap(bad, mine)


@EACH_KIND
def test_a_share_of_low_order_opens_nothing(kind: Kind) -> None:
    """A share whose secret everybody knows is refused as a lie, or as somebody else's."""
    mine = new_identity()
    good = kind.wrap(kind.recipient_of(mine), Secret(bytes(FILE_KEY_BYTES)))
    share = decode_base64(good.arguments[1])[:-32] + bytes(32)
    try:
        unwrapped = kind.unwrap(Stanza((kind.stanza, encode_base64(share)), good.body), mine)
    except BadInputError:
        unwrapped = None
    assert unwrapped is None


@EACH_KIND
@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: key + b"\0", lambda key: key[:-32] + bytes(32)])
def test_refuses_keys_that_no_one_can_have(kind: Kind, change: type[bytes]) -> None:
    """A recipient that is too short, too long or of low order is refused."""
    with pytest.raises(BadInputError, match="not a usable"):
        kind.wrap(change(kind.recipient_of(new_identity())), Secret(bytes(FILE_KEY_BYTES)))


def test_refuses_a_post_quantum_key_out_of_range() -> None:
    """Coefficients that are no residues are refused, as FIPS 203 7.2 demands."""
    hybrid = KINDS[1]
    key = hybrid.recipient_of(new_identity())
    with pytest.raises(BadInputError, match="not a usable"):
        hybrid.wrap(b"\xff" * 1152 + key[1152:], Secret(bytes(FILE_KEY_BYTES)))
