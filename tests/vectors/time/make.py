"""Write the vectors of signed time: `python -m tests.vectors.time.make`. Same keys and times, same bytes every run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from agent.clock import SECOND_NS, WallTime, rfc3339
from agent.command.envelope import Audience
from agent.command.signed_time import ROUND_TRIP_NS_MAX, TIME_TYP
from agent.command.words import SKEW_NS
from agent.demo.authority import sign_claims
from agent.signing import public_jwk, thumbprint
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, MALLORY, NOW, fixed_key, trust_claims

FOLDER: Final = Path(__file__).parent
CLOCK, OLD_CLOCK = fixed_key("clock"), fixed_key("old clock")
NONCE: Final = "n" * 21 + "A"
ASKED_NS: Final = 90 * SECOND_NS
ROUND_NS: Final = 300_000_000
KNOWN: Final = WallTime(NOW - 3600 * SECOND_NS)
TRUST: Final = trust_claims(time_keys=[public_jwk(CLOCK), public_jwk(OLD_CLOCK)], revoked_keys=[thumbprint(OLD_CLOCK)])
Vector = dict[str, Any]


def claims(**changed: object) -> dict[str, Any]:
    """Write the claims of a true answer."""
    return {"aud": AUDIENCE.claim, "nonce": NONCE, "now": rfc3339(NOW), **changed}


def vectors() -> list[Vector]:
    """Return all of them; each refused one is false in one thing."""
    good = sign_claims(claims(), CLOCK, TIME_TYP)
    head, body, signature = good.split(".")
    bundle_end = WallTime(TRUST["exp"] * SECOND_NS + SKEW_NS)
    issued = WallTime(TRUST["iat"] * SECOND_NS - SKEW_NS)
    other_hub, other_pairing = Audience("hub-OTHER", AUDIENCE.epoch), Audience(AUDIENCE.hub, AUDIENCE.epoch - 1)
    return [
        _vector("good", "the server's time, 0.3 s after the question", "accepted", good),
        _vector("good_slowest", "after exactly 5 s", "accepted", good, round_ns=ROUND_TRIP_NS_MAX),
        _vector("good_at_once", "in no time", "accepted", good, round_ns=0),
        _vector("good_known", "the newest time that is known", "accepted", good, known=NOW),
        _vector(
            "good_last_moment",
            "the last nanosecond before the bundle's end",
            "accepted",
            _signed(now=rfc3339(WallTime(bundle_end - 1))),
        ),
        _vector(
            "good_first_moment",
            "as early as the bundle's issue allows",
            "accepted",
            _signed(now=rfc3339(issued)),
            known=WallTime(0),
        ),
        _vector("replayed", "an answer to another question of this hub", "not_asked", _signed(nonce="m" * 21 + "A")),
        _vector(
            "no_nonce",
            "an answer to no question",
            "not_asked",
            sign_claims({"aud": AUDIENCE.claim, "now": rfc3339(NOW)}, CLOCK, TIME_TYP),
        ),
        _vector("nonce_number", "its nonce is not a text", "not_asked", _signed(nonce=7)),
        _vector("huge", "more than 4096 bytes", "not_asked", _signed(more="x" * 4096)),
        _vector("not_a_jws", "no statement at all", "not_asked", "the time is now"),
        _vector("not_ascii", "a letter that is not ASCII", "not_asked", good + "\u00e9"),
        _vector("empty", "nothing", "not_asked", ""),
        _vector("late", "held back for a nanosecond over 5 s", "late", good, round_ns=ROUND_TRIP_NS_MAX + 1),
        _vector("before_it_was_asked", "it came before the question", "late", good, round_ns=-1),
        _vector("stranger", "by a key that is not listed", "bad_signature", sign_claims(claims(), MALLORY, TIME_TYP)),
        _vector(
            "revoked", "by a time key that is revoked", "bad_signature", sign_claims(claims(), OLD_CLOCK, TIME_TYP)
        ),
        _vector(
            "store_key",
            "by a key that signs receipts only",
            "bad_signature",
            sign_claims(claims(), AUTHORITY.store, TIME_TYP),
        ),
        _vector(
            "root_key",
            "by a root, which is not listed for times",
            "bad_signature",
            sign_claims(claims(), AUTHORITY.roots[0], TIME_TYP),
        ),
        _vector(
            "other_type",
            "the right key signed it as something else",
            "bad_signature",
            sign_claims(claims(), CLOCK, "transom-receipt+jwt"),
        ),
        _vector(
            "other_header",
            "the header of another answer",
            "bad_signature",
            f"{sign_claims(claims(), MALLORY, TIME_TYP).split('.')[0]}.{body}.{signature}",
        ),
        _vector(
            "other_claims",
            "another time under the signature",
            "bad_signature",
            f"{head}.{_signed(now=rfc3339(WallTime(NOW + SECOND_NS))).split('.')[1]}.{signature}",
        ),
        _vector("unknown_member", "a member that the hub does not know", "bad_shape", _signed(exp=1)),
        _vector(
            "no_time",
            "it does not say when",
            "bad_shape",
            sign_claims({"aud": AUDIENCE.claim, "nonce": NONCE}, CLOCK, TIME_TYP),
        ),
        _vector("numeric_time", "seconds where RFC 3339 is wanted", "bad_shape", _signed(now=NOW // SECOND_NS)),
        _vector("not_a_date", "a day that there is not", "bad_shape", _signed(now="2026-02-30T00:00:00.000Z")),
        _vector("zone", "another zone than UTC", "bad_shape", _signed(now="2026-11-22T15:00:00.000+01:00")),
        _vector("other_hub", "for another hub", "wrong_audience", _signed(aud=other_hub.claim)),
        _vector(
            "other_pairing", "for an earlier pairing of this one", "wrong_audience", _signed(aud=other_pairing.claim)
        ),
        _vector("behind_known", "a nanosecond behind what is known", "behind", good, known=WallTime(NOW + 1)),
        _vector(
            "behind_bundle",
            "before the bundle was issued",
            "behind",
            _signed(now=rfc3339(WallTime(issued - 1))),
            known=WallTime(0),
        ),
        _vector("bundle_over", "when the bundle has ended", "ahead", _signed(now=rfc3339(bundle_end))),
        _vector("far_future", "years ahead", "ahead", _signed(now="2036-11-22T14:00:00.000Z")),
    ]


def content() -> str:
    """Return the file."""
    about = "What a hub with this trust bundle and audience makes of answers to its question for the time."
    members = {"about": about, "aud": AUDIENCE.claim, "nonce": NONCE, "trust": TRUST, "vectors": vectors()}
    return json.dumps(members, indent=1) + "\n"


def _signed(**changed: object) -> str:
    return sign_claims(claims(**changed), CLOCK, TIME_TYP)


def _vector(
    name: str, about: str, expect: str, answer: str, *, round_ns: int = ROUND_NS, known: WallTime = KNOWN
) -> Vector:
    received_ns = ASKED_NS + round_ns
    vector: Vector = {"name": name, "about": about, "expect": expect, "answer": answer}
    vector |= {"asked_ns": ASKED_NS, "received_ns": received_ns, "known": rfc3339(known)}
    return vector


if __name__ == "__main__":
    (FOLDER / "time.json").write_text(content())
