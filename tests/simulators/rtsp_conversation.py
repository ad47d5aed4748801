"""A session machine and the camera's side of its conversation, word for word and without a socket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.rtsp import Effect, Ended, Ending, NeedPorts, Send, Session
from agent.clock import SECOND_NS, Instant
from agent.crypto import Secret
from tests.simulators.rtsp_camera import SDP

URL: Final = "rtsp://192.0.2.7/stream"
LOGIN: Final = Login("owner", Secret("hunter2"))
DIGEST: Final = 'Digest realm="r", nonce="{}", qop="auth"'
START: Final = Instant(1_000_000)


class Conversation:
    """A session and the camera's side of it, at a time that only moves when told."""

    def __init__(self, login: Login | None = LOGIN, url: str = URL, *, has_sound: bool = False) -> None:
        self.now = START
        self.session = Session(url, login, "cnonce", self.now, has_sound=has_sound)

    def effects(self) -> list[Effect]:
        """Take all effects that are due."""
        found = []
        while (effect := self.session.next_effect(self.now)) is not None:
            found.append(effect)
        return found

    def request(self) -> str:
        """Return the one request that the session sends now."""
        sent = [effect.octets.decode() for effect in self.effects() if isinstance(effect, Send)]
        assert len(sent) == 1
        return sent[0]

    def answer(self, request: str, status: int = 200, headers: str = "", body: str = "") -> None:
        """Answer a request by its CSeq."""
        cseq = re.search(r"CSeq: (\d+)", request)
        assert cseq is not None
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self.session.feed(f"RTSP/1.0 {status} X\r\nCSeq: {cseq[1]}\r\n{headers}{length}\r\n{body}".encode(), self.now)

    def give_ports(self, ports: Sequence[tuple[int, int]]) -> None:
        """Take the wish for ports and fulfil it."""
        assert isinstance(self.session.next_effect(self.now), NeedPorts)
        self.session.use_ports(ports, self.now)

    def describe(self, sdp: str = SDP) -> str:
        """Go as far as the first SETUP and return it."""
        self.answer(self.request())
        self.answer(self.request(), body=sdp)
        return self.request()

    def play(self, setup: str = "Transport: RTP/AVP/TCP;interleaved=4-5\r\nSession: s1;timeout=30\r\n") -> list[Effect]:
        """Go through the whole handshake; return what SETUP's answer brought."""
        self.answer(self.request(), headers="Public: OPTIONS, GET_PARAMETER\r\n")
        self.answer(self.request(), headers=f"Content-Base: {URL}/\r\n", body=SDP)
        self.answer(self.request(), headers=setup)
        effects = self.effects()
        self.answer(next(effect.octets.decode() for effect in effects if isinstance(effect, Send)))
        return effects

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Instant(self.now + int(seconds * SECOND_NS))

    def ended(self) -> Ended:
        """Return how the session has ended."""
        (ended,) = [effect for effect in self.effects() if isinstance(effect, Ended)]
        return ended

    def ending(self) -> Ending | None:
        """Say how the session has ended."""
        return next((effect.ending for effect in self.effects() if isinstance(effect, Ended)), None)
