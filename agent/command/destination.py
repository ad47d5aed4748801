"""Who may open the clip and where it may go: names of the trust bundle, a command brings no key of its own."""

from __future__ import annotations

import re
from typing import Final

from agent.clock import WallTime
from agent.command.claims import UploadClaim
from agent.command.refused import RefusedError
from agent.command.request import Recipient, RefusalReason, UploadMethod, UploadTarget
from agent.command.trust import TrustBundle
from agent.command.words import wall_time
from agent.crypto import Secret

# A narrow grammar instead of a URL parser: no userinfo, fragment or backslash, so no library can read it otherwise.
_URL: Final = re.compile(r"https://([a-z0-9.-]{1,253})(:[1-9][0-9]{0,4})?/[A-Za-z0-9._~/%+,;=&?-]*", re.ASCII)
_DEFAULT_PORT: Final = ":443"


def choose_recipients(ids: tuple[str, ...], trust: TrustBundle, now: WallTime) -> tuple[Recipient, ...]:
    """Look up the recipients (step 7a): known, in date, named once, all of one kind. Raises RefusedError."""
    in_date = {one.id: one for one in trust.recipients if wall_time(one.nbf) <= now < wall_time(one.exp)}
    unknown = [name for name in ids if name not in in_date]
    if unknown or len(set(ids)) != len(ids):
        raise RefusedError(RefusalReason.RECIPIENT_UNKNOWN, f"not in the trust bundle, or twice: {unknown[:1]}")
    chosen = [in_date[name] for name in ids]
    # c2sp.org/age: one classical recipient would undo the protection of all post-quantum ones.
    if len({one.is_post_quantum for one in chosen}) != 1:
        raise RefusedError(RefusalReason.RECIPIENT_MIXED, "classical and post-quantum recipients in one command")
    return tuple(Recipient(one.id, one.age) for one in chosen)


def choose_target(upload: UploadClaim, trust: TrustBundle) -> UploadTarget:
    """Check that upload and receipts go to one listed host, over https (step 7b). Raises RefusedError."""
    host, receipts_host = host_of(upload.url), host_of(upload.receipts_url)
    if not host or host not in listed_hosts(trust):
        raise RefusedError(RefusalReason.UPLOAD_HOST, "the upload URL is not https on a host of the trust bundle")
    if receipts_host != host:
        raise RefusedError(RefusalReason.UPLOAD_HOST, "the receipts URL is not on the upload host")
    return UploadTarget(upload.url, upload.receipts_url, Secret(upload.token), UploadMethod(upload.method))


def check_source(url: str, trust: TrustBundle) -> None:
    """Check that something is fetched from a listed host over https (step 7c). Raises RefusedError."""
    if host_of(url) not in listed_hosts(trust):
        raise RefusedError(RefusalReason.UPLOAD_HOST, "the URL is not https on a host of the trust bundle")


def listed_hosts(trust: TrustBundle) -> frozenset[str]:
    """Return the hosts that parts may go to, as `host_of` writes them."""
    return frozenset(one.removesuffix(_DEFAULT_PORT) for one in trust.upload_hosts)


def host_of(url: str) -> str:
    """Return `host` or `host:port` of an https URL, without the default port; empty if it is not of the narrow kind."""
    match = _URL.fullmatch(url)
    return "" if match is None else (match[1] + (match[2] or "")).removesuffix(_DEFAULT_PORT)
