"""Addresses that a camera writes (stream, control and redirect URLs) to ones that may stand in a request of ours.

Rules of this file: never raises; what cannot be used is an empty string, or the address it was relative to.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

URL_BYTES_MAX: Final = 2048
# Printable ASCII without blanks: nothing can be smuggled into a request line.
_ALLOWED: Final = re.compile(r"[!-~]+")
_ABSOLUTE: Final = re.compile(r"[a-zA-Z]+://")
_SCHEMES: Final = frozenset({"rtsp", "rtsps", "rtspu"})
_TLS: Final = "rtsps"


def usable_url(url: str) -> str:
    """Return `url` without userinfo if it can stand in an RTSP request line, else an empty string."""
    if len(url) > URL_BYTES_MAX or not _ALLOWED.fullmatch(url):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:  # a broken IPv6 address
        return ""
    if parts.scheme.lower() not in _SCHEMES or not parts.netloc:
        return ""
    # A camera may echo the login of another client in its URLs; it is never sent, shown or stored.
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else url


def is_tls(url: str) -> bool:
    """Whether a usable URL asks for RTSP over TLS."""
    return url[: len(_TLS) + 1].lower() == f"{_TLS}:"


def is_dialable(url: str) -> bool:
    """Whether a session can begin at this URL: `rtsp` or `rtsps`, with a host, without userinfo."""
    return usable_url(url) == url and url.partition(":")[0].lower() in {"rtsp", _TLS} and _host(url) != ""


def resolved(control: str, base_url: str) -> str:
    """Resolve a control attribute; anything that cannot stand in a request line falls back to the base.

    Cameras mean "append to the base", also after a query string and without the slash that RFC 3986 would need. An
    absolute URL keeps the base's scheme: cameras behind TLS go on to write `rtsp://` in their descriptions.
    """
    if control in {"", "*"}:
        return base_url
    scheme = base_url.partition("://")[0]
    if _ABSOLUTE.match(control):
        url = usable_url(control)
        return usable_url(f"{scheme}://{url.partition('://')[2]}") or base_url
    if control.startswith("/"):
        return usable_url(f"{scheme}://{urlsplit(base_url).netloc}{control}") or base_url
    return usable_url(base_url + ("" if base_url.endswith("/") else "/") + control) or base_url


def redirected(url: str, location: str) -> str:
    """Return where a redirection leads from `url`, or an empty string if it must not be followed.

    It must stay on the host that was dialed, on any port, and must not leave TLS.
    """
    target = resolved(location, url) if location.startswith("/") else usable_url(location)
    if not is_dialable(target) or _host(target) != _host(url) or (is_tls(url) and not is_tls(target)):
        return ""
    try:
        _ = urlsplit(target).port
    except ValueError:
        return ""
    return target


def is_same_host(address: str, url: str) -> bool:
    """Whether a bare address in an answer is the host of `url`; also if it is no IP address at all, or `0.0.0.0`."""
    try:
        named = ipaddress.ip_address(address)
    except ValueError:
        return True
    return named.is_unspecified or str(named) == _host(url)


def _host(url: str) -> str:
    """Return the host in one spelling, an empty string if there is none."""
    name = urlsplit(url).hostname or ""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()
