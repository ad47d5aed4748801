"""A small central server: enrols the hub, keeps what it uploads, and is the agency's console on MQTT.

Everything in one place here; in the real world the operator's server, the agency's store and the officer's console are
different parties, and none of them can do another's part: the keys are separate here too.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.clock import WallTime
from agent.demo.authority import Authority
from agent.demo.broker import Broker
from agent.demo.pki import Authority as CertificateAuthority
from agent.demo.signer import Signer
from agent.demo.store import Store
from agent.demo.witness import LogWitness
from agent.errors import UnavailableError
from agent.evidence.note import Verifier
from agent.signing import public_jwk
from provisioning.claim import CLAIM_LIFETIME_S, Claim
from provisioning.enrolment import Broker as BrokerPlace
from provisioning.enrolment import RenewalServer
from provisioning.errors import BadInputError
from provisioning.factory import FactoryRecord
from provisioning.issuing import CERTIFICATE_LIFETIME, HubAuthority
from provisioning.keys import certificate_pin
from provisioning.registrar import accept_enrolment, read_request, request_code, write_answer
from provisioning.reissue import HubKeys, accept_confirmation, accept_renewal, read_confirmation, read_renewal

PAIRING_EPOCH: Final = 1
SITE: Final = "Bakery, Main Street 4"
START_S_MAX: Final = 10.0
REQUEST_BYTES_MAX: Final = 64 * 1024


@dataclass
class Enrolments:
    """What the operator's server knows of hubs."""

    records: dict[str, FactoryRecord] = field(default_factory=dict)
    codes: dict[bytes, tuple[str, float]] = field(default_factory=dict)
    evidence_keys: dict[str, Verifier] = field(default_factory=dict)
    keys: dict[str, HubKeys] = field(default_factory=dict)  # of whose certificates which may be renewed


class CentralServer:
    """HTTPS on a free port of the authority's address; start it with `start`, end it with `stop`."""

    def __init__(
        self,
        folder: Path,
        certificates: CertificateAuthority,
        authority: Authority,
        broker: Broker,
        store: Store,
        recipients: dict[str, str],
    ) -> None:
        self.enrolments = Enrolments()
        self.store = store
        self.store_host = ""  # of a store that runs elsewhere; empty: it is here
        self._certificates, self._authority, self._broker = certificates, authority, broker
        self._recipients = recipients
        self.witness = LogWitness("central.example/witness")
        certificate, key = certificates.issue_server(folder, "central")
        application = Starlette(
            routes=[
                Route("/enrol", partial(self._decide, self._accept), methods=["POST"]),
                Route("/renew", partial(self._decide, self._renew), methods=["POST"]),
                Route("/renewed", partial(self._decide, self._confirm), methods=["POST"]),
                *store.routes(),
                *Signer(store).routes(),
            ]
        )
        self._config = config = uvicorn.Config(
            application,
            host=certificates.address,
            port=0,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            log_level="warning",
            lifespan="off",
            access_log=False,
        )
        config.load()
        if config.ssl is None:
            raise RuntimeError("uvicorn without TLS")
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        self.ahead_ns = 0  # of the machine's clock: a server that has another idea of the time
        self.hub_life = CERTIFICATE_LIFETIME  # of the certificates that it issues to hubs
        self._renewing = threading.Lock()
        self.signs_time = True  # lists the clock's key in its trust bundles
        self._server: uvicorn.Server
        self._thread: threading.Thread
        self._pin = certificate_pin(ssl.PEM_cert_to_DER_cert(certificate.read_text().strip()))
        self.port = 0

    @property
    def host(self) -> str:
        """Where it listens, as `host:port`."""
        return f"{self._certificates.address}:{self.port}"

    def start(self) -> None:
        """Listen, on the same port again after `stop`; returns when requests are answered."""
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(
            target=asyncio.run, args=(_serve(self._server),), name="central server", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + START_S_MAX
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise UnavailableError("the central server did not start")
            time.sleep(0.01)
        self._config.port = self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End it, connections included."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(START_S_MAX)

    def make_claim(self, hub: str) -> Claim:
        """Make a claim for a logged-in installer: a one-use code and where to redeem it."""
        code, expires_s = secrets.token_bytes(16), int(time.time()) + CLAIM_LIFETIME_S
        self.enrolments.codes[code] = (hub, expires_s)
        return Claim(self._certificates.address, self.port, code, self._pin, expires_s)

    def trust_bundle(self, now: WallTime, version: int = 1) -> bytes:
        """Sign what hubs may trust: roots, recipients, where to upload, whose receipts to believe."""
        claims = self._authority.trust_claims(
            now,
            recipients=self._recipients,
            upload_hosts=[self.store_host or self.host],
            tls_anchors=[self._certificates.pem],
            witnesses=[str(self.witness)],
            time_keys=[public_jwk(self._authority.clock)] if self.signs_time else [],
            version=version,
        )
        return self._authority.trust_bundle(claims)

    def cosign(self, hub: str, request: str) -> str:
        """Cosign a hub's checkpoint if its log follows from what was seen of it before. Raises BadInputError."""
        return self.witness.cosign(request, self.enrolments.evidence_keys[hub], WallTime(time.time_ns()))

    def now(self) -> WallTime:
        """Read the server's clock."""
        return WallTime(time.time_ns() + self.ahead_ns)

    def tell_time(self, request: bytes) -> str:
        """Answer a hub that does not know the time."""
        return self._authority.signed_time(self.now(), request)

    async def _decide(self, accept: Callable[[bytes], Response], request: Request) -> Response:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > REQUEST_BYTES_MAX:
                return Response("too large", 413)
        try:
            return await run_in_threadpool(accept, bytes(body))
        except BadInputError as error:
            return Response(str(error), 403)

    def _accept(self, body: bytes) -> Response:
        asked, now_s = read_request(body), int(time.time())
        hub, expires_s = self.enrolments.codes.pop(request_code(asked), ("", 0.0))
        accepted = accept_enrolment(
            asked,
            self.enrolments.records.get(asked.hub_id),
            is_code_valid=hub == asked.hub_id and now_s <= expires_s,
            server_pin=self._pin,
            authority=self._hub_authority,
            now_s=now_s,
        )
        self.enrolments.keys[accepted.hub_id] = HubKeys(accepted.key_pin)
        self.enrolments.evidence_keys[accepted.hub_id] = Verifier(accepted.hub_id, accepted.evidence_key)
        answer = write_answer(
            accepted,
            broker=BrokerPlace(self._certificates.address, self._broker.port, self._certificates.pem),
            trust_bundle=self.trust_bundle(WallTime(time.time_ns())).decode(),
            trust_roots=[dict(public_jwk(root)) for root in self._authority.roots],
            pairing_epoch=PAIRING_EPOCH,
            site=SITE,
            now_s=now_s,
            renewal=self._renewal_server() if asked.version > 1 else None,
        )
        return Response(answer, media_type="application/json")

    def _renew(self, body: bytes) -> Response:
        asked, known = read_renewal(body), self.enrolments
        record, authority, now_s = known.records.get(asked.hub_id), self._hub_authority, int(time.time())
        with self._renewing:
            keys = known.keys.get(asked.hub_id)
            answer, known.keys[asked.hub_id] = accept_renewal(asked, record, keys, authority=authority, now_s=now_s)
        return Response(answer, media_type="application/json")

    def _confirm(self, body: bytes) -> Response:
        told, known = read_confirmation(body), self.enrolments
        authority, now_s = self._hub_authority, int(time.time())
        with self._renewing:
            keys = known.keys.get(told.hub_id)
            known.keys[told.hub_id] = accept_confirmation(told, keys, authority=authority, now_s=now_s)
        return Response(status_code=204)

    @property
    def _hub_authority(self) -> HubAuthority:
        return HubAuthority(self._certificates.key, self._certificates.certificate, self.hub_life)

    def _renewal_server(self) -> RenewalServer:
        return RenewalServer(self._certificates.address, self.port, self._certificates.pem)


async def _serve(server: uvicorn.Server) -> None:
    """Serve until told to end, then drop who is still connected: uvicorn would leave TLS connections open."""
    await server.serve()
    for connection in list(server.server_state.connections):
        if connection.transport is not None:
            connection.transport.abort()
    await asyncio.sleep(0)
