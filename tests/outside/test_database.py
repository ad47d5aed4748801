"""The journal keeps what it was told, across restarts, and never says a thing without its state."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from agent.acquire.camera import CameraStream, Login
from agent.acquire.encoding import Encoding
from agent.acquire.stream import CameraId
from agent.acquire.timeline import ClockOffset
from agent.clip_job import Job, JobPart, JobState, PartState, Status
from agent.clock import WallTime, Window
from agent.command.request import RefusalReason
from agent.crypto import Secret
from agent.cut.clip import ClipReport
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.database import JOB_KEPT_NS, OUTGOING_MAX, Database
from agent.ports import Document, Opening

NOW = WallTime(1_800_000_000_000_000_000)
JOB = Job("cmd-1", b"{envelope}", NOW)


def status(state: JobState, command: str = "cmd-1") -> Status:
    """Make a small status."""
    return Status(command, state, "2026-11-22T13:46:00.000Z")


def opened(path: Path) -> Database:
    """Open the database of a test."""
    return Database(path / "hub.db", "hub/v1/H/evt/cmd")


def test_a_command_is_new_once(tmp_path: Path) -> None:
    """The same bytes again are known as open, after the end as ended, and other bytes under the id are seen."""
    database = opened(tmp_path)
    assert database.open_job(JOB, "aa", NOW)[0] is Opening.NEW
    assert database.open_job(JOB, "aa", NOW)[0] is Opening.STILL_OPEN
    assert database.open_job(JOB, "bb", NOW)[0] is Opening.OTHER_BYTES
    ended = replace(JOB, state=JobState.REJECTED, reason=RefusalReason.SHARING_OFF)
    database.move(ended, status(JobState.REJECTED))
    assert database.open_job(JOB, "aa", NOW) == (Opening.ENDED, ended)
    database.close()


def test_a_restart_finds_open_jobs_parts_and_messages(tmp_path: Path) -> None:
    """What was stored before the process died is there afterwards, byte for byte."""
    report = ClipReport(3, 2, 1, NOW, NOW, 640, 360, "h264")
    part = JobPart("cmd-1", CameraId("c"), 0, False, NOW, WallTime(NOW + 5), PartState.SEALED, 9, "ff", "", "", report)  # noqa: FBT003 - a row
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    database.move(replace(JOB, state=JobState.IN_PROGRESS), status(JobState.IN_PROGRESS), granted=NOW)
    database.put_part(part)
    database.put_part(replace(part, state=PartState.CREATED, location="https://store/1"))
    database.put_document("policy", Document(7, "a.b.c"))
    database.close()

    database = opened(tmp_path)
    assert [job.state for job in database.open_jobs()] == [JobState.IN_PROGRESS]
    assert database.parts("cmd-1") == (replace(part, state=PartState.CREATED, location="https://store/1"),)
    assert database.document("policy") == Document(7, "a.b.c")
    assert database.grants_since(WallTime(NOW - 1)) == 1
    (message,) = database.outgoing(0, 10)
    assert b'"IN_PROGRESS"' in message.payload
    database.sent(message.id)
    assert database.outgoing(0, 10) == ()
    database.close()


def test_the_manifest_stands_beside_the_parts_and_comes_last(tmp_path: Path) -> None:
    """A camera's manifest does not take the place of its first part."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    first = JobPart("cmd-1", CameraId("c"), 0, False, NOW, WallTime(NOW + 5), PartState.SEALED, 9, "ff", "", "", None)  # noqa: FBT003 - a row
    database.put_part(replace(first, is_manifest=True))
    database.put_part(first)
    assert [part.id for part in database.parts("cmd-1")] == ["cmd-1.c.0000", "cmd-1.c.manifest"]
    database.close()


def test_ended_jobs_are_forgotten_only_when_nobody_can_replay_them(tmp_path: Path) -> None:
    """A job stays while it is open, while its command is valid, and for two days."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    later = WallTime(NOW + JOB_KEPT_NS + 10)
    database.forget_before(later, 0)
    assert database.job("cmd-1") is not None
    database.move(replace(JOB, state=JobState.FAILED), status(JobState.FAILED))
    database.forget_before(later, JOB_KEPT_NS * 2)
    assert database.job("cmd-1") is not None
    database.forget_before(later, 0)
    assert database.job("cmd-1") is None
    database.close()


def test_the_outbox_is_bounded_and_keeps_the_ends(tmp_path: Path) -> None:
    """With the broker away for long, progress is dropped before the end of a job is."""
    database = opened(tmp_path)
    database.say(status(JobState.SUCCEEDED, "the end"))
    with database._transaction() as rows:
        values = ((b"{}",) for _ in range(OUTGOING_MAX))
        rows.executemany("INSERT INTO outgoing (topic, payload, is_final) VALUES ('t', ?, 0)", values)
        rows.execute("DELETE FROM outgoing WHERE id = (SELECT max(id) FROM outgoing)")
    database.say(status(JobState.IN_PROGRESS))
    assert len(database.outgoing(0, OUTGOING_MAX + 5)) == OUTGOING_MAX
    assert b"the end" in database.outgoing(0, 1)[0].payload
    database.close()


def test_a_newer_database_is_not_touched(tmp_path: Path) -> None:
    """An older program says that it is too old instead of guessing."""
    database = opened(tmp_path)
    database._connection.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(ConfigurationError, match="version 99"):
        opened(tmp_path)


def test_somebody_is_called_whenever_there_is_something_to_say(tmp_path: Path) -> None:
    """After a change of state and after a status, once each, when the message can be read already."""
    database = opened(tmp_path)
    seen: list[int] = []
    database.on_message = lambda: seen.append(len(database.outgoing(0, 10)))
    database.open_job(JOB, "aa", NOW)
    assert seen == []
    database.move(replace(JOB, state=JobState.IN_PROGRESS), status(JobState.IN_PROGRESS))
    database.say(status(JobState.IN_PROGRESS))
    assert seen == [1, 2]
    database.close()


def test_cameras_are_remembered_without_their_login(tmp_path: Path) -> None:
    """Address, clock and encoding come back after a restart, the newest of each; the password is in no file."""
    login = Login("transom", Secret("hunter2"))
    how = Encoding("H265", 3840, 2160, 25.0, 50, 4096)
    front = CameraStream(CameraId("front"), "Front door", "rtsp://10.0.0.1/1", login, ClockOffset(-5, 7), encoding=how)
    database = opened(tmp_path)
    database.put_camera(front)
    database.put_camera(CameraStream(CameraId("back"), "Back", "rtsp://10.0.0.2/1", login, None))
    database.put_camera(replace(front, url="rtsp://10.0.0.9/1"))
    assert b"hunter2" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    database.close()
    database = opened(tmp_path)
    back, again = database.cameras()
    assert (back.camera, back.clock, back.login) == (CameraId("back"), None, None)
    assert again == replace(front, url="rtsp://10.0.0.9/1", login=None)
    database.close()


def test_an_encoding_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    """Another version may have written more: the camera is there, and how it encodes is not known."""
    database = opened(tmp_path)
    database.put_camera(CameraStream(CameraId("front"), "Front door", "rtsp://10.0.0.1/1", None, None))
    with database._transaction() as rows:
        rows.execute("UPDATE camera SET encoding='{\"lens\":1}'")
    assert [known.encoding for known in database.cameras()] == [None]
    database.close()


def test_a_pin_stays_until_it_is_forgotten(tmp_path: Path) -> None:
    """Whatever else changes about the camera; a pin of a camera that nobody knows is nothing."""
    front = CameraStream(CameraId("front"), "Front door", "rtsps://10.0.0.1/1", None, None)
    database = opened(tmp_path)
    database.put_camera(front)
    database.put_pin(front.camera, "ab" * 32)
    database.put_pin(CameraId("nobody"), "cd" * 32)
    database.put_camera(replace(front, url="rtsps://10.0.0.9/1"))
    database.close()
    database = opened(tmp_path)
    assert database.cameras() == (replace(front, url="rtsps://10.0.0.9/1", pin="ab" * 32),)
    database.put_pin(front.camera, "")
    assert database.cameras() == (replace(front, url="rtsps://10.0.0.9/1"),)
    database.close()


def test_a_database_of_version_1_is_taken_over(tmp_path: Path) -> None:
    """What an older program has stored is there, and what it did not know is empty."""
    database = opened(tmp_path)
    database.put_camera(CameraStream(CameraId("front"), "Front door", "rtsp://10.0.0.1/1", None, None))
    with database._transaction() as rows:
        rows.execute("ALTER TABLE camera DROP COLUMN pin")
        rows.execute("ALTER TABLE job DROP COLUMN sound")
        rows.execute("ALTER TABLE job DROP COLUMN masks")
        rows.execute("ALTER TABLE camera DROP COLUMN encoding")
        drop_orders(rows)
        rows.execute("PRAGMA user_version=1")
    database.close()
    for _ in range(2):
        database = opened(tmp_path)
        assert [(known.name, known.pin) for known in database.cameras()] == [("Front door", "")]
        database.close()


def test_a_database_of_version_2_is_taken_over(tmp_path: Path) -> None:
    """Jobs that were granted before there were sound and masks go on without any."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    with database._transaction() as rows:
        rows.execute("ALTER TABLE job DROP COLUMN sound")
        rows.execute("ALTER TABLE job DROP COLUMN masks")
        rows.execute("ALTER TABLE camera DROP COLUMN encoding")
        drop_orders(rows)
        rows.execute("PRAGMA user_version=2")
    database.close()
    database = opened(tmp_path)
    assert database.job("cmd-1") == JOB
    heard = replace(JOB, cameras=(CameraId("front"), CameraId("back")), sound=(CameraId("front"),))
    database.move(heard, status(JobState.IN_PROGRESS))
    assert database.job("cmd-1") == heard
    database.close()


def drop_orders(rows: sqlite3.Connection) -> None:
    """Take out what version 6 has brought, and what came after it."""
    drop_agreed(rows)
    for column in ("action", "stopped_by", "extended_by"):
        rows.execute(f"ALTER TABLE job DROP COLUMN {column}")


def drop_agreed(rows: sqlite3.Connection) -> None:
    """Take out what version 7 has brought."""
    for column in ("due", "withdrawn", "policy_version", "policy_sha256", "trust"):
        rows.execute(f"ALTER TABLE job DROP COLUMN {column}")


def test_a_database_of_version_6_is_taken_over(tmp_path: Path) -> None:
    """A job that was granted before more of the grant was kept has none of it, and gets it with its next state."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    with database._transaction() as rows:
        drop_agreed(rows)
        rows.execute("PRAGMA user_version=6")
    database.close()
    database = opened(tmp_path)
    assert database.job("cmd-1") == JOB
    granted = replace(JOB, state=JobState.IN_PROGRESS, due=7, policy=(3, "ab"), trust=b"{}")
    database.move(granted, status(JobState.IN_PROGRESS))
    assert database.job("cmd-1") == granted
    database.close()


def test_the_first_no_stays_and_an_ended_job_takes_none(tmp_path: Path) -> None:
    """Why a job may not go on is stored once, and no later state of it takes that away."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    for reason in (RefusalReason.REVOKED, RefusalReason.SHARING_OFF):
        database.withdraw_job("cmd-1", reason)
    database.move(replace(JOB, state=JobState.IN_PROGRESS), status(JobState.IN_PROGRESS))
    known = database.job("cmd-1")
    assert known is not None
    assert known.withdrawn is RefusalReason.REVOKED
    database.open_job(replace(JOB, id="cmd-2"), "bb", NOW)
    database.move(replace(JOB, id="cmd-2", state=JobState.SUCCEEDED), status(JobState.SUCCEEDED))
    database.withdraw_job("cmd-2", RefusalReason.REVOKED)
    ended = database.job("cmd-2")
    assert ended is not None
    assert ended.withdrawn is None
    database.close()


def test_a_database_of_version_5_is_taken_over(tmp_path: Path) -> None:
    """Jobs from before there were orders are uploads that nobody has stopped, and may be stopped and extended now."""
    database = opened(tmp_path)
    granted = replace(JOB, state=JobState.IN_PROGRESS, window=Window(NOW, WallTime(NOW + 10)))
    database.open_job(JOB, "aa", NOW)
    database.move(granted, status(JobState.IN_PROGRESS), granted=NOW)
    with database._transaction() as rows:
        drop_orders(rows)
        rows.execute("PRAGMA user_version=5")
    database.close()
    database = opened(tmp_path)
    assert database.job("cmd-1") == granted
    assert (granted.action, granted.stopped_by, granted.extended_by) == ("clip.upload", "", ())
    database.extend_job("cmd-1", WallTime(NOW + 20), "longer-1")
    database.stop_job("cmd-1", "cancel-1")
    known = database.job("cmd-1")
    assert known == replace(
        granted, window=Window(NOW, WallTime(NOW + 20)), stopped_by="cancel-1", extended_by=("longer-1",)
    )
    database.close()


def test_an_end_only_moves_later_and_the_first_stop_counts(tmp_path: Path) -> None:
    """Orders that come again, or too late, change nothing; nor does any order change a job that has ended."""
    database = opened(tmp_path)
    database.open_job(replace(JOB, action="clip.upload"), "aa", NOW)
    running = replace(JOB, state=JobState.IN_PROGRESS, window=Window(NOW, WallTime(NOW + 10)))
    database.move(running, status(JobState.IN_PROGRESS))
    for end, order in ((20, "a"), (20, "a"), (15, "b"), (30, "c")):
        database.extend_job("cmd-1", WallTime(NOW + end), order)
    for order in ("s", "t"):
        database.stop_job("cmd-1", order)
    known = database.job("cmd-1")
    assert known is not None
    assert (known.extended_by, known.stopped_by, known.window) == (("a", "c"), "s", Window(NOW, WallTime(NOW + 30)))
    database.move(replace(known, state=JobState.CANCELED), status(JobState.CANCELED))
    database.extend_job("cmd-1", WallTime(NOW + 90), "d")
    ended = database.job("cmd-1")
    assert ended is not None
    assert ended.extended_by == ("a", "c")
    database.close()


def test_starts_are_counted(tmp_path: Path) -> None:
    """Each start has a higher number than all before it, also after a crash."""
    for expected in (1, 2, 3):
        database = opened(tmp_path)
        assert database.count_boot() == expected
        database.close()


def test_an_answer_stays_through_every_move(tmp_path: Path) -> None:
    """The owner's word is stored by itself: a state that changes meanwhile does not undo it."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    assert database.job_of("aa") == JOB
    database.put_answer("cmd-1", "a.b.c", WallTime(NOW + 1))
    database.move(replace(JOB, state=JobState.IN_PROGRESS), status(JobState.IN_PROGRESS))
    job = database.job("cmd-1")
    assert job is not None
    assert (job.answer, job.answered, job.state) == ("a.b.c", NOW + 1, JobState.IN_PROGRESS)
    database.move(replace(JOB, state=JobState.SUCCEEDED), status(JobState.SUCCEEDED))
    assert database.job_of("aa") is None
    database.close()


def test_a_grants_masks_stay_with_the_job(tmp_path: Path) -> None:
    """They come back after a restart as they were; a job without any has none."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    granted = replace(JOB, state=JobState.IN_PROGRESS, masks={CameraId("front"): (((0, 0), (9999, 0), (0, 9999)),)})
    assert (job := database.job("cmd-1")) is not None
    assert job.masks == {}
    database.move(granted, status(JobState.IN_PROGRESS))
    database.close()
    database = opened(tmp_path)
    assert database.job("cmd-1") == granted
    database.close()


def test_a_full_disk_is_told_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    """The change that did not fit is not there, and the journal works as soon as there is room."""
    database = opened(tmp_path)
    database.open_job(JOB, "aa", NOW)
    pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
    database._connection.execute(f"PRAGMA max_page_count={pages}").close()
    with pytest.raises(UnavailableError, match="journal"):
        database.say(status(JobState.IN_PROGRESS, "a long detail" * 10_000))
    database._connection.execute("PRAGMA max_page_count=100000").close()
    database.say(status(JobState.FAILED))
    assert len(database.outgoing(0, 1000)) == 1
    assert database.job("cmd-1") == JOB
    database.close()
