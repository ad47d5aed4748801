"""What a hub without NTP believes of the time: the vectors, and a broker that holds back, floods and replays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.clock import DRIFT_PPM_MAX, SECOND_NS, Instant, WallTime, parse_rfc3339
from agent.command.envelope import Audience
from agent.command.signed_time import (
    ANSWERS_LOOKED_AT_MAX,
    ASK_AGAIN_S,
    ASK_S_MAX,
    ASK_S_MIN,
    NONCE_BYTES,
    ROUND_TRIP_NS_MAX,
    Question,
    TimeAnswer,
    TimeExchange,
    TimeFault,
    is_believable,
    judge_answer,
)
from agent.command.strict_json import decode
from agent.command.trust import TrustBundle
from agent.crypto import canonical_json
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, MALLORY, NOW
from tests.vectors.time.make import CLOCK, KNOWN, TRUST, content

FILE = Path(__file__).parents[1] / "vectors/time/time.json"
VECTORS = json.loads(FILE.read_text())
BUNDLE = decode(canonical_json(TRUST), TrustBundle, "trust")
ZERO = Instant(1_000 * SECOND_NS)


def after(seconds: float) -> Instant:
    """Return a moment since boot."""
    return Instant(ZERO + round(seconds * SECOND_NS))


def answered(question: bytes, now: WallTime = NOW, **claims: object) -> bytes:
    """Sign the server's answer."""
    return AUTHORITY.signed_time(now, question, key=CLOCK, **claims).encode()


def take(exchange: TimeExchange, answer: bytes, received: Instant) -> TimeAnswer | TimeFault:
    """Give an answer to the hub of the scene."""
    return exchange.take(answer, received, BUNDLE, AUDIENCE, KNOWN)


def test_the_vectors_are_made_by_the_code_here() -> None:
    """Nobody has edited them."""
    assert FILE.read_text() == content()


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any]) -> None:
    """Each is accepted with the bounds that follow from its moments, or refused for its one reason."""
    asked, received = Instant(vector["asked_ns"]), Instant(vector["received_ns"])
    name, epoch = VECTORS["aud"].removeprefix("hub:").rsplit(":", 1)
    known = parse_rfc3339(vector["known"])
    token = vector["answer"].encode()
    found = judge_answer(token, Question(VECTORS["nonce"], asked), received, BUNDLE, Audience(name, int(epoch)), known)
    if vector["expect"] != "accepted":
        assert found == vector["expect"]
        return
    assert isinstance(found, TimeAnswer)
    lost_ns = -(-(received - asked) * DRIFT_PPM_MAX // 1_000_000)
    assert (found.time.low_ns, found.time.high_ns) == (found.told - received, found.told - asked + lost_ns)
    assert found.round_trip_ns == received - asked
    assert found.time.error_ns(received) * 2 in {found.round_trip_ns + lost_ns, found.round_trip_ns + lost_ns + 1}


@example(true_ns=0, out_ns=0, back_ns=ROUND_TRIP_NS_MAX, later_s=0, ppm=-200)
@given(
    true_ns=st.integers(0, 2**40),
    out_ns=st.integers(0, ROUND_TRIP_NS_MAX),
    back_ns=st.integers(0, ROUND_TRIP_NS_MAX),
    later_s=st.integers(0, 100_000),
    ppm=st.integers(-200, 200),
)
def test_the_bound_holds(true_ns: int, out_ns: int, back_ns: int, later_s: int, ppm: int) -> None:
    """However a message's way is shared between there and back, and however the hub's crystal drifts, UTC is inside."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    true = WallTime(NOW + true_ns)
    waited = (out_ns + back_ns) * (1_000_000 + ppm) // 1_000_000  # by the hub's crystal
    found = take(exchange, answered(question, WallTime(true + out_ns)), Instant(ZERO + waited))
    if waited > ROUND_TRIP_NS_MAX:
        assert found is TimeFault.LATE
        return
    assert isinstance(found, TimeAnswer)
    passed = out_ns + back_ns + later_s * SECOND_NS  # of UTC, since the question
    since_boot = Instant(ZERO + waited + later_s * (1_000_000 + ppm) * 1000)
    second_order_ns = 40 * (later_s + 10) + 2  # 200 ppm of 200 ppm
    assert abs(found.time.now(since_boot) - (true + passed)) <= found.time.error_ns(since_boot) + second_order_ns


def test_an_answer_counts_once() -> None:
    """The same bytes again are no answer to anything; nor is the answer to a question that a newer one has replaced."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    assert isinstance(take(exchange, answered(question), after(0.1)), TimeAnswer)
    assert take(exchange, answered(question), after(0.2)) is TimeFault.NOT_ASKED
    exchange.ask(bytes([1]) * NONCE_BYTES, after(1), AUDIENCE)
    assert take(exchange, answered(question), after(1.1)) is TimeFault.NOT_ASKED


def test_an_answer_that_was_held_back_ends_its_question() -> None:
    """The same bytes are late now and later: the hub waits for its next question."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    assert take(exchange, answered(question), after(5.1)) is TimeFault.LATE
    assert take(exchange, answered(question), after(5.2)) is TimeFault.NOT_ASKED


def test_a_flood_costs_a_few_signatures() -> None:
    """So many forgeries with the right nonce are looked at; then even the true answer waits for a new question."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    forged = AUTHORITY.signed_time(NOW, question, key=MALLORY).encode()
    found = [take(exchange, forged, after(0.01)) for _ in range(3 * ANSWERS_LOOKED_AT_MAX)]
    assert found.count(TimeFault.BAD_SIGNATURE) == ANSWERS_LOOKED_AT_MAX
    assert take(exchange, answered(question), after(0.02)) is TimeFault.NOT_ASKED


def test_a_few_forgeries_do_not_keep_the_true_answer_out() -> None:
    """It comes after some of them."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    forged = AUTHORITY.signed_time(NOW, question, key=MALLORY).encode()
    for _ in range(ANSWERS_LOOKED_AT_MAX - 1):
        take(exchange, forged, after(0.01))
    assert isinstance(take(exchange, answered(question), after(0.02)), TimeAnswer)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_nothing(octets: bytes) -> None:
    """Whatever the broker sends is no answer, and never an exception."""
    exchange = TimeExchange()
    exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    assert take(exchange, octets, after(0.1)) is TimeFault.NOT_ASKED


def test_questions_keep_a_pace() -> None:
    """Unanswered, the pauses double up to five minutes; a new connection brings the next one forward, not too far."""
    exchange = TimeExchange()
    now, pauses = 0.0, []
    for _ in range(8):
        assert exchange.is_due(after(now))
        exchange.ask(bytes([255]) * NONCE_BYTES, after(now), AUDIENCE)
        began = now
        while not exchange.is_due(after(now)):
            now += 0.5
        pauses.append(now - began)
    assert ASK_S_MIN <= pauses[0] <= 1.25 * ASK_S_MIN + 0.5
    assert pauses == sorted(pauses)
    assert ASK_S_MAX <= pauses[-1] <= 1.25 * ASK_S_MAX + 0.5
    exchange.ask(bytes(NONCE_BYTES), after(now), AUDIENCE)
    exchange.hurry()
    assert not exchange.is_due(after(now + ASK_S_MIN - 1))
    assert exchange.is_due(after(now + ASK_S_MIN))


def test_an_answered_hub_asks_again_in_time() -> None:
    """An hour later, when the bound has grown by less than a second; and it would be believed for hours more."""
    exchange = TimeExchange()
    question = exchange.ask(bytes(NONCE_BYTES), ZERO, AUDIENCE)
    found = take(exchange, answered(question), after(0.2))
    assert isinstance(found, TimeAnswer)
    assert not exchange.is_due(after(ASK_AGAIN_S - 1))
    assert exchange.is_due(after(ASK_AGAIN_S + 1))
    assert found.time.error_ns(after(ASK_AGAIN_S)) < SECOND_NS
    assert is_believable(found.time, after(13 * 3600))
    assert not is_believable(found.time, after(14 * 3600))
