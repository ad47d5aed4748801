"""The flood's messages are bad in every way, and its figures are judged window by window."""

from __future__ import annotations

import msgspec

from agent.command.envelope import verify
from agent.command.request import Refusal, RefusalReason, VerifiedCommand
from agent.command.trust import TrustBundle
from tests.bench.conditions import Conditions
from tests.bench.figures import Verdict
from tests.bench.flood import FloodReport, Stretch, figures
from tests.bench.flood_messages import SHARES, bad_messages
from tests.vectors.command.scene import AUDIENCE, AUTHORITY, NOW, message, trust_claims

HERE = Conditions("a processor", 2, "6.1", "3.11", "5.1", 0.0)
QUIET = Stretch(0, 5.0, 10.0)


def test_every_message_to_a_hub_is_refused_but_the_replays() -> None:
    """Those are the journal's to refuse; all others are for reasons that their makers had in mind."""
    seen, trust = message(), msgspec.convert(trust_claims(), TrustBundle)
    sent = bad_messages(AUTHORITY, AUDIENCE, NOW, seen)
    assert len(sent) == sum(SHARES.values()) == 100
    verdicts = [
        (payload == seen, verify(payload, trust, AUDIENCE, NOW, is_clock_trusted=True))
        for topic, payload in sent
        if topic == "cmd"
    ]
    assert all(isinstance(verdict, VerifiedCommand if is_replay else Refusal) for is_replay, verdict in verdicts)
    reasons = {verdict.reason for _, verdict in verdicts if isinstance(verdict, Refusal)}
    assert reasons == {RefusalReason.BAD_ENVELOPE, RefusalReason.BAD_SIGNATURE, RefusalReason.GRANT_EXPIRED}


def judged(**measured: object) -> dict[str, Verdict]:
    """Judge a run that is as it must be, but for what is `measured`."""
    good = FloodReport(HERE, 8, (QUIET,) * 3, (Stretch(1000, 5.2, 400.0),) * 3, 2**20, 2**20, 0, (0.1,))
    return {figure.what: figure.verdict for figure in figures(msgspec.structs.replace(good, **measured))}


def test_a_bar_is_missed_by_what_it_is_set_for() -> None:
    """A costlier recording, a dropped picture, a fuller disk and a late answer each show."""
    fine = {Verdict.MET, Verdict.NO_BAR}
    assert set(judged().values()) <= fine
    wrong: dict[str, dict[str, object]] = {
        "CPU of recording, to the quiet window before": {"flooded": (Stretch(1000, 5.6, 400.0),) * 3},
        "pictures that the hub did not take": {"dropped_pictures": 1},
        "growth of data_dir without the ring": {"disk_growth_bytes": 7 * 2**20},
        "a good command's first answer, the latest": {"answered_s": (0.1, 1.2)},
    }
    for what, measured in wrong.items():
        assert {name for name, verdict in judged(**measured).items() if verdict not in fine} == {what}
