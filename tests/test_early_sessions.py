"""Sessions that begin before anybody has said who answers: nothing is lost, nothing of a stranger is stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acquire.health import CameraState
from agent.buffer.held_chunks import HELD_BYTES_MAX
from agent.crypto import sha256_hex
from tests.simulators.recorder_bench import DOOR, Bench, recording, stream_of
from tests.simulators.rtsp_camera import CameraScript, RtspCamera
from tests.simulators.tls_front import Certificate, TlsFront

NEVER_S = 60.0  # nobody waits so long for a word here
LOGIN = {"user": "owner", "password": "hunter2"}
SECOND_OF_MEDIA = 100 * 7_500  # bytes that a scripted camera sends in a second


@contextmanager
def reconnected(script: CameraScript, confirm_s: float = NEVER_S) -> Iterator[tuple[RtspCamera, Bench]]:
    """Record a camera that was vouched for, hangs up once, and answers again; nobody has said yet whether it is it."""
    script.pictures_at_first = 12
    with RtspCamera(script) as camera, recording(stream_of(camera), confirm_s=confirm_s) as bench:
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: camera.media and bench.sink.of(DOOR))
        bench.wait_until(lambda: camera.sessions == 2)
        yield camera, bench


def stored_of_second(bench: Bench) -> bytes:
    """Return what the ring has of the second session."""
    return b"".join(payload for meta, payload in bench.sink.of(DOOR) if meta.run in bench.runs()[1:])


def test_nothing_is_lost_while_the_camera_is_asked_who_it_is() -> None:
    """All that it sent until the word came is in the ring, from its first byte on; before the word, nothing is."""
    with reconnected(CameraScript(**LOGIN)) as (camera, bench):
        bench.wait_until(lambda: len(camera.media) == 2 and len(camera.media[1]) > SECOND_OF_MEDIA)
        assert len(bench.runs()) == 1
        assert bench.health().is_unconfirmed
        assert bench.health().state is CameraState.CONNECTING
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: len(stored_of_second(bench)) > SECOND_OF_MEDIA)
        bench.wait_until(lambda: bench.health().state is CameraState.RECORDING)
        assert not bench.health().is_unconfirmed
        stored = stored_of_second(bench)
        numbers = [meta.sequence for meta, _ in bench.sink.of(DOOR) if meta.run == bench.runs()[1]]
    assert camera.media[1].startswith(stored)
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_stranger_is_left_and_nothing_of_it_is_stored() -> None:
    """What was held is dropped; whoever answers next is not taken for the camera before the word."""
    with reconnected(CameraScript(**LOGIN)) as (camera, bench):
        bench.wait_until(lambda: len(camera.media) == 2 and len(camera.media[1]) > SECOND_OF_MEDIA // 2)
        bench.recorder.refuse(DOOR, "another device answers")
        bench.wait_until(lambda: "TEARDOWN" in camera.methods())
        bench.wait_until(lambda: "another device answers" in bench.health().error)
        assert stored_of_second(bench) == b""


def test_where_nobody_says_who_it_is_it_is_stored_after_a_while() -> None:
    """A camera whose ONVIF is off: as it always was, but for what was lost until then."""
    with reconnected(CameraScript(**LOGIN), confirm_s=1.0) as (camera, bench):
        bench.wait_until(lambda: len(stored_of_second(bench)) > SECOND_OF_MEDIA // 2)
        assert camera.media[1].startswith(stored_of_second(bench))


def test_more_than_is_held_waits_in_the_camera() -> None:
    """A camera that sends far more than the limit until the word comes loses none of it."""
    with reconnected(CameraScript(picture_s=0.001)) as (camera, bench):
        bench.wait_until(lambda: len(camera.media) == 2 and len(camera.media[1]) > HELD_BYTES_MAX)
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: len(stored_of_second(bench)) > HELD_BYTES_MAX * 5 // 4)
        assert camera.media[1].startswith(stored_of_second(bench))


def test_a_password_in_clear_waits_for_the_word() -> None:
    """A camera that offers nothing but Basic is asked who it is before it is shown the password again."""
    with reconnected(CameraScript(**LOGIN, is_basic_only=True)) as (camera, bench):
        bench.wait_until(lambda: camera.sessions == 3 and bench.health().is_unconfirmed)
        assert len(camera.media) == 1
        logins = len(camera.logins())
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: stored_of_second(bench))
        assert len(camera.logins()) > logins
        assert len(camera.logins(session=2)) == 0


@pytest.mark.parametrize("is_stranger", [True, False])
def test_a_login_that_was_refused_early_is_not_tried_again(*, is_stranger: bool) -> None:
    """Who refused it is found out first: a stranger's refusal says nothing, the camera's own is final."""
    script = CameraScript(**LOGIN)
    with reconnected(script) as (camera, bench):
        bench.wait_until(lambda: len(camera.media) == 2)
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: stored_of_second(bench))
        script.password, script.hangs_up = "another", True
        bench.wait_until(lambda: camera.sessions == 4 and bench.health().is_unconfirmed)
        logins = len(camera.logins())
        if is_stranger:
            bench.recorder.refuse(DOOR, "another device answers")
            bench.wait_until(lambda: "another device answers" in bench.health().error)
        else:
            bench.recorder.vouch(DOOR)
            bench.wait_until(lambda: bench.health().state is CameraState.LOGIN_REFUSED)
        assert len(camera.logins()) == logins
        assert (bench.health().state is CameraState.LOGIN_REFUSED) is not is_stranger


def test_a_camera_that_nobody_knows_yet_gets_no_login_before_the_word() -> None:
    """After a start of the hub; one that wants no login is held from its first picture on."""
    with RtspCamera(CameraScript(**LOGIN)) as camera, recording(stream_of(camera), confirm_s=NEVER_S) as bench:
        bench.wait_until(lambda: camera.sessions == 1 and bench.health().is_unconfirmed)
        assert camera.methods() == []
    with RtspCamera(CameraScript()) as camera, recording(stream_of(camera), confirm_s=NEVER_S) as bench:
        bench.wait_until(lambda: camera.media and len(camera.media[0]) > SECOND_OF_MEDIA // 2)
        assert bench.sink.chunks == []
        bench.recorder.vouch(DOOR)
        bench.wait_until(lambda: len(bench.stored()) > SECOND_OF_MEDIA // 2)
        assert camera.media[0].startswith(bench.stored())


def test_the_cameras_own_certificate_lets_it_begin_at_once(tmp_path: Path) -> None:
    """Over TLS with the pin, from the first connection on."""
    certificate = Certificate.made(tmp_path)
    with RtspCamera(CameraScript(**LOGIN)) as camera, TlsFront(camera.port, certificate) as front:
        stream = replace(stream_of(camera), url=front.url, pin=sha256_hex(certificate.der))
        with recording(stream, confirm_s=NEVER_S) as bench:
            bench.wait_until(lambda: camera.media and len(camera.media[0]) > SECOND_OF_MEDIA // 2)
            assert bench.sink.chunks == []
