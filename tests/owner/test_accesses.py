"""One command in the owner's list: what the log says, what the journal adds, and nothing that neither says."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.stream import CameraId
from agent.clip_job import Job, JobPart, JobState, PartState
from agent.clips.teller import footage_words
from agent.clock import SECOND_NS, WallTime, Window
from agent.command.request import RefusalReason
from agent.command.trust import open_first_bundle
from agent.cut.clip import ClipReport
from agent.evidence.audit import Entry, make_entry
from agent.owner.accesses import EVERY_CAMERA, Known, Manner, access, accesses
from agent.owner.words import OWNERS_COPY, Times, Tone
from agent.page_ports import PlacedEntry
from tests.vectors.command.scene import AUTHORITY, NOW, WINDOW, trust_claims

TRUST = open_first_bundle(AUTHORITY.trust_bundle(trust_claims()))
FRONT, BACK = CameraId("front"), CameraId("back")
MANNER = Manner({FRONT: "Front door"}, TRUST, Times(None))


def entry(kind: str, ref: str = "c1", /, **detail: str | int) -> Entry:
    """Write an entry as the teller does."""
    return make_entry(NOW, kind, ref, detail)


COMMAND = entry(
    "command",
    incident="2026-1",
    type="alarm.burglary",
    by="officer:1",
    agency="pd-0042",
    basis="warrant",
    reason="Broken window",
    asked=footage_words(WINDOW, ()),
    recipients="vault,vault-pq",
    sha256="ab" * 32,
)
GRANTED = entry("job", state="IN_PROGRESS", event="granted", covers=footage_words(WINDOW, (FRONT, BACK)), sound="front")


def test_a_clip_that_was_sent_is_told_whole() -> None:
    """Who, why, on which basis, to whom; what was asked, granted and delivered: from the log alone."""
    receipts = [entry("receipt", part="p"), entry("receipt", part="m")]
    sealed = entry("sealed", part="p", owner_copy="ab" * 32)
    told = [COMMAND, GRANTED, sealed, *receipts, entry("job", state="SUCCEEDED", event="delivered")]
    one = access(PlacedEntry(7, COMMAND), told, None, MANNER)
    assert (one.status, one.tone, one.place) == ("Sent", Tone.LEFT, 7)
    assert (one.who, one.agency, one.basis) == ("officer:1", "Riverside Police (pd-0042)", "a warrant")
    assert one.recipients == ("vault", "vault-pq", OWNERS_COPY)
    assert one.asked is not None
    assert one.asked.cameras == (EVERY_CAMERA,)
    assert one.granted is not None
    assert one.granted.cameras == ("Front door (front)", "back")
    assert one.sound == ("Front door (front)",)
    assert one.delivered == ("2 sealed files, manifests among them",)
    assert not one.can_stop


def test_no_copy_is_none() -> None:
    """An owner whose key is of another kind than the recipients' cannot open the clip, and is not told so."""
    told = [COMMAND, GRANTED, entry("sealed", part="p", owner_copy="other_kind")]
    assert OWNERS_COPY not in access(PlacedEntry(0, COMMAND), told, None, MANNER).recipients


def test_a_refusal_says_why_and_grants_nothing() -> None:
    """The reason is in the owner's words."""
    told = [COMMAND, entry("job", state="REJECTED", event="refused", reason="window_too_old")]
    one = access(PlacedEntry(0, COMMAND), told, None, MANNER)
    assert (one.status, one.tone) == ("Refused", Tone.KEPT)
    assert one.why == "it asked for footage that is older than you allow"
    assert (one.granted, one.delivered, one.sound) == (None, (), ())


def test_the_journal_adds_what_is_newest() -> None:
    """While a job runs, its end may have moved and pictures have arrived; then it can be stopped too."""
    longer = Window(WINDOW.start, WallTime(WINDOW.end + 60 * SECOND_NS))
    job = Job("c1", b"", NOW, JobState.IN_PROGRESS, cameras=(FRONT, BACK), window=longer, sound=(BACK,))
    report = ClipReport(35, 30, 5, WINDOW.start, WINDOW.end)
    part = JobPart("c1", FRONT, 0, False, WINDOW.start, WINDOW.end, PartState.RECEIPTED, 9, "", "", "", report)  # noqa: FBT003 - in a row's order
    one = access(PlacedEntry(0, COMMAND), [COMMAND, GRANTED], Known(job, (part,)), MANNER)
    assert one.granted is not None
    assert "(6 minutes)" in one.granted.span
    assert one.sound == ("back",)
    assert one.delivered[0].startswith("Front door (front): 35 pictures")
    assert one.can_stop


def test_pictures_that_came_before_older_ones_are_told_without_a_time() -> None:
    """The newest part may be at the store first: then there is no time up to which all is there."""
    job = Job("c1", b"", NOW, JobState.IN_PROGRESS, cameras=(FRONT,), window=WINDOW)
    report = ClipReport(35, 30, 5, WINDOW.start, WINDOW.end)
    first = JobPart("c1", FRONT, 0, False, WINDOW.start, WINDOW.end, PartState.SEALED, 9, "", "", "", report)  # noqa: FBT003 - in a row's order
    known = Known(job, (first, replace(first, number=1, state=PartState.RECEIPTED)))
    one = access(PlacedEntry(0, COMMAND), [COMMAND, GRANTED], known, MANNER)
    assert one.delivered == ("Front door (front): 35 pictures",)


def test_the_journals_word_on_the_state_counts() -> None:
    """The log of this page may end before the job did."""
    job = Job("c1", b"", NOW, JobState.CANCELED, RefusalReason.OWNER_DECLINED)
    one = access(PlacedEntry(0, COMMAND), [COMMAND, GRANTED], Known(job, ()), MANNER)
    assert (one.status, one.why) == ("Stopped", "you did not say yes")


def test_an_order_says_which_command_it_is_about() -> None:
    """A cancellation is shown as what it is."""
    order = entry("command", "c2", by="officer:1", agency="pd-0042", action="clip.cancel", job="c1", sha256="cd" * 32)
    done = entry("job", "c2", state="SUCCEEDED", event="done")
    one = access(PlacedEntry(0, order), [order, done], None, MANNER)
    assert (one.what, one.about, one.status, one.asked) == ("Clip taken back", "c1", "Done", None)


def test_entries_of_newer_pages_are_followed() -> None:
    """What became of a command may lie beyond the page that lists it."""
    placed = [PlacedEntry(20, entry("started", "")), PlacedEntry(10, COMMAND)]
    newer = [PlacedEntry(30, GRANTED), PlacedEntry(40, entry("job", state="PARTIAL", event="delivered_with_gaps"))]
    (one,) = accesses(placed, newer, {}, MANNER)
    assert one.status == "Sent, with gaps"
    (alone,) = accesses(placed, [], {}, MANNER)
    assert alone.status == "Not in this part of the log"


TEXT = st.text(max_size=60)


@given(st.dictionaries(st.sampled_from(["by", "asked", "covers", "sound", "state", "reason", "recipients"]), TEXT))
def test_whatever_the_log_holds_can_be_shown(detail: dict[str, str]) -> None:
    """Entries of other versions, and texts that are no windows, never end in an error."""
    command, job = make_entry(NOW, "command", "c1", detail), make_entry(NOW, "job", "c1", detail)
    assert access(PlacedEntry(0, command), [command, job], None, MANNER).id == "c1"
