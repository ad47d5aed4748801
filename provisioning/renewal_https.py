"""A renewal over the network, step by step: each leaves the identity folder so that the next start can go on from it.

Rules of this file: the new key is on the disk before anybody is asked, the new pair before it is tried; nothing here
touches the present pair. Blocking; each conversation has one deadline.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable
from typing import Final

from provisioning.conversation import CONVERSATION_S_MAX, SERVER_ERRORS, post, tls_1_3, tls_conversation
from provisioning.credentials import CredentialStore, RenewalStage
from provisioning.enrolment import RenewalServer
from provisioning.errors import ConfigurationError, UnavailableError
from provisioning.factory import FactoryIdentity
from provisioning.keys import make_key
from provisioning.renewal import ANSWER_BYTES_MAX, finish_renewal, start_renewal, write_confirmation

RENEW_PATH: Final = "/renew"
CONFIRM_PATH: Final = "/renewed"
_LATER: Final = "the hub tries again by itself; see that it reaches the operator's server"
_REFUSED: Final = "ask the operator why; if it stays so, reset the hub and enrol it again"


class RenewalDesk:
    """Asks one server for one hub's certificates; `before_connecting` may change how TLS looks at dates."""

    def __init__(
        self,
        identity: FactoryIdentity,
        credentials: CredentialStore,
        server: RenewalServer,
        *,
        before_connecting: Callable[[ssl.SSLContext], None] = lambda _: None,
        conversation_s_max: float = CONVERSATION_S_MAX,
    ) -> None:
        self._identity, self._credentials, self._server = identity, credentials, server
        self._before_connecting, self._conversation_s_max = before_connecting, conversation_s_max

    def ask(self, now_s: int | None) -> None:
        """Get the next pair, and put it on trial; `now_s` is Unix time, None while nobody knows it.

        Raises UnavailableError (try later), BadInputError (the answer lies: try later all the same, the server may be
        mended), ConfigurationError (the server says no: a person must act).
        """
        # 1. The new key; one that asked before and got no answer asks again.
        key = self._credentials.next_key() if self._credentials.stage() is RenewalStage.ASKED else None
        if key is None:
            key = make_key()
            self._credentials.keep_next_key(key)
        # 2. One request, one answer, checked before any of it is kept.
        present = self._credentials.present_leaf()
        attempt = start_renewal(self._identity, self._credentials.present_key(), present, key)
        answer = self._post(RENEW_PATH, attempt.request, http.client.OK)
        chain_pem = finish_renewal(attempt, answer, now_s)
        # 3. The pair is whole.
        self._credentials.keep_next(key, chain_pem)

    def confirm(self) -> None:
        """Tell the server that the pair in force is the new one. Raises as `ask` does."""
        present = self._credentials.present_leaf()
        body = write_confirmation(self._identity.hub_id, self._credentials.present_key(), present)
        self._post(CONFIRM_PATH, body, http.client.NO_CONTENT)
        self._credentials.forget_next()

    def _post(self, path: str, body: bytes, good: int) -> bytes:
        context, server = tls_1_3(), self._server
        try:
            context.load_verify_locations(cadata=server.anchors_pem)
        except ssl.SSLError as error:
            raise ConfigurationError(
                "no certificate vouches for who renews", cure="reset the hub and enrol it again"
            ) from error
        self._before_connecting(context)
        with tls_conversation(server.host, server.port, context, self._conversation_s_max, _LATER) as (connection, _):
            status, answer = post(connection, path, body, ANSWER_BYTES_MAX, _LATER)
        if status == http.client.FORBIDDEN:
            raise ConfigurationError("the server refuses to renew the hub's certificate", cure=_REFUSED)
        if status != good:
            what = "is in trouble" if status >= SERVER_ERRORS else "answers what it should not"
            raise UnavailableError(f"the server that renews {what} ({status})", cure=_LATER)
        return answer
