"""Secrets that a test planted, and every spelling in which one could show: found in files, texts and processes.

A spelling is what some layer would make of a secret on its way out: a URL, a header, JSON, XML, a repr, a hex dump.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

SMALL_BYTES: Final = 4 * 1024 * 1024  # below it a file is looked at without its line ends too: PEM breaks its lines
LOOK_EVERY_S: Final = 0.2


def spellings(secret: bytes) -> frozenset[bytes]:
    """Spell a secret in every way that could give it away."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), *_base64_pieces(secret)}
    try:
        text = secret.decode()
    except UnicodeDecodeError:
        return frozenset(found)
    escaped = {text, quote(text, safe=""), quote(text), quote_plus(text), json.dumps(text)[1:-1], repr(text)[1:-1]}
    escaped |= {json.dumps(text, ensure_ascii=False)[1:-1], html.escape(text), html.escape(text, quote=False)}
    escaped |= {ascii(text)[1:-1], text.replace("\\", "\\\\").replace('"', '\\"'), text.replace('"', "&quot;")}
    escaped |= {quote(text, safe="").lower(), repr(secret)[2:-1]}
    found |= {one.encode() for one in escaped} | {text.encode("utf-16-le")}
    if all(ord(letter) < 1 << 8 for letter in text):
        latin = text.encode("latin-1")
        found |= {latin, *_base64_pieces(latin), quote(latin, safe="").encode()}
    return frozenset(found)


def digest_keys(user: str, realm: str, password: str) -> Iterator[bytes]:
    """Hash a login as HTTP Digest does (RFC 7616, H(A1)): whoever has that can log in as well as by the password."""
    a1 = f"{user}:{realm}:{password}".encode()
    yield hashlib.sha256(a1).digest()
    yield hashlib.md5(a1, usedforsecurity=False).digest()


class Searcher:
    """Looks for the spellings of secrets, by what each secret is called."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._spellings = {name: spellings(secret) for name, secret in secrets.items()}

    def found_in(self, content: bytes) -> set[str]:
        """Name the secrets that show in `content`."""
        whole = content.rstrip(b"\0")  # what a file has reserved and not written
        if len(whole) < SMALL_BYTES and b"\n" in whole:
            whole += b"\0" + whole.replace(b"\n", b"")
        return {name for name, forms in self._spellings.items() if any(form in whole for form in forms)}

    def found_below(self, folder: Path) -> dict[str, set[str]]:
        """Name the files and folders that show a secret, in what they hold or in how they are called."""
        found = {}
        for path in sorted(folder.rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            if shown := self.found_in(path.name.encode() + b"\0" + content):
                found[str(path.relative_to(folder))] = shown
        return found


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Gather how every process of this machine was called, and its environment as far as it can be seen."""
    seen: set[bytes] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(LOOK_EVERY_S):
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        seen.add((folder / name).read_bytes())
                    except OSError:
                        continue  # it has ended, or is closed

    thread = threading.Thread(target=look, name="process watch")
    thread.start()
    try:
        yield seen
    finally:
        time.sleep(LOOK_EVERY_S)
        is_over.set()
        thread.join()


def _base64_pieces(secret: bytes) -> set[bytes]:
    """Spell what a secret becomes inside a longer text in base64, wherever it begins there (3 octets are 4 letters)."""
    pieces = set()
    for before in range(3):
        padded = bytes(before) + secret
        letters = base64.b64encode(padded)[-(-before * 8 // 6) : len(padded) * 8 // 6]
        pieces |= {letters, letters.translate(bytes.maketrans(b"+/", b"-_"))}
    return pieces
