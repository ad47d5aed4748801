"""Each quirk of the virtual camera, met by the hub's own code over real sockets; the list is tests/QUIRKS.md."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from agent.acquire.camera import Login
from agent.acquire.camera_event import EventClock
from agent.acquire.discovery import FoundCamera, ambiguous, camera_id
from agent.acquire.event_topics import EventKind
from agent.acquire.health import CameraState
from agent.acquire.stream import CameraId, decode_stream_header
from agent.acquire.timeline import ClockOffset, ClockSource
from agent.cli.camera_check import Mark, check_camera
from agent.cli.camera_finder import camera_at
from agent.clock import SECOND_NS, WallTime, Window
from agent.crypto import Secret
from agent.cut.clip import ClipReport, CutOrder, WireChunk
from agent.cut.splice import make_clip
from agent.demo.camera import CameraSettings, Ready, VirtualCamera, running_camera
from agent.demo.camera_events import EventManners
from agent.demo.camera_login import Verdict
from agent.demo.camera_quirks import Lockout, Quirks, odd_fmtp, read_quirks
from agent.demo.h264_rtp import EncoderSettings
from agent.demo.prove import FrameTime, judge, read_frames
from agent.errors import ConfigurationError
from agent.outside.discovery_sockets import discover
from agent.outside.host import HostClock
from agent.outside.onvif import camera_of
from agent.outside.onvif_failures import AccountLockedError, LoginRefusedError
from agent.outside.soap_login import Refusals
from tests.simulators.event_camera import event_camera, watching
from tests.simulators.eventually import until
from tests.simulators.recording_hub import RecordingHub

LOGIN = Login("hub", Secret("night-owl 7"))
WRONG = Login("hub", Secret("day-owl 7"))
SMALL = EncoderSettings(width=160, height=88, fps=1)
FILMING = EncoderSettings(width=320, height=180, fps=15, gop=5, bitrate_bps=150_000)
Logins = Literal["digest", "token", "both"]
FILMED_S: Final = 4.0
CLONES: Final = ("127.66.1.4", "127.66.1.5")
AGREED = ClockOffset(-1_000_000, 1_000_000)  # one machine, one clock


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


@contextmanager
def camera(encoder: EncoderSettings = SMALL, **settings: object) -> Iterator[tuple[VirtualCamera, Ready]]:
    """Run a camera that is found by nobody who was not told its address, unless `interface` says so."""
    given = {"login": LOGIN, "interface": "", "encoder": encoder} | settings
    with running_camera(CameraSettings(**given)) as running:  # type: ignore[arg-type] # a test's settings
        yield running


def found(ready: Ready) -> FoundCamera:
    """Return the camera as a search finds it."""
    host = urlsplit(ready.onvif).hostname or ""
    return FoundCamera(camera_id(ready.epr), ready.epr, ready.name, "", host, (ready.onvif,))


def stream_of(ready: Ready, login: Login = LOGIN, refusals: Refusals | None = None) -> str:
    """Ask the camera for its main stream's address as the hub does."""
    asked = camera_of(found(ready), login, hub_now, refusals=refusals or Refusals())
    return asked.stream_url(asked.main_profile())


# ------------------------------------------------------------------- logins
def test_a_wrong_password_locks_no_account() -> None:
    """A camera that locks after two refusals is sent one, by whatever way it is asked again."""
    with camera(quirks=Quirks(lockout_after=2)) as (one, ready):
        refusals = Refusals()
        for _ in range(4):
            with pytest.raises(LoginRefusedError):
                stream_of(ready, WRONG, refusals)
        assert one.lockout.refused == 1
        assert stream_of(ready, LOGIN, refusals)


def test_a_locked_account_is_called_so() -> None:
    """Not "password wrong": the right one is refused too, and only time mends that."""
    with camera(quirks=Quirks(lockout_after=1)) as (one, ready):
        with pytest.raises(LoginRefusedError):
            stream_of(ready, WRONG)
        assert one.lockout.is_locked
        with pytest.raises(AccountLockedError, match="locked"):
            stream_of(ready)
        assert one.lockout.refused == 1  # what it says is heard before a login is sent


@pytest.mark.parametrize("offset_ms", [3_600_400, -86_400_000])
@pytest.mark.parametrize("has_secret_clock", [False, True])
def test_a_login_is_signed_in_the_cameras_time(offset_ms: int, *, has_secret_clock: bool) -> None:
    """A clock that is wrong by an hour or a day, told freely or only in the Date header of the refusal."""
    quirks = Quirks(logins="token", has_secret_clock=has_secret_clock)
    with camera(quirks=quirks, clock_offset_ms=offset_ms) as (one, ready):
        assert stream_of(ready) == ready.rtsp
        assert one.lockout.refused == 0


@pytest.mark.parametrize(
    ("logins", "status", "is_page"),
    [
        *(("token", status, False) for status in (200, 400, 401, 500)),
        *((logins, 401, is_page) for logins in ("digest", "both") for is_page in (False, True)),
    ],
)
def test_every_kind_of_login_is_found_out(logins: Logins, status: int, *, is_page: bool) -> None:
    """By whatever status and words the camera asks for it: a SOAP fault, or a web page beside the challenge."""
    quirks = Quirks(logins=logins, refusal_status=status, is_refusal_a_page=is_page)
    with camera(quirks=quirks) as (one, ready):
        assert stream_of(ready) == ready.rtsp
        assert one.lockout.refused == 0


def test_a_user_of_its_own_for_rtsp_is_told_from_a_wrong_password() -> None:
    """ONVIF takes the login and RTSP does not: the test of the camera says at which step, and in which words."""
    with camera(FILMING, quirks=Quirks(rtsp_login=WRONG)) as (_, ready):
        steps = {step.name: step for step in check_camera(found(ready), LOGIN, HostClock(), refusals=Refusals())}
    assert steps["login"].mark is Mark.GOOD
    assert (steps["stream"].mark, steps["stream"].word) == (Mark.BAD, "password wrong")
    assert "another login than ONVIF" in steps["stream"].said


# --------------------------------------------------- addresses and services
@pytest.mark.parametrize("told", ["127.0.0.1", "0.0.0.0", "192.168.1.108", "[fe80::1]"])  # noqa: S104 - nobody binds to it
def test_addresses_of_somebody_else_are_not_followed(told: str) -> None:
    """The factory's, a loopback's or a router's address in every answer: what answered is asked, and nobody else."""
    with camera(quirks=Quirks(told_host=told), address="127.66.0.5") as (_, ready):
        assert urlsplit(stream_of(ready)).hostname == "127.66.0.5"
        assert stream_of(ready) == ready.rtsp


@pytest.mark.parametrize("port", [8000, 2020, 8899])
def test_the_usual_odd_ports_are_tried(port: int) -> None:
    """An address alone is enough where Reolink, Tapo and clones listen."""
    with camera(address="127.66.0.6", http_port=port) as (_, ready):
        there = camera_at("127.66.0.6", LOGIN, hub_now)
        assert (there.addresses, there.camera) == ((ready.onvif,), camera_id(ready.epr))


def test_a_camera_without_get_services_is_asked_otherwise() -> None:
    """GetCapabilities tells as much."""
    with camera(quirks=Quirks(has_get_services=False)) as (_, ready):
        assert stream_of(ready) == ready.rtsp


# ------------------------------------------------------------------- events
def test_a_subscription_as_tapo_wants_it() -> None:
    """A lifetime must be asked for, and long pulls are cut off: motion comes all the same, by one subscription."""
    manners = EventManners(needs_lifetime=True, breaks_pulls_s=9)
    with event_camera(manners) as (one, ready), watching(("door", ready.onvif)) as (_, heard):
        until(lambda: one.events.pulls_s)
        one.events.motion(is_so=True)
        until(lambda: heard.of("door"))
        assert one.events.asked.count("CreatePullPointSubscription") == 1
        assert max(one.events.pulls_s) < manners.breaks_pulls_s


def test_stamps_without_t_and_zone_are_read() -> None:
    """A blank and no zone, as some firmware writes UTC."""
    with event_camera(EventManners(has_odd_stamps=True)) as (one, ready), watching(("door", ready.onvif)) as (_, heard):
        until(lambda: "PullMessages" in one.events.asked)
        before = time.time_ns()
        one.events.motion(is_so=True)
        until(lambda: heard.of("door"))
        (event,) = heard.of("door")
    assert (event.kind, event.clock) == (EventKind.MOTION, EventClock.CAMERA)
    assert event.at - event.error_ns <= time.time_ns()
    assert before <= event.at + event.error_ns


# ------------------------------------------------------------ RTSP and RTP
ODD_PACKETS: Final = {
    "no-sets-in-the-sdp": Quirks(sdp_sets="missing"),
    "rubbish-in-the-sdp": Quirks(sdp_sets="rubbish"),
    "no-marker": Quirks(marker="never"),
    "only-markers": Quirks(marker="every"),
    "sets-apart": Quirks(has_sets_apart=True),
    "start-codes-inside": Quirks(is_annex_b=True),
}
ODD_TIMES: Final = {"no-reports": Quirks(has_reports=False), "hours-off": Quirks(jump_every=25)}


@dataclass(frozen=True)
class Filmed:
    """What one hub recorded of cameras with one quirk each, side by side."""

    hub: RecordingHub
    ready: dict[str, Ready]
    began: int  # hub time, ns


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filmed]:
    """Record them for some seconds; a session that is silent for two of them is dropped by every camera."""
    with ExitStack() as stack:
        began = time.time_ns()
        ready = {
            name: stack.enter_context(camera(FILMING, quirks=quirks, session_s=2))[1]
            for name, quirks in (ODD_PACKETS | ODD_TIMES).items()
        }
        hub = stack.enter_context(RecordingHub(tmp_path_factory.mktemp("ring")))
        for name, one in ready.items():
            hub.record(name, one.rtsp, login=LOGIN, clock=AGREED)
        steady = [CameraId(name) for name in ODD_PACKETS]
        hub.wait(lambda: all(hub.recorded_s(door) >= FILMED_S for door in steady), "the footage of all")
        hub.wait(lambda: len(hub.runs(CameraId("hours-off"))) > 1, "a jump")
        yield Filmed(hub, ready, began)


def cut(hub: RecordingHub, door: CameraId, window: Window) -> tuple[bytes, ClipReport]:
    """Cut a window as the child does."""
    footage = hub.footage(door)
    headers = tuple(decode_stream_header(hub.ring.read(header)) for header in footage.headers)
    chunks = (WireChunk(one.meta.run, one.meta.sequence, one.meta.anchor, hub.ring.read(one)) for one in footage.chunks)
    pieces, report = make_clip(CutOrder(window, headers), chunks)
    return b"".join(pieces), report


def middle(hub: RecordingHub, door: CameraId) -> Window:
    """Return a window of the newest run, half a second from its ends."""
    chunks = hub.runs(door)[-1]
    return Window(
        WallTime(chunks[0].meta.first_picture + SECOND_NS // 2), WallTime(chunks[-1].meta.last_picture - SECOND_NS // 2)
    )


def shown(filmed: Filmed, name: str, folder: Path) -> tuple[list[FrameTime], ClipReport, Window]:
    """Cut the middle of a camera's newest run; return what every picture in the clip shows."""
    window = middle(filmed.hub, CameraId(name))
    clip, report = cut(filmed.hub, CameraId(name), window)
    (folder / "clip.mp4").write_bytes(clip)
    return read_frames(folder / "clip.mp4"), report, window


@pytest.mark.parametrize("name", ODD_PACKETS)
def test_pictures_in_odd_packets_are_cut_exactly(filmed: Filmed, name: str, tmp_path: Path) -> None:
    """Every picture of the window is in the clip, once, and no other: the camera's own cadence is the judge."""
    frames, report, window = shown(filmed, name, tmp_path)
    verdict = judge([frames], window, filmed.ready[name].cadence)
    assert (verdict.outside, verdict.missing, verdict.unreadable, verdict.doubled) == (0, 0, 0, 0)
    assert verdict.frames >= FILMING.fps
    assert (report.refused, report.gaps) == (0, ())


def test_without_sender_reports_arrival_dates_the_pictures(filmed: Filmed, tmp_path: Path) -> None:
    """And says so, with a bound that holds for the first picture of a clip."""
    chunks = filmed.hub.footage(CameraId("no-reports")).chunks
    assert {chunk.meta.anchor.source for chunk in chunks} == {ClockSource.ARRIVAL}
    frames, _, window = shown(filmed, "no-reports", tmp_path)
    (first, *_) = [frame.ticks for frame in frames if frame.ticks is not None]
    true, bound = filmed.ready["no-reports"].cadence.hub_time(first), max(one.meta.anchor.error_ns for one in chunks)
    assert abs(true - window.start) <= bound + SECOND_NS // FILMING.fps


def test_one_timestamp_that_is_hours_off_ends_no_session(filmed: Filmed) -> None:
    """The pictures around it are recorded, in a run of their own, and none of them is dated hours away."""
    health = filmed.hub.health(CameraId("hours-off"))
    chunks = filmed.hub.footage(CameraId("hours-off")).chunks
    assert (health.state, health.reconnects) == (CameraState.RECORDING, 0)
    assert len({one.meta.run for one in chunks}) > 1
    now = time.time_ns()
    assert all(filmed.began - SECOND_NS <= one.meta.first_picture <= now + SECOND_NS for one in chunks)


def test_sessions_that_die_in_silence_are_kept(filmed: Filmed) -> None:
    """Cameras that drop who says nothing for two seconds are spoken to in time: nobody was dropped."""
    assert FILMED_S > 2
    for name in ODD_PACKETS:
        health = filmed.hub.health(CameraId(name))
        assert (health.state, health.reconnects, health.error) == (CameraState.RECORDING, 0, "")


def test_a_full_camera_is_told_and_tried_again(tmp_path: Path) -> None:
    """453: somebody else has its only session; when that one leaves, it is recorded."""
    with camera(FILMING, quirks=Quirks(viewers_max=1)) as (_, ready), RecordingHub(tmp_path / "first") as first:
        first.wait_recorded(first.record("door", ready.rtsp, login=LOGIN), 0.5)
        with RecordingHub(tmp_path / "second") as second:
            door = second.record("door", ready.rtsp, login=LOGIN)
            second.wait(lambda: "453" in second.health(door).error, "the refusal in words")
            first.stop()
            second.wait_recorded(door, 0.5)


# ---------------------------------------------------------------- discovery
def test_off_standard_answers_to_a_search_are_answers() -> None:
    """Each camera is found, at the address it answered from, by a name that can be shown; two clones are both found."""
    odd = {
        "127.66.1.1": Quirks(has_bare_match=True),
        "127.66.1.2": Quirks(has_odd_scopes=True),
        "127.66.1.3": Quirks(has_trailing_nuls=True),
        "127.66.1.4": Quirks(told_host="169.254.7.7"),
        "127.66.1.5": Quirks(),
    }
    clone = str(uuid4())
    with ExitStack() as stack:
        ready = {}
        for address, quirks in odd.items():
            more = {"uuid": clone} if address in CLONES else {}
            given = camera(name="Café au Lait", interface="lo", address=address, quirks=quirks, **more)
            ready[address] = stack.enter_context(given)[1]
        heard = {one.sender: one for one in discover(["lo"], 2.0) if one.sender in odd}
    assert {sender: one.addresses[0] for sender, one in heard.items()} == {at: one.onvif for at, one in ready.items()}
    assert {one.epr for one in heard.values()} == {one.epr for one in ready.values()}
    assert {one.name.split()[0] for one in heard.values()} == {"Café"}
    assert ambiguous(list(heard.values())) == {camera_id(f"urn:uuid:{clone}")}


# ------------------------------------------------------- the switches alone
def test_switches_are_read_from_a_command_line() -> None:
    """By name, with a value where they have one; what there is not is said."""
    quirks, manners = read_quirks(["marker=never", "viewers_max=2", "is_annex_b", "needs_lifetime"])
    assert quirks == Quirks(marker="never", viewers_max=2, is_annex_b=True)
    assert manners.needs_lifetime
    for words in (["markers=never"], ["marker=sometimes"], ["rtsp_login=x"]):
        with pytest.raises(ConfigurationError):
            read_quirks(words)


def test_a_lockout_counts_what_is_refused_only() -> None:
    """Who brought no login was not refused; behind the limit everybody is."""
    lockout = Lockout(after=2)
    said = [Verdict.NOT_ASKED, Verdict.REFUSED, Verdict.WELCOME, Verdict.REFUSED, Verdict.WELCOME, Verdict.NOT_ASKED]
    judged = [lockout.judged(verdict) for verdict in said]
    assert judged == [*said[:4], Verdict.REFUSED, Verdict.NOT_ASKED]
    assert not Lockout().is_locked


def test_sets_in_the_sdp() -> None:
    """Given as they are, left out, or spoiled; the other parameters stay."""
    fmtp = "packetization-mode=1;profile-level-id=42C01E;sprop-parameter-sets=Z0L,aM4="
    assert odd_fmtp(Quirks(), fmtp) == fmtp
    assert odd_fmtp(Quirks(sdp_sets="missing"), fmtp) == "packetization-mode=1;profile-level-id=42C01E"
    assert "6QAB" in odd_fmtp(Quirks(sdp_sets="rubbish"), fmtp)
