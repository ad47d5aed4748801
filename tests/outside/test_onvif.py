"""Cameras of every temper answer the ONVIF client, which comes back with a stream or with the right reason."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lxml import etree

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera, camera_id, found_camera, parse_reply
from agent.acquire.encoding import Encoding
from agent.acquire.timeline import ClockOffset
from agent.clock import SECOND_NS, WallTime
from agent.crypto import Secret
from agent.errors import BadInputError
from agent.outside.discovery_sockets import search
from agent.outside.onvif import clock_note, examine, identify, rtsp_url, same_host
from agent.outside.onvif_failures import (
    AccountLockedError,
    CameraUnreachableError,
    ClockWrongError,
    LoginNeededError,
    LoginRefusedError,
    NoStreamError,
    NotOnvifError,
)
from agent.outside.soap import Reply
from agent.outside.soap_http import Answer
from agent.outside.soap_login import QUIET_S, Refusals
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

EPR = "urn:uuid:00000000-0000-0000-0000-00000000aa01"
LOGIN = Login(USER, Secret(PASSWORD))
HOUR_NS = 3600 * SECOND_NS


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


def found_at(*addresses: str) -> FoundCamera:
    """Make a camera that discovery found at these addresses."""
    return FoundCamera(camera_id(EPR), EPR, "Front door", "", "127.0.0.1", addresses)


@pytest.mark.parametrize(
    ("login", "clock_offset_s"), [("digest-sha-256", 0.0), ("digest-md5", 3600.4), ("token", 3600.4)]
)
def test_every_login_works_with_the_clock_an_hour_wrong(login: str, clock_offset_s: float) -> None:
    """Whatever login it wants and whatever its clock, the camera's stream and clock offset come back."""
    device = OnvifDevice(login=login, clock_offset_s=clock_offset_s)
    with serve(device) as address:
        stream = examine(found_at(address), LOGIN, hub_now, refusals=Refusals())
    assert stream.url == "rtsp://127.0.0.1:8554/main?a=1&b=2"
    assert (stream.camera, stream.name, stream.login) == (camera_id(EPR), "Front door", LOGIN)
    assert stream.clock is not None
    assert stream.clock.low_ns <= clock_offset_s * SECOND_NS <= stream.clock.high_ns
    assert stream.clock.high_ns - stream.clock.low_ns < SECOND_NS // 3
    assert device.refused_logins == 0


@pytest.mark.parametrize("login", ["digest-sha-256", "token"])
def test_a_camera_that_hides_its_time_is_opened_by_its_date_header(login: str) -> None:
    """GetSystemDateAndTime behind the login and a clock 1 h wrong: the HTTP Date header breaks the deadlock."""
    device = OnvifDevice(login=login, clock_offset_s=-3630.0, is_clock_secret=True)
    with serve(device) as address:
        card = identify(found_at(address), LOGIN, hub_now, refusals=Refusals())
    assert card.device.maker == "Acme"
    assert card.note == "its clock is 1 h 0 min slow; set its NTP server"
    assert device.refused_logins == 0


def test_a_wrong_clock_that_nothing_tells_is_named_as_the_reason() -> None:
    """Without the Date header the refusal is put down to the clock, and sent once only."""
    device = OnvifDevice(login="token", clock_offset_s=-3600.0, is_clock_secret=True, is_date_sent=False)
    with serve(device) as address, pytest.raises(ClockWrongError, match="clock"):
        identify(found_at(address), LOGIN, hub_now, refusals=Refusals())
    assert device.refused_logins == 1


@pytest.mark.parametrize("login", ["digest-sha-256", "digest-md5", "token"])
def test_a_wrong_password_is_sent_once_in_ten_minutes(login: str) -> None:
    """One refusal ends it, for this call and for the next ten minutes; another login is tried at once."""
    device = OnvifDevice(login=login)
    seconds = [0.0]
    refusals = Refusals(lambda: seconds[0])
    wrong = Login(USER, Secret("guess"))
    with serve(device) as address:
        for _ in range(3):
            with pytest.raises(LoginRefusedError) as refused:
                identify(found_at(address), wrong, hub_now, refusals=refusals)
            assert "guess" not in str(refused.value)
        assert device.refused_logins == 1
        assert identify(found_at(address), LOGIN, hub_now, refusals=refusals).device.model == "Dome 4"
        seconds[0] = QUIET_S
        with pytest.raises(LoginRefusedError):
            identify(found_at(address), wrong, hub_now, refusals=refusals)
    assert device.refused_logins == 2


def test_without_a_login_the_camera_is_not_guessed_at() -> None:
    """A camera that wants a login says so, and no login is sent."""
    device = OnvifDevice()
    with serve(device) as address, pytest.raises(LoginNeededError, match="ONVIF user and password"):
        identify(found_at(address), None, hub_now, refusals=Refusals())
    assert device.refused_logins == 0


def test_an_open_camera_needs_no_login() -> None:
    """A login the camera never asks for is never sent."""
    device = OnvifDevice(login="none")
    with serve(device) as address:
        card = identify(found_at(address), None, hub_now, refusals=Refusals())
    assert (card.device.serial, card.device.firmware, card.note) == ("SN0042", "1.2.3", "")


def test_a_camera_without_get_services_is_asked_for_its_capabilities() -> None:
    """ONVIF before 2.1 works too."""
    device = OnvifDevice(login="none", has_get_services=False)
    with serve(device) as address:
        assert examine(found_at(address), None, hub_now, refusals=Refusals()).url.startswith("rtsp://127.0.0.1:8554/")
    assert "GetCapabilities" in device.asked


def test_a_camera_without_a_codec_that_is_recorded_is_told_with_what_there_is() -> None:
    """The installer learns which setting to change."""
    device = OnvifDevice(login="none", encodings=(("MPEG4", 640, 360),))
    with serve(device) as address, pytest.raises(NoStreamError, match=r"offers MPEG4.*set the encoding"):
        examine(found_at(address), None, hub_now, refusals=Refusals())


def test_a_camera_that_hides_its_h265_stream_is_told_to_need_profile_t() -> None:
    """Media 1 shows no profile at all: the cause may be H.265, and two ways out are named."""
    device = OnvifDevice(login="none", encodings=())
    with serve(device) as address, pytest.raises(NoStreamError, match=r"H\.265.*Profile T \(media2\)"):
        examine(found_at(address), None, hub_now, refusals=Refusals())


@pytest.mark.parametrize(("login", "is_rtsp_unknown"), [("digest-sha-256", False), ("token", True)])
def test_media2_gives_the_h265_stream(login: str, *, is_rtsp_unknown: bool) -> None:
    """Profile T: the H.265 stream with the most pixels, and how it is encoded, whichever protocol word it knows."""
    device = OnvifDevice(login=login, media=(1, 2), is_rtsp_unknown=is_rtsp_unknown)
    with serve(device) as address:
        stream = examine(found_at(address), LOGIN, hub_now, refusals=Refusals())
    assert stream.encoding == Encoding("H265", 3840, 2160, 25.0, 50, 4096)
    assert stream.url == "rtsp://127.0.0.1:8554/main?a=1&b=2"
    assert device.refused_logins == 0


def test_what_the_camera_calls_main_or_what_is_wanted_is_recorded() -> None:
    """A name counts more than pixels; what a person wants counts more than both."""
    device = OnvifDevice(login="none", media=(2,), names=("MainStream", "Third", "sub"))
    with serve(device) as address:
        main = examine(found_at(address), None, hub_now, refusals=Refusals())
        wanted = examine(found_at(address), None, hub_now, refusals=Refusals(), wanted="SUB")
        with pytest.raises(NoStreamError, match=r"`fourth`.*`MainStream`, `Third`, `sub`"):
            examine(found_at(address), None, hub_now, refusals=Refusals(), wanted="fourth")
    assert main.encoding is not None
    assert wanted.encoding is not None
    assert (main.encoding.width, wanted.encoding.width) == (640, 3840)


def test_media2_that_is_announced_and_does_not_work_falls_back_to_media1() -> None:
    """Some firmware announces what it does not have."""
    device = OnvifDevice(login="none", media=(1, 2), is_media2_broken=True)
    with serve(device) as address:
        stream = examine(found_at(address), None, hub_now, refusals=Refusals())
    assert stream.encoding == Encoding("H264", 1920, 1080, 25.0, 50, 4096)


@pytest.mark.parametrize(
    ("refusal", "status", "error", "words"),
    [
        ("Not now", 429, AccountLockedError, "has locked this account"),
        ("Later", 423, AccountLockedError, "has locked this account.*Later"),
        ("Wsse authorized time check failed.", None, ClockWrongError, "clock may be wrong.*NTP"),
        ("Invalid username or password! You still have 4 attempt(s).", None, LoginRefusedError, "after 4 more"),
        ("Sender not Authorized", None, LoginRefusedError, "refuses this user or password"),
    ],
)
def test_refusals_are_told_apart(refusal: str, status: int | None, error: type[Exception], words: str) -> None:
    """A locked account, a wrong clock and a wrong password each have their own cure, and each is sent once only."""
    device = OnvifDevice(login="token", refusal=refusal)
    wrong, refusals = Login(USER, Secret("guess")), Refusals()
    with serve(device) as address:
        if status is not None:  # the camera asks for a login first, and locks when it is wrong
            device.refusal_status_when_given = status
        with pytest.raises(error, match=words) as refused:
            identify(found_at(address), wrong, hub_now, refusals=refusals)
        with pytest.raises(LoginRefusedError, match="not sent again"):
            identify(found_at(address), wrong, hub_now, refusals=refusals)
    assert type(refused.value) is error
    assert "guess" not in str(refused.value)
    assert device.refused_logins == 1


@pytest.mark.parametrize(
    ("words", "is_locked"),
    [
        ("The account has been locked", True),
        ("User locked", True),
        ("illegal login lock", True),
        ("Too many failed logins", True),
        ("Too many login attempts", True),
        ("IP address is blocked", True),
        ("Too many subscriptions", False),
        ("Block size", False),
        ("The clock is not set", False),
        ("Sender not Authorized", False),
    ],
)
def test_locks_are_told_from_other_limits(words: str, is_locked: bool) -> None:  # noqa: FBT001 - a test's case
    """A camera with too many subscriptions is not locked, and its clock is no lock."""
    fault = etree.fromstring(f"<Fault><Reason><Text>{words}</Text></Reason></Fault>")
    answer = Answer(400, b"", (), None, hub_now(), hub_now())
    assert Reply(answer, fault).is_locked is is_locked


@pytest.mark.parametrize("login", ["token", "digest-md5"])
def test_a_camera_that_says_it_is_locked_is_sent_no_login(login: str) -> None:
    """Not even the right one, which would prolong it; ten minutes of rest."""
    device, refusals = OnvifDevice(login=login, refusal="Account is locked, try again in 5 minutes"), Refusals()
    with serve(device) as address:
        with pytest.raises(AccountLockedError, match=r"has locked this account.*wait 30 min"):
            identify(found_at(address), LOGIN, hub_now, refusals=refusals)
        asked = len(device.asked)
        with pytest.raises(LoginRefusedError, match="not sent again"):
            identify(found_at(address), LOGIN, hub_now, refusals=refusals)
    assert device.refused_logins == 0
    assert device.asked[asked:] == ["GetSystemDateAndTime", "GetDeviceInformation"]


@pytest.mark.parametrize(
    "uri", ["", "http://x/y", "rtsp://x:port/", "rtsp://x/\u00e9", "rtsp://x/" + "a" * 2000, "rtsp://["]
)
def test_a_stream_address_that_is_none_is_refused(uri: str) -> None:
    """What the camera calls its stream address may be anything."""
    with pytest.raises(BadInputError):
        rtsp_url(uri, "http://127.0.0.1/onvif/device_service")


def test_addresses_never_leave_the_host_that_answered() -> None:
    """Path, query and a believable port are kept; the host never."""
    at = "http://10.0.0.5:8000/onvif/device_service"
    assert same_host("http://192.168.1.108/onvif/media", at) == "http://10.0.0.5:8000/onvif/media"
    assert same_host("http://10.0.0.5:8080/onvif/media", at) == "http://10.0.0.5:8080/onvif/media"
    assert same_host("http://[", at) == at
    assert rtsp_url("rtsp://u:p@evil.example/a b?c=d", at) == "rtsp://10.0.0.5/a%20b?c=d"
    assert rtsp_url("RTSPS://x/s", at) == "rtsps://10.0.0.5/s"
    assert rtsp_url("rtsp://x:554/s", "http://[fd00::5]/onvif/device_service") == "rtsp://[fd00::5]:554/s"


def test_the_second_address_is_tried_when_the_first_is_dead() -> None:
    """An unreachable port does not hide a camera that has another."""
    with socket.socket() as deaf, serve(OnvifDevice(login="none")) as address:
        deaf.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        dead = f"http://127.0.0.1:{deaf.getsockname()[1]}/onvif/device_service"
        assert identify(found_at(dead, address), None, hub_now, refusals=Refusals()).device.maker == "Acme"
        with pytest.raises(CameraUnreachableError, match="on and on this network"):
            identify(found_at(dead), None, hub_now, refusals=Refusals())


@pytest.mark.parametrize(
    ("status", "page"),
    [(200, b"<!DOCTYPE html><html><body>Welcome</body></html>"), (404, b"no"), (200, b"\x00\xff"), (400, b"")],
)
def test_what_is_no_onvif_device_is_called_so(status: int, page: bytes) -> None:
    """A web page, a missing path or rubbish means: ONVIF is off, or this is no camera."""
    with _page(status, page) as address, pytest.raises(NotOnvifError, match="switch on ONVIF"):
        identify(found_at(address), None, hub_now, refusals=Refusals())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<GetSystemDateAndTimeResponse/>",
        b"<UTCDateTime><Year>99999</Year></UTCDateTime>",
        b"<GetDeviceInformationResponse><Manufacturer><Model/></Manufacturer></GetDeviceInformationResponse>",
        b"<x/>" * 1000,
        (
            b'<GetServicesResponse xmlns="http://www.onvif.org/ver10/device/wsdl"><Service><Version>'
            b'<Major xmlns="http://www.onvif.org/ver10/schema">x</Major></Version></Service></GetServicesResponse>'
        ),
    ],
)
def test_soap_that_makes_no_sense_raises_nothing_unforeseen(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Answers that make no sense end in one of our errors, and a camera's words never reach the log."""
    envelope = b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>%s</e:Body></e:Envelope>' % body
    with _page(200, envelope) as address, pytest.raises((BadInputError, NoStreamError, NotOnvifError)):
        examine(found_at(address), None, hub_now, refusals=Refusals())
    assert not caplog.records


def test_clock_notes_are_for_people() -> None:
    """Small offsets are no news; large ones say which way and how to mend it."""
    assert clock_note(ClockOffset(-(10**8), 2 * 10**8)) == ""
    assert clock_note(ClockOffset(8 * SECOND_NS, 9 * SECOND_NS)).startswith("its clock is 8 s fast")
    assert clock_note(ClockOffset(-2 * HOUR_NS, -2 * HOUR_NS)).startswith("its clock is 2 h 0 min slow")
    assert "arrival" in clock_note(None)


def test_importing_and_using_onvif_zeep_leaves_the_process_alone() -> None:
    """The root logger, its level and the proxy settings are as before, after the import and after the first use."""
    script = (
        "import logging, os\n"
        "os.environ.update(http_proxy='http://proxy.example', https_proxy='http://proxy.example')\n"
        "before = dict(os.environ), list(logging.getLogger().handlers), logging.getLogger().level\n"
        "import agent.outside.onvif\n"
        "from agent.outside import onvif_services\n"
        "onvif_services._libraries(), onvif_services._document('devicemgmt.wsdl')\n"
        "assert before == (dict(os.environ), list(logging.getLogger().handlers), logging.getLogger().level)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_projects_own_camera_is_found_and_understood() -> None:
    """From a probe on loopback to the stream of the virtual camera, whose clock is an hour wrong."""
    arguments = ["--name", "Yard", "--user", USER, "--password-stdin", "--clock-offset-ms", "3600500"]
    with subprocess.Popen(
        [sys.executable, "-m", "agent.demo.camera", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as camera:
        assert camera.stdin is not None
        assert camera.stdout is not None
        camera.stdin.write(f"{PASSWORD}\n")
        camera.stdin.flush()
        ready = json.loads(camera.stdout.readline())
        with closing(search(["lo"], 30.0)) as cameras:
            found = next(one for one in cameras if one.epr == ready["epr"])
        stream = examine(found, LOGIN, hub_now, refusals=Refusals())
        camera.stdin.write('{"quit": true}\n')
    assert (stream.name, stream.url) == ("Yard", ready["rtsp"])
    assert stream.clock is not None
    assert stream.clock.low_ns <= 3600.5 * SECOND_NS <= stream.clock.high_ns


def test_ipycam_is_understood() -> None:
    """A camera that nobody of us wrote, which wants its token even for the time, hands out its main stream."""
    with _ipycam() as found:
        stream = examine(found, LOGIN, hub_now, refusals=Refusals())
        card = identify(found, LOGIN, hub_now, refusals=Refusals())
        with pytest.raises(LoginRefusedError):
            identify(found, Login(USER, Secret("no")), hub_now, refusals=Refusals())
    assert found.name == "Virtual Camera"  # sent with a raw blank
    assert stream.url == "rtsp://127.0.0.1:8554/video_main"
    assert stream.clock is not None
    assert stream.clock.low_ns <= 0 <= stream.clock.high_ns
    assert (card.device.maker, card.device.model) == ("PythonCam", "VirtualCam-1")


@contextmanager
def _ipycam() -> Iterator[FoundCamera]:
    """Run ipycam's own ONVIF service and HTTP handler on a free port, without its encoder; found by its ProbeMatch."""
    from ipycam.config import CameraConfig  # noqa: PLC0415 - loads OpenCV
    from ipycam.http import IPCameraHTTPHandler  # noqa: PLC0415 - loads OpenCV
    from ipycam.onvif import ONVIFService  # noqa: PLC0415 - loads OpenCV

    config = CameraConfig(local_ip="127.0.0.1", username=USER, password=PASSWORD)

    class Camera:
        onvif = ONVIFService(config)

    class Handler(IPCameraHTTPHandler):
        camera = Camera()

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        config.onvif_port = port
        yield found_camera(parse_reply(Camera.onvif.create_probe_match(EPR).encode(), "127.0.0.1")[0])


@contextmanager
def _page(status: int, page: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/onvif/device_service"


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    with server:
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
