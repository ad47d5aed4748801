"""The tus client as a machine, against a model store that keeps, loses, lies and stalls."""

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.request import RETRY_AFTER_S_MAX, Event, Request
from agent.deliver.tus_answer import Answer, Lost
from agent.deliver.upload import PATCH_BYTES_MAX, TusUpload, offers_termination, termination
from agent.errors import BadInputError, UnavailableError

URL = "https://store.example/files"
PLACE = "https://store.example/files/7"
START = Instant(0)
GIVE_UP = Instant(600 * SECOND_NS)


def part(size: int) -> SealedPart:
    """Describe a part; the machine never looks at its file."""
    return SealedPart("01JD.front.0000", Path("nowhere"), size, "ab" * 32, MEDIA_TYPE_CLIP)


def upload(size: int = 10_000_000, location: str | None = None) -> TusUpload:
    """Make a machine whose retries wait the full backoff."""
    return TusUpload(part(size), URL, give_up=GIVE_UP, chance=lambda: 1.0, location=location)


@dataclass
class ModelStore:
    """A store without wires; `faults` replaces the next answers, one each, before or after the bytes were kept."""

    size: int
    faults: list[str] = field(default_factory=list)
    has_upload: bool = False
    offset: int = 0
    requests: list[Request] = field(default_factory=list)

    def answer(self, request: Request) -> Event:
        """Do what a request asks, unless a fault is next."""
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "forgets":
            self.has_upload, self.offset = False, 0
        if fault in {"lost", "500", "423", "429", "409"}:
            return Lost("ConnectError") if fault == "lost" else Answer(int(fault))
        if fault == "keeps some" and request.method == "PATCH":
            self.offset = min(self.size, self.offset + request.length // 3)
            return Lost("WriteError")
        event = self._do(request)
        return Lost("ReadError") if fault == "answer lost" else event

    def _do(self, request: Request) -> Event:
        match request.method:
            case "OPTIONS":
                return Answer(204, {"tus-extension": "creation,checksum", "tus-checksum-algorithm": "md5, sha256"})
            case "POST":
                self.has_upload, self.offset = True, 0
                return Answer(201, {"location": "/files/7"})
        if not self.has_upload:
            return Answer(404)
        if request.method == "HEAD":
            return Answer(200, {"upload-offset": str(self.offset), "upload-length": str(self.size)})
        if request.offset != self.offset or request.headers["Upload-Offset"] != str(self.offset):
            return Answer(409)
        self.offset += request.length
        return Answer(204, {"upload-offset": str(self.offset)})


def run(machine: TusUpload, store: ModelStore, now: Instant = START) -> Instant:
    """Let machine and store talk until the upload is finished; return when that was."""
    for _ in range(1000):
        if machine.is_finished:
            return now
        now = max(now, machine.deadline() or now)
        request = machine.next_effect(now)
        assert request is not None
        machine.feed(store.answer(request), now)
    raise AssertionError("the upload does not end")


def at(machine: TusUpload, *events: Event) -> TusUpload:
    """Feed a machine some events without looking at what it asks."""
    for event in events:
        machine.feed(event, machine.deadline() or START)
    return machine


FOUND = Answer(204)
MADE = Answer(201, {"location": "/files/7"})
BROKEN = Lost("ReadError")  # what was sent got lost: the store is asked what it has


def has(offset: int | str, **more: str) -> Answer:
    """Answer HEAD."""
    return Answer(200, {"upload-offset": str(offset), **more})


def test_sends_a_part_in_pieces() -> None:
    """A part is announced with its name and digest, then sent from byte 0 to its end in pieces of at most 4 MiB."""
    store = ModelStore(10_000_000)
    run(upload(), store)
    assert [request.method for request in store.requests] == ["OPTIONS", "POST", "PATCH", "PATCH", "PATCH"]
    post = store.requests[1]
    assert (post.url, post.headers["Upload-Length"], post.headers["Tus-Resumable"]) == (URL, "10000000", "1.0.0")
    names = dict(pair.split(" ") for pair in post.headers["Upload-Metadata"].split(","))
    metadata = {name: base64.b64decode(value).decode() for name, value in names.items()}
    assert metadata == {"part": "01JD.front.0000", "media_type": MEDIA_TYPE_CLIP, "sha256": "ab" * 32}
    pieces = [(request.offset, request.length, request.has_checksum) for request in store.requests[2:]]
    assert pieces == [
        (0, PATCH_BYTES_MAX, True),
        (PATCH_BYTES_MAX, PATCH_BYTES_MAX, True),
        (2 * PATCH_BYTES_MAX, 10_000_000 - 2 * PATCH_BYTES_MAX, True),
    ]


def test_goes_on_where_the_store_is() -> None:
    """A known upload is asked for its offset and continued there; nothing that arrived is sent again."""
    store = ModelStore(5_000_000, has_upload=True, offset=4_999_999)
    run(upload(5_000_000, PLACE), store)
    assert [(request.method, request.offset) for request in store.requests[1:]] == [("HEAD", 0), ("PATCH", 4_999_999)]


def test_an_empty_part_needs_no_patch() -> None:
    """What is created empty is finished."""
    store = ModelStore(0)
    run(upload(0), store)
    assert [request.method for request in store.requests] == ["OPTIONS", "POST"]


def test_a_store_without_options_gets_no_checksums() -> None:
    """Checksums go only to a store that says it knows SHA-256."""
    for answer in (Answer(405), Answer(204), Answer(204, {"tus-extension": "checksum"}), Answer(501)):
        request = at(upload(), answer, MADE).next_effect(START)
        assert request is not None
        assert request.method == "PATCH"
        assert not request.has_checksum


@settings(max_examples=150)
@given(
    st.integers(0, 3 * PATCH_BYTES_MAX),
    st.lists(st.sampled_from(["", "lost", "answer lost", "500", "423", "429", "409", "keeps some"]), max_size=12),
)
def test_every_byte_arrives_once_whatever_happens(size: int, faults: list[str]) -> None:
    """Through any faults the store ends with all bytes, and each PATCH begins where the store is."""
    store = ModelStore(size, faults=faults)
    run(upload(size), store)
    assert store.offset == size


def test_a_forgotten_upload_is_created_anew() -> None:
    """404 or 410 on the upload's own address starts from the beginning, but not for ever."""
    store = ModelStore(5_000_000, faults=["", "", "", "forgets"])
    run(upload(5_000_000), store)
    assert [request.method for request in store.requests].count("POST") == 2
    with pytest.raises(UnavailableError, match="forgot"):
        run(upload(5_000_000), ModelStore(5_000_000, faults=["", "", "forgets"] + ["", "forgets"] * 9))


LIES: list[tuple[str, list[Event]]] = [
    ("the store went back", [FOUND, MADE, BROKEN, has(5), Lost("x"), has(4)]),
    ("claims 10000001 bytes", [FOUND, MADE, BROKEN, has(10_000_001)]),
    ("claims 4194305 bytes", [FOUND, MADE, Answer(204, {"upload-offset": "4194305"})]),
    ("went back from byte 7 to 3", [FOUND, MADE, BROKEN, has(7), Answer(204, {"upload-offset": "3"})]),
    ("no valid Upload-Offset", [FOUND, MADE, BROKEN, has("-1")]),
    ("no valid Upload-Offset", [FOUND, MADE, BROKEN, has("1, 1")]),
    ("no valid Upload-Offset", [FOUND, MADE, BROKEN, has("٣")]),
    ("no valid Upload-Offset", [FOUND, MADE, BROKEN, has("9" * 5000)]),
    ("no valid Upload-Offset", [FOUND, MADE, BROKEN, Answer(200)]),
    ("no valid Upload-Offset", [FOUND, MADE, Answer(204)]),
    ("another length", [FOUND, MADE, BROKEN, has(0, **{"upload-length": "5"})]),
    ("redirects", [FOUND, Answer(307, {"location": "https://evil.example/"})]),
    ("redirects", [FOUND, MADE, Answer(301)]),
    ("redirects", [Answer(308)]),
    ("token", [FOUND, Answer(401)]),
    ("token", [FOUND, MADE, Answer(403)]),
    ("larger than the store takes", [FOUND, Answer(413)]),
    ("status 400", [FOUND, Answer(400)]),
    ("status 404", [FOUND, Answer(404)]),
    ("status 415", [FOUND, MADE, Answer(415)]),
]


@pytest.mark.parametrize(("why", "events"), LIES)
def test_a_store_that_lies_or_refuses_ends_the_upload(why: str, events: list[Event]) -> None:
    """Lies, redirects and refusals are named and never retried."""
    with pytest.raises(BadInputError, match=why):
        at(upload(), *events)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "https://evil.example/files/7",
        "//evil.example/files/7",
        "http://store.example/files/7",
        "https://store.example:8443/files/7",
        "https://user:word@store.example/files/7",
        "https://store.example@evil.example/7",
        "https://store.example\\@evil.example/7",
        "https://[store.example/7",
        "https://store.example:99999/7",
        "/files/7#x",
        "/files/7\r\nX: y",
        "/files/ü",
        "/" + "x" * 5000,
        "javascript:alert(1)",
    ],
)
def test_an_upload_stays_on_the_commands_store(location: str) -> None:
    """A Location on another origin, or that is no plain URL, is refused; so is one from the journal."""
    with pytest.raises(BadInputError):
        at(upload(), FOUND, Answer(201, {"location": location}))
    with pytest.raises(BadInputError):
        upload(location=location)


@pytest.mark.parametrize(
    "location", ["/files/7", "7", PLACE, "https://store.example:443/files/7?a=b", "//store.example/7"]
)
def test_a_location_may_be_relative(location: str) -> None:
    """An address on the same origin is taken, in each way of writing it."""
    made = at(upload(), FOUND, Answer(201, {"location": location}))
    assert made.location is not None
    assert made.location.startswith("https://store.example")


def test_waits_longer_after_each_failure_and_starts_over_when_bytes_move() -> None:
    """The backoff doubles up to a minute and is forgotten as soon as the store has more bytes."""
    machine = at(upload(), FOUND, MADE)
    now, waits = START, []
    for _ in range(8):
        machine.feed(Answer(500), now)
        due = machine.deadline()
        assert due is not None
        assert machine.next_effect(Instant(due - 1)) is None
        waits.append((due - now) // SECOND_NS)
        now = due
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    machine.feed(has(1000), now)
    machine.feed(Answer(503), now)
    assert machine.deadline() == now + SECOND_NS


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("7", 7), ("99999999", RETRY_AFTER_S_MAX), ("-5", 1), ("Fri, 31 Dec 1999 23:59:59 GMT", 1), ("9" * 5000, 1)],
)
def test_retry_after_is_heeded_within_bounds(asked: str, seconds: int) -> None:
    """A store may ask for a longer pause, not for an endless one."""
    machine = at(upload(), FOUND, MADE, Answer(429, {"retry-after": asked}))
    assert machine.deadline() == seconds * SECOND_NS


def test_gives_up_in_time() -> None:
    """When the next try would come too late, the upload ends with what went wrong, to be taken up again later."""
    machine = TusUpload(part(10), URL, give_up=Instant(3 * SECOND_NS), chance=lambda: 1.0)
    machine.feed(Lost("ConnectError"), START)
    with pytest.raises(UnavailableError, match="ConnectError"):
        machine.feed(Lost("ConnectError"), Instant(2 * SECOND_NS))


def test_a_store_that_keeps_little_is_slowed_down() -> None:
    """A PATCH of which the store keeps only a piece counts as a failure: it cannot make the hub send for ever."""
    machine = at(upload(), FOUND, MADE, Answer(204, {"upload-offset": "1"}))
    assert machine.deadline() is not None
    assert machine.acknowledged == 1


def test_an_early_200_is_not_believed() -> None:
    """An answer that no tus server gives to PATCH is checked against HEAD before anything else."""
    machine = at(upload(), FOUND, MADE, Answer(200, {"upload-offset": "4194304"}))
    request = machine.next_effect(machine.deadline() or START)
    assert request is not None
    assert (request.method, machine.acknowledged) == ("HEAD", 0)


_HEADER_NAMES = ["upload-offset", "upload-length", "location", "retry-after", "tus-extension", "tus-checksum-algorithm"]
_HEADERS: st.SearchStrategy[Mapping[str, str]] = st.dictionaries(
    st.sampled_from(_HEADER_NAMES), st.text() | st.integers(0, 10**7).map(str) | st.just("/files/7")
)
_STATUS = st.sampled_from([100, 200, 201, 204, 301, 400, 404, 409, 410, 413, 423, 429, 460, 500]) | st.integers(0, 999)


@settings(max_examples=300)
@given(st.lists(st.builds(Answer, _STATUS, _HEADERS) | st.builds(Lost, st.text()), max_size=20))
def test_hostile_answers_never_break_the_machine(events: list[Event]) -> None:
    """Any answers end in the two errors there are for it or in requests to the same store within the part's bytes."""
    machine, now = upload(10_000_000), START
    for event in events:
        now = max(now, machine.deadline() or now)
        request = machine.next_effect(now)
        if request is None:
            assert machine.is_finished
            return
        assert request.url.startswith("https://store.example")
        assert 0 <= request.offset <= request.offset + request.length <= 10_000_000
        try:
            machine.feed(event, now)
        except (BadInputError, UnavailableError):
            return


def test_nothing_is_due_after_the_end() -> None:
    """A finished upload asks for nothing and takes nothing."""
    machine = at(upload(5), FOUND, MADE, BROKEN, has(5))
    assert machine.is_finished
    assert machine.next_effect(START) is None
    with pytest.raises(RuntimeError):
        machine.feed(Answer(204), START)


def expiring(offset: int, left_s: int) -> Answer:
    """Answer HEAD for an upload that is kept so long, by a clock that is far from ours."""
    now = dt.datetime(1999, 12, 31, 23, 59, 50, tzinfo=dt.UTC)
    moments = {"date": now, "upload-expires": now + dt.timedelta(seconds=left_s)}
    return has(offset, **{name: format_datetime(moment, usegmt=True) for name, moment in moments.items()})


def test_an_upload_whose_time_is_over_is_asked_about_before_a_byte_is_sent() -> None:
    """`Upload-Expires` of the creation counts from the answer's own date; then the store says what became of it."""
    made = Answer(201, {**expiring(0, 30).headers, "location": "/files/7"})
    machine = at(upload(), FOUND, made)
    assert methods(machine, START, Instant(29 * SECOND_NS), Instant(30 * SECOND_NS)) == ["PATCH", "PATCH", "HEAD"]
    at(machine, Answer(410))
    assert methods(machine, machine.deadline() or START) == ["POST"]


def test_the_end_of_an_upload_is_not_that_of_the_next() -> None:
    """What is created anew, by a store that says nothing of its end, is sent without a question."""
    machine = at(upload(location=PLACE), FOUND, expiring(0, 30), Answer(410), MADE)
    assert methods(machine, Instant(60 * SECOND_NS)) == ["PATCH"]


def test_a_store_that_answers_for_an_expired_upload_is_sent_on() -> None:
    """It keeps what it need not keep: nothing is asked twice, and nothing sent twice."""
    machine = at(upload(), FOUND, MADE, BROKEN, expiring(0, 30))
    late = Instant(60 * SECOND_NS)
    assert methods(machine, late) == ["HEAD"]
    machine.feed(has(5), late)
    assert methods(machine, late, Instant(9000 * SECOND_NS)) == ["PATCH", "PATCH"]


def test_an_upload_that_has_expired_is_begun_anew() -> None:
    """The store still answers for it, but says that its time is over."""
    machine = at(upload(location=PLACE), FOUND, expiring(5, 0))
    assert machine.location is None
    assert methods(machine, machine.deadline() or START) == ["POST"]


def test_a_store_that_keeps_uploads_longer_with_each_piece_is_sent_on() -> None:
    """Each answer's `Upload-Expires` replaces the one before."""
    machine = at(upload(), FOUND, MADE, BROKEN, expiring(0, 30))
    at(machine, Answer(204, {**expiring(0, 600).headers, "upload-offset": str(PATCH_BYTES_MAX)}))
    assert methods(machine, Instant(599 * SECOND_NS), Instant(600 * SECOND_NS)) == ["PATCH", "HEAD"]


def methods(machine: TusUpload, *moments: Instant) -> list[str]:
    """Ask a machine what is next at each of some moments."""
    return [request.method for now in moments if (request := machine.next_effect(now))]


def test_an_unfinished_upload_is_ended_at_its_address_only() -> None:
    """DELETE goes where the upload is, which is on the store that the command named, if the store offers it."""
    request = termination(URL, PLACE)
    assert (request.method, request.url, request.headers) == ("DELETE", PLACE, {"Tus-Resumable": "1.0.0"})
    with pytest.raises(BadInputError, match="not on the store"):
        termination(URL, "https://other.example/files/7")
    assert offers_termination(Answer(204, {"tus-extension": "creation, Termination"}))
    assert not offers_termination(Answer(204, {"tus-extension": "creation"}))
    assert not offers_termination(Answer(404))
