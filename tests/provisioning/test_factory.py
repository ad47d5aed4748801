"""A hub is made with secrets of its own, and its public record holds none of them."""

from __future__ import annotations

import pytest

from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.hub_id import checked_hub_id, make_hub_id
from provisioning.secret import secret_text


def test_two_hubs_share_nothing() -> None:
    """Ids, keys and secrets are made anew for each hub."""
    one, two = make_identity("hub.example", 0), make_identity("hub.example", 0)
    assert one.hub_id != two.hub_id
    assert one.record.key_pin != two.record.key_pin
    secrets = {hub.reveal() for made in (one, two) for hub in (made.label_secret, made.owner_secret)}
    assert len(secrets) == 4


def test_nothing_secret_is_printed(identity: FactoryIdentity) -> None:
    """A hub's identity and its operator's record can be logged by accident."""
    shown = f"{identity!r} {identity.record!r} {identity.label!r} {identity.label_secret}"
    for secret in (identity.label_secret, identity.owner_secret):
        assert secret_text(secret) not in shown
        assert repr(secret.reveal()) not in shown


def test_hub_ids_sort_by_their_time() -> None:
    """A ULID begins with its milliseconds: the example of the ULID specification."""
    assert make_hub_id(1_469_918_176_385, bytes(10)).startswith("01ARYZ6S41")
    assert make_hub_id(1, b"\xff" * 10) < make_hub_id(2, bytes(10))
    assert checked_hub_id(make_hub_id(2**48 - 1, b"\xff" * 10)) == "7" + "Z" * 25


@pytest.mark.parametrize(
    "text", ["", "01JD3Q7Z8X5M2K9P4R6T8V0W1", "01JD3Q7Z8X5M2K9P4R6T8V0W1U", "../../etc/passwd", "8" * 26]
)
def test_a_name_that_is_no_ulid_is_refused(text: str) -> None:
    """A wrong length, a letter outside Crockford's alphabet or an overflow is refused."""
    with pytest.raises(BadInputError):
        make_identity("hub.example", 0, text or "?")
