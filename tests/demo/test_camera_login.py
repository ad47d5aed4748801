"""Digest logins: hostile headers are refused, never an exception."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.acquire.camera import Login
from agent.crypto import Secret
from agent.demo.camera_login import DigestGate, Verdict
from tests.simulators.raw_viewer import digest_header

GATE = DigestGate(Login("hub", Secret("pw")), "realm", ("SHA-256", "MD5"))


@given(st.text(max_size=200))
@settings(max_examples=200)
def test_any_header_is_judged(rest: str) -> None:
    """No header raises, none that is made up is welcome."""
    for header in (rest, f"Digest {rest}", f'Digest username="hub", uri="/x", {rest}'):
        assert GATE.judge("GET", "/x", header) is Verdict.REFUSED


def test_the_right_answer_is_welcome_for_its_own_request_only() -> None:
    """An answer does not fit another URI, another method, another user or another password."""
    for challenge in GATE.challenges(Verdict.NOT_ASKED):
        answer = digest_header(challenge, "PLAY", "/x", "hub", "pw")
        assert GATE.judge("PLAY", "/x", answer) is Verdict.WELCOME
        assert GATE.judge("PLAY", "/y", answer) is Verdict.REFUSED
        assert GATE.judge("STOP", "/x", answer) is Verdict.REFUSED
        assert GATE.judge("PLAY", "/x", digest_header(challenge, "PLAY", "/x", "hub", "PW")) is Verdict.REFUSED
        assert GATE.judge("PLAY", "/x", digest_header(challenge, "PLAY", "/x", "hub2", "pw")) is Verdict.REFUSED
    assert GATE.judge("PLAY", "/x", None) is Verdict.NOT_ASKED


def test_a_nonce_from_elsewhere_is_stale_although_the_password_is_right() -> None:
    """A nonce of another camera (or from before a restart) must be replaced, one that is none is refused."""
    other = DigestGate(Login("hub", Secret("pw")), "realm", ("MD5",)).challenges(Verdict.NOT_ASKED)[0]
    assert GATE.judge("PLAY", "/x", digest_header(other, "PLAY", "/x", "hub", "pw")) is Verdict.STALE
    made_up = 'Digest realm="realm", nonce="zz", algorithm=MD5'
    assert GATE.judge("PLAY", "/x", digest_header(made_up, "PLAY", "/x", "hub", "pw")) is Verdict.REFUSED
