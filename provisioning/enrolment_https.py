"""A claim that a camera saw becomes an enrolment on disk, over one TLS 1.3 connection to the server that it pins.

Rules of this file: nothing is sent before the server has proven the pinned key, and the code is noted as used before
it is sent; whatever goes wrong after that needs a fresh claim.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import ssl
from collections.abc import Callable, Iterator
from typing import Final

from provisioning.claim import Claim, open_claim
from provisioning.conversation import CONVERSATION_S_MAX, SERVER_ERRORS, post, tls_1_3, tls_conversation
from provisioning.enrolment import ANSWER_BYTES_MAX, Enrolment, finish_enrolment, start_enrolment
from provisioning.errors import BadInputError, ConfigurationError, UnavailableError
from provisioning.keys import certificate_pin
from provisioning.store import HubState, IdentityStore

ENROL_PATH: Final = "/enrol"


def enrol(
    store: IdentityStore,
    claim_text: str,
    *,
    evidence_key: bytes,
    now_s: int,
    check: Callable[[Enrolment], None] = lambda _: None,
    conversation_s_max: float = CONVERSATION_S_MAX,
) -> Enrolment:
    """Enrol a blank hub by the text of a claim code; blocking. `evidence_key` is its raw Ed25519 public key.

    `check` may raise BadInputError for an answer that the hub cannot live with; then nothing of it is kept.
    Raises BadInputError (not a claim for this hub, or the server's answer lies), UnavailableError (no server; the claim
    is still good if the text says so), ConfigurationError (this hub is not blank).
    """
    # 1. The hub is blank, and the claim is for it.
    if store.state() is not HubState.BLANK:
        raise ConfigurationError("this hub is enrolled already", cure="a factory reset makes it blank again")
    identity = store.load_factory()
    claim = open_claim(claim_text, identity.label_secret, now_s)
    # 2. The server holds the pinned key.
    with _pinned_connection(claim, conversation_s_max) as connection:
        # 3. The code is spent, whatever happens from here on.
        store.spend_code(claim.code)
        # 4. One request, one answer, checked before any of it is kept.
        attempt = start_enrolment(identity, claim, evidence_key)
        enrolment = finish_enrolment(attempt, _post(connection, attempt.request))
        check(enrolment)
    store.save_enrolment(enrolment, attempt.mtls_key)
    return enrolment


@contextlib.contextmanager
def _pinned_connection(claim: Claim, conversation_s_max: float) -> Iterator[http.client.HTTPConnection]:
    context = tls_1_3()
    # Trust is the pin of the authenticated claim, checked below: the operator's name may be new and its CA unknown.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    cure = "check the network; the claim code is still good"
    with tls_conversation(claim.host, claim.port, context, conversation_s_max, cure) as (connection, server):
        _check_pin(server, claim)
        yield connection


def _check_pin(server: ssl.SSLSocket, claim: Claim) -> None:
    certificate = server.getpeercert(binary_form=True)
    if certificate is None or not hmac.compare_digest(certificate_pin(certificate), claim.server_pin):
        raise BadInputError(
            f"{claim.host}:{claim.port} is not the server of this claim code: nothing was sent",
            cure="somebody may be listening in on this network; try another one, and tell the operator",
        )


def _post(connection: http.client.HTTPConnection, request: bytes) -> bytes:
    cure = "make a new claim code in the installer's app"
    status, answer = post(connection, ENROL_PATH, request, ANSWER_BYTES_MAX, cure)
    if status >= SERVER_ERRORS:
        raise UnavailableError(f"the server answered {status}", cure="try again with a new claim code")
    if status != http.client.OK:
        raise BadInputError(f"the server refused the claim ({status})", cure="make a new claim code")
    return answer
