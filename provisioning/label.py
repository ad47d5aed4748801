"""The label on the hub and the sealed card for its owner: one code each, with the same words beside it for people."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

from provisioning.errors import BadInputError
from provisioning.hub_id import checked_hub_id
from provisioning.qr_drawing import QUIET_ZONE_MODULES, draw_matrix
from provisioning.secret import Secret, read_secret, secret_text

LABEL_CHARACTERS_MAX: Final = 195
"""QR version 6-L; with a host of up to 16 characters a label is version 4 or smaller."""
_URL: Final = re.compile(r"HTTPS://([A-Z0-9.-]{1,120})/([SO])/([^/]{26})/([^/]{26})")


class LabelKind(StrEnum):
    """Which of the two secrets a code carries; the value stands in its URL."""

    LABEL = "S"
    """On the hub's outside: for the installer. It enrols, and is dead afterwards."""
    OWNER_CARD = "O"
    """Sealed, in the box: for the owner. It pairs, together with the button on the hub."""


@dataclass(frozen=True, slots=True)
class Label:
    """What one label or card says."""

    kind: LabelKind
    host: str
    """Where a phone's browser finds the app; the hub itself never connects to it."""
    hub_id: str
    secret: Secret

    @property
    def url(self) -> str:
        """The code's text: capitals only, so that it fits a small QR code."""
        return f"HTTPS://{self.host.upper()}/{self.kind}/{self.hub_id}/{secret_text(self.secret)}"


def read_label(url: str) -> Label:
    """Read the URL of a label or card. Raises BadInputError."""
    match = _URL.fullmatch(url) if len(url) <= LABEL_CHARACTERS_MAX else None
    if match is None:
        raise BadInputError("not a hub's label", cure="scan the code on the hub or on the owner card")
    return Label(LabelKind(match[2]), match[1].lower(), checked_hub_id(match[3]), read_secret(match[4]))


def label_svg(label: Label) -> str:
    """Draw a label of 70 x 30 mm (SVG): the code on the left, and what it says, readable, on the right."""
    rows = draw_matrix(label.url)
    side = len(rows) + 2 * QUIET_ZONE_MODULES
    dark = "".join(
        f"M{x + QUIET_ZONE_MODULES},{y + QUIET_ZONE_MODULES}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, is_dark in enumerate(row)
        if is_dark
    )
    text = "".join(
        f'<text x="31" y="{7 + 4.2 * line:.1f}" font-size="{3.4 if line == 0 else 2.6}">{escape(words)}</text>'
        for line, words in enumerate(_words(label))
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="70mm" height="30mm" viewBox="0 0 70 30" '
        'font-family="DejaVu Sans Mono, monospace"><rect width="70" height="30" fill="white"/>'
        f'<g transform="scale({30 / side:.5f})"><path d="{dark}" shape-rendering="crispEdges"/></g>{text}</svg>\n'
    )


def _words(label: Label) -> list[str]:
    secret = secret_text(label.secret)
    is_card = label.kind is LabelKind.OWNER_CARD
    return [
        "OWNER CARD - keep it" if is_card else "HUB",
        label.hub_id[:13],
        label.hub_id[13:],
        "owner code" if is_card else "setup code",
        secret[:13],
        secret[13:],
    ]
