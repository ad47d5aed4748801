"""Labels and owner cards: small codes, readable words, and two different secrets."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.errors import BadInputError
from provisioning.factory import FactoryIdentity
from provisioning.label import LabelKind, label_svg, read_label
from provisioning.qr_drawing import code_version
from provisioning.secret import secret_text


def test_a_label_is_a_small_code_that_any_phone_opens(identity: FactoryIdentity) -> None:
    """The text is an HTTPS URL of 75 characters in capitals: version 3."""
    assert identity.label.url == f"HTTPS://HUB.EXAMPLE/S/{identity.hub_id}/{secret_text(identity.label_secret)}"
    assert len(identity.label.url) == 75
    assert code_version(identity.label.url) == 3


def test_label_and_card_read_back(identity: FactoryIdentity) -> None:
    """What was printed is what is read, and the two kinds are told apart."""
    for label, kind in ((identity.label, LabelKind.LABEL), (identity.owner_card, LabelKind.OWNER_CARD)):
        read = read_label(label.url)
        assert (read.kind, read.host, read.hub_id) == (kind, "hub.example", identity.hub_id)
        assert read.secret.reveal() == label.secret.reveal()
    assert identity.label_secret.reveal() != identity.owner_secret.reveal()


def test_the_drawing_says_in_words_what_the_code_says(identity: FactoryIdentity) -> None:
    """Id and secret stand beside the code, so that a broken phone camera is not the end."""
    drawing = ET.fromstring(label_svg(identity.label))  # noqa: S314 - our own drawing
    words = "".join("".join(element.itertext()) for element in drawing.iter("{http://www.w3.org/2000/svg}text"))
    assert identity.hub_id in words
    assert secret_text(identity.label_secret) in words


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.lower(),
        lambda url: url.replace("/S/", "/X/"),
        lambda url: url[:-1],
        lambda url: url + "A",
        lambda url: url.replace("HTTPS", "HTTP"),
        lambda url: url[:-26] + "1" * 26,
        lambda url: url[:-1] + "B",
    ],
)
def test_a_changed_label_is_refused(identity: FactoryIdentity, change: object) -> None:
    """Another scheme, kind, length or alphabet is not a label."""
    assert callable(change)
    label = identity.label.url
    changed = change(label[:-1] + "A")
    with pytest.raises(BadInputError):
        read_label(changed)


@given(st.text(max_size=100) | st.text(max_size=30).map(lambda end: f"HTTPS://A/S/{end}"))
def test_no_other_text_is_a_label(text: str) -> None:
    """Any other text is refused with one kind of error."""
    with pytest.raises(BadInputError):
        read_label(text)
