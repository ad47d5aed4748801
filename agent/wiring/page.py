"""The daemon's page for the owner: builds it, serves it for as long as the hub is in service, says where it is."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from agent.acquire.stream import CameraId
from agent.clock import Clock
from agent.config import OwnerPage as PageConfig
from agent.crypto import Secret
from agent.errors import UnavailableError
from agent.health.vitals import HubVitals, PageVitals
from agent.outside.audit_file import AuditFile
from agent.outside.audit_reading import AuditReader
from agent.outside.database import Database
from agent.outside.page_certificate import fingerprint_of, page_certificate, page_key, page_tls
from agent.outside.page_server import PageServer
from agent.owner_page import OwnerPage, PageSettings
from agent.owner_reading import Reading
from agent.page_ports import PageLimits
from agent.trust.documents import Desk

log: Final = logging.getLogger("transom.page")
KIB: Final = 1024


@dataclass(frozen=True, slots=True)
class PageParts:
    """What of an enrolled hub the page shows, and where it hands the owner's words on."""

    config: PageConfig
    key_encryption_key: Secret
    clock: Clock
    desk: Desk
    journal: Database
    audit: AuditFile
    answer: Callable[[str], None]
    vitals: Callable[[], HubVitals | None]
    names: Callable[[], Mapping[CameraId, str]]
    on_policy: Callable[[], None]


@contextlib.asynccontextmanager
async def served_page(parts: PageParts) -> AsyncIterator[PageVitals | None]:
    """Serve the page until the block ends; None where it cannot be: the hub does its work all the same."""
    config, desk = parts.config, parts.desk

    def take_policy(token: bytes) -> bool:
        is_taken = desk.take_policy(token)
        if is_taken:
            parts.on_policy()
        return is_taken

    page = OwnerPage(
        standing=lambda: desk.standing,
        journal=parts.journal,
        audit=parts.audit,
        clock=parts.clock,
        reading=Reading(
            standing=lambda: desk.standing,
            journal=parts.journal,
            log=AuditReader(parts.audit),
            clock=parts.clock,
            vitals=parts.vitals,
            names=parts.names,
        ),
        answer=parts.answer,
        take_policy=take_policy,
        random=os.urandom,
        settings=PageSettings(config.names, config.sessions_max, config.session_min * 60),
    )
    key = page_key(parts.key_encryption_key)
    certificate = page_certificate(key)
    server = PageServer(page_tls(key, certificate), _limits(config), page.respond, parts.clock)
    try:
        port = await server.start(config.address, config.port)
    except UnavailableError as error:
        log.warning("%s", error)
        yield None
        return
    try:
        shown = PageVitals(config.address, port, fingerprint_of(certificate))
        log.info("the owner's page is at port %d, its certificate's SHA-256 is %s", port, shown.fingerprint)
        yield shown
    finally:
        await server.stop()


def _limits(config: PageConfig) -> PageLimits:
    return replace(
        PageLimits(),
        connections=config.connections_max,
        header_bytes=config.header_kib_max * KIB,
        body_bytes=config.body_kib_max * KIB,
        request_s=config.request_s_max,
        requests_per_minute=config.requests_per_minute_max,
    )
