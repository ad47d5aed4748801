"""How a demo that keeps running tells of the owner's page; the question is tried in tests/stories."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from agent.demo.authority import Owner
from agent.demo.owner_visit import owner_page, print_owner_page
from agent.demo.site import Site
from agent.errors import UnavailableError
from agent.health.vitals import PageVitals
from agent.signing import key_from_jwk, thumbprint


def test_it_says_how_to_log_in() -> None:
    """Address, fingerprint and key file are there letter by letter, whatever they look like to a terminal."""
    told = StringIO()
    page = PageVitals("127.0.0.1", 8443, "2E:AB:86:ON:[red]")
    print_owner_page(Console(file=told, width=40), page, Path("/tmp/[bold]/key.jwk"))  # noqa: S108 - only printed
    for words in ("https://127.0.0.1:8443/", page.fingerprint, "/tmp/[bold]/key.jwk"):  # noqa: S108 - likewise
        assert words in told.getvalue()


def test_the_owners_key_is_a_file_of_their_own(tmp_path: Path) -> None:
    """A private JWK that nobody else can read."""
    owner = Owner("hub-1")
    owner.write_key(tmp_path / "owner" / "key.jwk")
    path = tmp_path / "owner" / "key.jwk"
    assert path.stat().st_mode & 0o077 == 0
    read = key_from_jwk(json.loads(path.read_text()))
    assert read.is_private
    assert thumbprint(read) == thumbprint(owner.key)


def test_a_hub_without_a_page_is_told(tmp_path: Path) -> None:
    """Whoever waits for it in vain learns where to look."""
    with pytest.raises(UnavailableError, match=r"hub\.log"):
        owner_page(Site(tmp_path), within_s=0)
