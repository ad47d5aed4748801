"""Values to HTML by the templates beside this file, and the files that pages name; nothing comes from elsewhere.

Rules of this file: every value is escaped by the engine, and an unknown one is an error; no template marks anything as
safe. What the browser may load and do is said here, once, for every answer.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.page_ports import PageResponse

_HERE: Final = Path(__file__).parent
ASSETS: Final = MappingProxyType(
    {
        "/icon.svg": ("image/svg+xml", "icon.svg"),
        "/page.css": ("text/css; charset=utf-8", "page.css"),
        "/page.js": ("text/javascript; charset=utf-8", "page.js"),
        "/keys.js": ("text/javascript; charset=utf-8", "keys.js"),
    }
)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Final = MappingProxyType(
    {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=()",
        "cache-control": "no-store",
    }
)
"""No `Strict-Transport-Security`: for an IP address it means nothing, by a name it would forbid to look and compare."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def draw(template: str, **values: object) -> str:
    """Fill a template; every value is escaped."""
    return _templates().get_template(f"{template}.html").render(**values)


def page(status: int, template: str, **values: object) -> PageResponse:
    """Answer a page."""
    headers = {**HEADERS, "content-type": "text/html; charset=utf-8"}
    return PageResponse(status, headers, draw(template, **values).encode())


def said(status: int, content: bytes, kind: str = "application/json") -> PageResponse:
    """Answer what a page's script asked."""
    return PageResponse(status, {**HEADERS, "content-type": kind}, content)


def asset(path: str) -> PageResponse:
    """Answer one of the files that pages name."""
    kind, name = ASSETS[path]
    return said(200, _read(name), kind)


@cache
def _read(name: str) -> bytes:
    return (_HERE / "assets" / name).read_bytes()
