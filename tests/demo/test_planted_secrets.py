"""The search for planted secrets finds each spelling: a search that overlooks is worse than none."""

from __future__ import annotations

import base64
import html
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulators.planted_secrets import Searcher, digest_keys, watched_processes

PASSWORD = "Gr@n:d/5%#ö? &\"Tür'x"  # noqa: S105 - a planted one
SEARCHER = Searcher({"password": PASSWORD.encode(), "key": bytes(range(32))})


@pytest.mark.parametrize(
    "shown",
    [
        PASSWORD,
        f"rtsp://hub:{quote(PASSWORD, safe='')}@camera/",
        f"rtsp://hub:{quote(PASSWORD, safe='').lower()}@camera/",
        json.dumps({"password": PASSWORD}),
        f"<Password>{html.escape(PASSWORD, quote=False)}</Password>",
        repr({"password": PASSWORD}),
        repr(PASSWORD.encode()),
        "Basic " + base64.b64encode(f"hub:{PASSWORD}".encode()).decode(),
        "Basic " + base64.b64encode(f"hub:{PASSWORD}".encode("latin-1")).decode(),
        PASSWORD.encode().hex(),
    ],
)
def test_a_password_is_found_in_every_spelling(shown: str) -> None:
    """As a URL, JSON, XML, a repr, a header or a dump has it."""
    assert SEARCHER.found_in(f"before {shown} behind".encode()) == {"password"}


@given(st.binary(max_size=8), st.binary(max_size=8))
def test_a_key_is_found_wherever_it_lies(before: bytes, behind: bytes) -> None:
    """Raw, or in the middle of something in base64 whose lines are broken."""
    content = before + bytes(range(32)) + behind
    assert "key" in SEARCHER.found_in(content)
    assert "key" in SEARCHER.found_in(base64.encodebytes(content))
    assert "key" in SEARCHER.found_in(base64.urlsafe_b64encode(content))


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    """Other texts are none of the secrets; a file's name is looked at too."""
    (tmp_path / "clean").write_bytes(bytes(1 << 20) + b"nothing")
    assert SEARCHER.found_below(tmp_path) == {}
    (tmp_path / PASSWORD.replace("/", "")).touch()
    (tmp_path / bytes(range(32)).hex()).touch()
    assert SEARCHER.found_below(tmp_path) == {bytes(range(32)).hex(): {"key"}}


def test_a_process_is_seen() -> None:
    """Its arguments and its environment."""
    with watched_processes() as seen:
        subprocess.run(
            [sys.executable, "-c", "import time; time.sleep(1)", "argued"], env={"SAID": "silently"}, check=True
        )
    assert any(b"argued" in one for one in seen)
    assert any(b"silently" in one for one in seen)


def test_the_key_of_a_digest_login_is_a_secret_too() -> None:
    """RFC 7616 section 3.9.1 has the MD5 of its example; both hashes are looked for."""
    known = list(digest_keys("Mufasa", "http-auth@example.org", "Circle of Life"))
    assert [len(one) for one in known] == [32, 16]
    assert known[1].hex() == "3d78807defe7de2157e2b0b6573a855f"
