"""The presigned client as a machine, against a model of signer and store that lose, lie, expire and stall."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND_NS, Instant
from agent.deliver.part import MEDIA_TYPE_CLIP, SealedPart
from agent.deliver.put import CHECKSUM, REFUSALS_MAX, SENDINGS_MAX, PutUpload, forgetting
from agent.deliver.put_message import PIECE_BYTES, piece_count
from agent.deliver.request import Event, Request
from agent.deliver.tus_answer import Answer, Lost
from agent.errors import BadInputError, UnavailableError

SIGNER = "https://hub.example/puts"
STORE = "store.example"
START = Instant(0)
GIVE_UP = Instant(24 * 3600 * SECOND_NS)
SIZE = 3 * PIECE_BYTES + 11
EXPIRES_S = 60


def digests(size: int) -> list[bytes]:
    """Name each piece by a digest of its own; the model needs no bytes."""
    return [hashlib.sha256(bytes([number])).digest() for number in range(piece_count(size))]


def upload(size: int = SIZE, give_up: Instant = GIVE_UP) -> PutUpload:
    """Make a machine."""
    part = SealedPart("alarm-1.front.0000", Path("/outbox/part"), size, "ab" * 32, MEDIA_TYPE_CLIP)
    return PutUpload(part, SIGNER, {STORE}, digests(size), give_up=give_up, chance=lambda: 1.0)


def signed(*urls: dict[str, object]) -> Answer:
    """Answer as a signer does."""
    return Answer(200, body=json.dumps({"v": 1, "expires_in_s": EXPIRES_S, "pieces": urls}).encode())


@dataclass
class ModelStore:
    """Signs as a signer should and keeps pieces as a store should, but for the faults that are next."""

    stored: dict[int, int] = field(default_factory=dict)  # number -> length
    faults: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    count: int = 0

    def answer(self, request: Request, now: Instant) -> Event:
        """Answer one request."""
        self.seen.append(request.method)
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost":
            return Lost("gone")
        if fault.isdigit():
            return Answer(int(fault))
        return self._sign(request, now) if request.method == "POST" else self._keep(request, now, fault)

    def _sign(self, request: Request, now: Instant) -> Event:
        assert not request.is_presigned
        self.count = len(json.loads(request.text)["pieces"])
        missing = [number for number in range(1, self.count + 1) if number not in self.stored][:2]
        urls = [{"number": n, "url": f"https://{STORE}/{n}?until={now + EXPIRES_S * SECOND_NS}"} for n in missing]
        return signed(*urls)

    def _keep(self, request: Request, now: Instant, fault: str) -> Event:
        assert request.is_presigned
        number, _, until = request.url.removeprefix(f"https://{STORE}/").partition("?until=")
        if now >= int(until):
            return Answer(403)
        assert request.headers[CHECKSUM] == base64.b64encode(digests(SIZE)[int(number) - 1]).decode()
        assert request.offset == (int(number) - 1) * PIECE_BYTES
        if fault == "early":
            return Answer(200)
        self.stored[int(number)] = request.length
        if fault == "answer lost":
            return Lost("gone")
        return Answer(200, {CHECKSUM: "other"} if fault == "other bytes" else {"etag": "lie"})


def run(machine: PutUpload, store: ModelStore, now: Instant = START, takes_s: int = 0) -> Instant:
    """Run a machine to its end; every request takes `takes_s`."""
    for _ in range(1000):
        if machine.is_finished:
            return now
        now = max(now, machine.deadline() or now)
        request = machine.next_effect(now)
        assert request is not None
        event = store.answer(request, now)
        now = Instant(now + takes_s * SECOND_NS)
        machine.feed(event, now)
    raise AssertionError("the machine never ends")


WHOLE = {1: PIECE_BYTES, 2: PIECE_BYTES, 3: PIECE_BYTES, 4: 11}


def test_a_part_goes_piece_by_piece() -> None:
    """URLs for two pieces at a time; the end is the signer's word that nothing is missing."""
    store = ModelStore()
    assert run(upload(), store) == START
    assert store.stored == WHOLE
    assert store.seen == ["POST", "PUT", "PUT", "POST", "PUT", "PUT", "POST"]


def test_a_small_part_is_one_put() -> None:
    """So is an empty one."""
    for size in (0, 1):
        store = ModelStore()
        run(upload(size), store)
        assert (store.stored, store.seen) == ({1: size}, ["POST", "PUT", "POST"])


def test_a_restarted_hub_sends_what_is_missing_only() -> None:
    """A new machine, which knows nothing but the part, sends no piece again that the store has."""
    store = ModelStore(stored={1: PIECE_BYTES, 3: PIECE_BYTES})
    run(upload(), store)
    assert store.stored == WHOLE
    assert store.seen.count("PUT") == 2


@pytest.mark.parametrize(
    "fault", ["lost", "answer lost", "500", "503", "429", "401", "403", "400", "404", "409", "412", "early"]
)
@pytest.mark.parametrize("before", [1, 2])
def test_a_part_arrives_in_spite_of(fault: str, before: int) -> None:
    """After a fault in a piece the signer is asked anew, and every piece arrives; at most one is sent twice."""
    store = ModelStore(faults=[""] * before + [fault])
    run(upload(), store)
    assert store.stored == WHOLE
    assert store.seen.count("PUT") <= 5


@pytest.mark.parametrize("fault", ["lost", "500", "429", "202"])
def test_a_signer_that_is_busy_is_asked_again(fault: str) -> None:
    """A signer that is away, or joins the pieces still, is asked again after a wait."""
    store = ModelStore(faults=[fault, fault])
    assert run(upload(), store) == 3 * SECOND_NS
    assert store.stored == WHOLE


def test_no_url_is_used_after_it_expired() -> None:
    """On a slow line URLs expire between two pieces: they are asked for anew, and the store never sees an old one."""
    store = ModelStore()
    run(upload(), store, takes_s=EXPIRES_S // 2)
    assert store.stored == WHOLE
    assert store.seen.count("PUT") == 4
    assert store.seen.count("POST") > 3


@pytest.mark.parametrize("status", [403, 400])
def test_urls_that_never_hold_end_the_upload(status: int) -> None:
    """A signer whose URLs the store refuses again and again has the wrong key: a person must look."""
    store = ModelStore()
    store.faults = ["", str(status)] * (REFUSALS_MAX + 1)
    with pytest.raises(BadInputError, match=str(status)):
        run(upload(), store)
    assert store.seen.count("PUT") == REFUSALS_MAX + 1


def test_a_store_that_only_says_200_is_found_out() -> None:
    """A 200 for a piece that the signer still misses is believed so many times only."""
    store = ModelStore()
    store.faults = ["", "early"] * 100
    with pytest.raises(BadInputError, match="lost"):
        run(upload(11), store)
    assert store.seen.count("PUT") == SENDINGS_MAX


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        (["401"], "token"),
        (["403"], "token"),
        (["404"], "signer refuses"),
        (["307"], "redirects"),
        (["", "307"], "redirects"),
        (["", "301"], "redirects"),
        (["", "413"], "refuses a piece"),
        (["", "405"], "refuses a piece"),
        (["", "501"], "refuses a piece"),
        (["", "other bytes"], "other bytes"),
    ],
)
def test_what_no_retry_can_mend_ends_the_upload(faults: list[str], why: str) -> None:
    """The error says what is wrong, and the machine sends nothing more."""
    store = ModelStore(faults=list(faults))
    with pytest.raises(BadInputError, match=why):
        run(upload(), store)
    assert len(store.seen) == len(faults)


def test_a_piece_goes_to_no_other_host() -> None:
    """A signer that names another host gets no byte of the part there."""
    machine = upload()
    machine.next_effect(START)
    with pytest.raises(BadInputError, match="trust bundle"):
        machine.feed(signed({"number": 1, "url": "https://other.example/1"}), START)


def test_urls_that_come_expired_are_waited_for() -> None:
    """An answer that took longer than its URLs last leads to a wait, not to a stream of requests."""
    machine = upload()
    machine.next_effect(START)
    late = Instant(EXPIRES_S * SECOND_NS)
    machine.feed(signed({"number": 1, "url": f"https://{STORE}/1"}), late)
    assert machine.deadline() == late + SECOND_NS
    assert machine.next_effect(late) is None


def test_no_retry_comes_after_the_end() -> None:
    """Waits double, `Retry-After` is heeded, and a retry that would come after `give_up` ends the upload."""
    machine = upload(give_up=Instant(3 * SECOND_NS))
    machine.next_effect(START)
    machine.feed(Answer(503), START)
    assert machine.deadline() == SECOND_NS
    machine.next_effect(Instant(SECOND_NS))
    with pytest.raises(UnavailableError, match="in time"):
        machine.feed(Answer(503, {"retry-after": "3"}), Instant(SECOND_NS))


def test_a_piece_that_arrives_makes_good_what_failed_before() -> None:
    """Refusals and waits count in a row only: a store that refuses each second URL still gets the part, soon."""
    store = ModelStore()
    store.faults = ["", "403", "", "", "403", "", "", "403", "", "", "403", "", ""]
    assert run(upload(), store) == 4 * SECOND_NS
    assert store.stored == WHOLE
    assert store.faults == []


def test_no_url_shows() -> None:
    """A presigned URL is a permission: it stands in no request as printed."""
    store = ModelStore()
    machine = upload()
    request = machine.next_effect(START)
    assert request is not None
    machine.feed(store.answer(request, START), START)
    put = machine.next_effect(START)
    assert put is not None
    assert STORE in put.url
    assert STORE not in repr(put)


FAULTS = st.sampled_from(["", "", "lost", "answer lost", "500", "429", "early"])


@settings(max_examples=200)
@given(st.lists(FAULTS, max_size=12), st.integers(0, 40), st.integers(0, 12))
def test_any_order_of_faults_ends_whole_or_said(faults: list[str], takes_s: int, crash_after: int) -> None:
    """Whatever fails, and wherever the hub starts again, the store has the part whole when the machine has finished."""
    store = ModelStore(faults=faults)
    now = START
    until(upload(), store, now, crash_after)
    try:
        run(upload(), store, now, takes_s)
    except BadInputError as error:
        assert "lost" in str(error)  # noqa: PT017 - a store that said 200 five times and kept nothing
        return
    assert store.stored == WHOLE


def until(machine: PutUpload, store: ModelStore, now: Instant, steps: int) -> None:
    """Run a machine for some requests, then forget it: a crash."""
    for _ in range(steps):
        now = max(now, machine.deadline() or now)
        request = machine.next_effect(now)
        if request is None:
            return
        machine.feed(store.answer(request, now), now)


def test_a_part_that_must_not_go_is_forgotten_by_its_name() -> None:
    """The signer aborts what there is of it; the token goes along, since only the signer is asked."""
    part = SealedPart("alarm-1.front.0000", Path("/outbox/part"), SIZE, "ab" * 32, MEDIA_TYPE_CLIP)
    request = forgetting(part, SIGNER + "/")
    assert (request.method, request.url) == ("DELETE", f"{SIGNER}/alarm-1.front.0000")
    assert not request.is_presigned
