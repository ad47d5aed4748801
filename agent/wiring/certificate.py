"""Builds what renews the hub's certificate, for the daemon."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from agent.clock import Clock, WallTime
from agent.health.watch import HealthWatch
from agent.maintenance.certificate_watch import BrokerConnection, CertificateWatch
from agent.outside.hub_certificate import HubCertificate
from agent.outside.tls_dates import follow_clock
from agent.ports import Audit
from provisioning.enrolment import Enrolment
from provisioning.renewal_https import RenewalDesk
from provisioning.store import IdentityStore


def hub_certificate(identity: IdentityStore, enrolment: Enrolment, clock: Clock) -> HubCertificate:
    """Return an enrolled hub's pairs of key and certificate; nobody renews them if its server named nobody."""
    by_clock = partial(follow_clock, clock=clock)
    desk = None
    if enrolment.renewal is not None:
        factory = identity.load_factory()
        desk = RenewalDesk(factory, identity.credentials, enrolment.renewal, before_connecting=by_clock)
    return HubCertificate(identity.credentials, desk, by_clock)


def watched_certificate(
    certificate: HubCertificate,
    broker: BrokerConnection,
    clock: Clock,
    audit: Audit,
    known: Callable[[], WallTime],
    health: HealthWatch,
    on_change: Callable[[], None],
) -> CertificateWatch:
    """Return the watch over them; what it finds is part of the hub's health, and a change is told at once."""

    def changed() -> None:
        health.look()
        on_change()

    watch = CertificateWatch(certificate, broker, clock, audit, known, changed)
    health.watch_certificate(watch.vitals)
    return watch
