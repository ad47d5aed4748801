"""What must survive a power cut and is not footage: jobs, parts, messages to send, signed documents.

Rules of this file:
- SQLite with a write-ahead log and `synchronous=FULL`: when a method returns, its change is on the disk.
- A state and the message that tells of it are one transaction: neither can be there without the other.
- One connection, one lock; every method may be called from any thread, and raises UnavailableError if the disk fails.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.acquire.camera import CameraStream
from agent.acquire.encoding import encode_encoding
from agent.acquire.stream import CameraId
from agent.clip_job import OPEN_STATES, Job, JobPart, Status
from agent.clock import SECOND_NS, WallTime
from agent.command.request import RefusalReason
from agent.errors import ConfigurationError, UnavailableError
from agent.outside.journal_rows import JOB_COLUMNS, PART_COLUMNS, read_camera, read_job, read_part
from agent.ports import Document, Opening, Outgoing

SCHEMA_VERSION: Final = 7
OUTGOING_MAX: Final = 10_000
"""Messages kept for a broker that is away; the oldest progress goes first, an end of a job never."""

JOB_KEPT_NS: Final = 48 * 3600 * SECOND_NS
"""An ended job is remembered at least this long (and until its command can no longer be replayed)."""

_SCHEMA: Final = """
CREATE TABLE job (
  id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, envelope BLOB NOT NULL, received INTEGER NOT NULL,
  expires INTEGER NOT NULL, is_open INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT,
  deadline INTEGER, answer TEXT NOT NULL DEFAULT '', answered INTEGER, granted INTEGER,
  cameras TEXT NOT NULL DEFAULT '', window_start INTEGER, window_end INTEGER, sound TEXT NOT NULL DEFAULT '',
  masks TEXT NOT NULL DEFAULT '{}', action TEXT NOT NULL DEFAULT 'clip.upload',
  stopped_by TEXT NOT NULL DEFAULT '', extended_by TEXT NOT NULL DEFAULT '', due INTEGER,
  withdrawn TEXT NOT NULL DEFAULT '', policy_version INTEGER NOT NULL DEFAULT 0,
  policy_sha256 TEXT NOT NULL DEFAULT '', trust BLOB NOT NULL DEFAULT x''
) WITHOUT ROWID;
CREATE TABLE part (
  job TEXT NOT NULL REFERENCES job(id) ON DELETE CASCADE, camera TEXT NOT NULL, number INTEGER NOT NULL,
  is_manifest INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL, state TEXT NOT NULL,
  size INTEGER NOT NULL, sha256 TEXT NOT NULL, location TEXT NOT NULL DEFAULT '',
  receipt TEXT NOT NULL DEFAULT '', report BLOB,
  PRIMARY KEY (job, camera, number, is_manifest)
) WITHOUT ROWID;
CREATE TABLE outgoing (
  id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, payload BLOB NOT NULL, is_final INTEGER NOT NULL
);
CREATE TABLE document (name TEXT PRIMARY KEY, version INTEGER NOT NULL, token TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE camera (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, clock_low INTEGER, clock_high INTEGER,
  pin TEXT NOT NULL DEFAULT '', encoding TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""
_UPGRADES: Final = {
    1: "ALTER TABLE camera ADD COLUMN pin TEXT NOT NULL DEFAULT '';",
    2: "ALTER TABLE job ADD COLUMN sound TEXT NOT NULL DEFAULT '';",
    3: "ALTER TABLE job ADD COLUMN masks TEXT NOT NULL DEFAULT '{}';",
    4: "ALTER TABLE camera ADD COLUMN encoding TEXT NOT NULL DEFAULT '';",
    5: "ALTER TABLE job ADD COLUMN action TEXT NOT NULL DEFAULT 'clip.upload';"
    " ALTER TABLE job ADD COLUMN stopped_by TEXT NOT NULL DEFAULT '';"
    " ALTER TABLE job ADD COLUMN extended_by TEXT NOT NULL DEFAULT '';",
    6: "ALTER TABLE job ADD COLUMN due INTEGER; ALTER TABLE job ADD COLUMN withdrawn TEXT NOT NULL DEFAULT '';"
    " ALTER TABLE job ADD COLUMN policy_version INTEGER NOT NULL DEFAULT 0;"
    " ALTER TABLE job ADD COLUMN policy_sha256 TEXT NOT NULL DEFAULT '';"
    " ALTER TABLE job ADD COLUMN trust BLOB NOT NULL DEFAULT x'';",
}
"""What makes a file of each older version one of the next."""


class Database:
    """The journal of the stories (`ports.Journal`) in one SQLite file."""

    def __init__(self, path: Path, status_topic: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._lock = threading.Lock()
        self._topic = status_topic
        self.on_message: Callable[[], None] = lambda: None  # called, in any thread, when there is something to say
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(path)
        except sqlite3.Error as error:
            self._connection.close()
            raise ConfigurationError(
                f"{path} cannot be used: {error}",
                cure="make room on the disk; if it is damaged, keep it aside and reset",
            ) from error

    def _prepare(self, path: Path) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            self._connection.execute(f"PRAGMA {pragma}").close()
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version in _UPGRADES:
            steps = " ".join(_UPGRADES[older] for older in range(version, SCHEMA_VERSION))
            self._connection.executescript(f"BEGIN; {steps} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            self._connection.close()
            raise ConfigurationError(
                f"{path} has version {version}", cure="install the version that wrote it, or newer"
            )

    def close(self) -> None:
        """Close the file; open transactions cannot exist here."""
        with self._lock:
            self._connection.close()

    # ------------------------------------------------------------------ jobs
    def open_job(self, job: Job, sha256: str, expires: WallTime) -> tuple[Opening, Job]:
        """Store a new job with its first status, or say what is known under this id. `ports.Journal` has the terms."""
        with self._transaction() as db:
            row = db.execute(f"SELECT {JOB_COLUMNS}, sha256 FROM job WHERE id=?", (job.id,)).fetchone()
            if row is None:
                db.execute(
                    "INSERT INTO job (id, sha256, envelope, received, expires, is_open, state, action)"
                    " VALUES (?,?,?,?,?,1,?,?)",
                    (job.id, sha256, job.envelope, job.received, expires, job.state, job.action),
                )
                return Opening.NEW, job
        known = read_job(row[:-1])
        if row[-1] != sha256:
            return Opening.OTHER_BYTES, known
        return (Opening.STILL_OPEN if known.state in OPEN_STATES else Opening.ENDED), known

    def open_jobs(self) -> tuple[Job, ...]:
        """Return the jobs that a restart must go on with, oldest first."""
        return tuple(
            read_job(row) for row in self._query(f"SELECT {JOB_COLUMNS} FROM job WHERE is_open ORDER BY received")
        )

    def job_of(self, sha256: str) -> Job | None:
        """Return the open job of the command with this digest, or None."""
        rows = self._query(f"SELECT {JOB_COLUMNS} FROM job WHERE is_open AND sha256=?", (sha256,))
        return read_job(rows[0]) if rows else None

    def job(self, job: str) -> Job | None:
        """Return one job, or None."""
        rows = self._query(f"SELECT {JOB_COLUMNS} FROM job WHERE id=?", (job,))
        return read_job(rows[0]) if rows else None

    def move(self, job: Job, status: Status, *, granted: WallTime | None = None) -> None:
        """Store the job as it is now but for its answer, and the status that tells of it, in one transaction."""
        start, end = (job.window.start, job.window.end) if job.window else (None, None)
        state = job.state, job.state in OPEN_STATES, job.reason, job.deadline
        covered = ",".join(job.cameras), start, end, ",".join(job.sound), msgspec.json.encode(job.masks).decode()
        agreed = job.due, *job.policy, job.trust
        with self._transaction() as db:
            db.execute(
                "UPDATE job SET state=?, is_open=?, reason=?, deadline=?, cameras=?, window_start=?, window_end=?,"
                " sound=?, masks=?, due=?, policy_version=?, policy_sha256=?, trust=?, granted=coalesce(granted, ?)"
                " WHERE id=?",
                (*state, *covered, *agreed, granted, job.id),
            )
            self._queue(db, status)
        self.on_message()

    def put_answer(self, job: str, token: str, answered: WallTime) -> None:
        """Store the owner's answer to a job; a later one replaces it."""
        with self._transaction() as db:
            db.execute("UPDATE job SET answer=?, answered=? WHERE id=?", (token, answered, job))

    def stop_job(self, job: str, by: str) -> None:
        """Store that an order ends an open job; the first one counts."""
        with self._transaction() as db:
            db.execute("UPDATE job SET stopped_by=? WHERE id=? AND is_open AND stopped_by=''", (by, job))

    def withdraw_job(self, job: str, reason: RefusalReason) -> None:
        """Store why what was granted to an open job may not go on; the first reason stays."""
        with self._transaction() as db:
            db.execute("UPDATE job SET withdrawn=? WHERE id=? AND is_open AND withdrawn=''", (reason, job))

    def extend_job(self, job: str, end: WallTime, by: str, policy: tuple[int, str] | None = None) -> None:
        """Store a later end of an open job's window, the order and the policy of it; an earlier one changes nothing."""
        version, digest = policy or (None, None)
        with self._transaction() as db:
            db.execute(
                "UPDATE job SET window_end=?, extended_by=extended_by || ' ' || ?,"
                " policy_version=coalesce(?, policy_version), policy_sha256=coalesce(?, policy_sha256)"
                " WHERE id=? AND is_open AND window_end < ?",
                (end, by, version, digest, job, end),
            )

    def grants_since(self, moment: WallTime) -> int:
        """Count the commands granted after `moment`."""
        return int(self._query("SELECT count(*) FROM job WHERE granted > ?", (moment,))[0][0])

    def forget_before(self, now: WallTime, replay_margin_ns: int) -> None:
        """Drop ended jobs that nobody can replay any more."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM job WHERE NOT is_open AND expires < ? AND received < ?",
                (now - replay_margin_ns, now - JOB_KEPT_NS),
            )

    # ----------------------------------------------------------------- parts
    def parts(self, job: str) -> tuple[JobPart, ...]:
        """Return the sealed files of a job, by camera and number, the manifest last."""
        query = f"SELECT {PART_COLUMNS} FROM part WHERE job=? ORDER BY camera, is_manifest, number"
        return tuple(read_part(row) for row in self._query(query, (job,)))

    def put_part(self, part: JobPart) -> None:
        """Store a part as it is now."""
        report = None if part.report is None else msgspec.json.encode(part.report)
        place = (part.job, part.camera, part.number, part.is_manifest, part.start, part.end)
        content = (part.state, part.size, part.sha256, part.location, part.receipt, report)
        with self._transaction() as db:
            db.execute(
                f"INSERT OR REPLACE INTO part ({PART_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", place + content
            )

    # -------------------------------------------------------------- messages
    def say(self, status: Status) -> None:
        """Queue a status that changes no state: a refusal, progress, the answer to a repeated command."""
        with self._transaction() as db:
            self._queue(db, status)
        self.on_message()

    def outgoing(self, after: int, limit: int) -> tuple[Outgoing, ...]:
        """Return the oldest messages with an id above `after`."""
        rows = self._query("SELECT id, topic, payload FROM outgoing WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
        return tuple(Outgoing(*row) for row in rows)

    def sent(self, message: int) -> None:
        """Forget a message that the broker has acknowledged."""
        with self._transaction() as db:
            db.execute("DELETE FROM outgoing WHERE id=?", (message,))

    def _queue(self, db: sqlite3.Connection, status: Status) -> None:
        is_final = status.status not in OPEN_STATES
        count = db.execute("SELECT count(*) FROM outgoing").fetchone()[0]
        if count >= OUTGOING_MAX:
            db.execute("DELETE FROM outgoing WHERE id = (SELECT id FROM outgoing ORDER BY is_final, id LIMIT 1)")
        db.execute(
            "INSERT INTO outgoing (topic, payload, is_final) VALUES (?,?,?)",
            (self._topic, msgspec.json.encode(status), is_final),
        )

    # ------------------------------------------------------------- documents
    def document(self, name: str) -> Document | None:
        """Return a signed document (trust bundle, owner's policy, pairing) as it was accepted."""
        rows = self._query("SELECT version, token FROM document WHERE name=?", (name,))
        return Document(*rows[0]) if rows else None

    def put_document(self, name: str, document: Document) -> None:
        """Replace a document; the caller has checked that its version rises."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO document VALUES (?,?,?)", (name, document.version, document.token))

    def count_boot(self) -> int:
        """Count this start of the agent; the server tells an old last will from a new one by it."""
        before = self.document("boot")
        boot = before.version + 1 if before else 1
        self.put_document("boot", Document(boot, ""))
        return boot

    # --------------------------------------------------------------- cameras
    def cameras(self) -> tuple[CameraStream, ...]:
        """Return every camera this hub has recorded, without logins."""
        rows = self._query("SELECT id, name, url, clock_low, clock_high, pin, encoding FROM camera ORDER BY id")
        return tuple(read_camera(row) for row in rows)

    def put_camera(self, stream: CameraStream) -> None:
        """Remember a camera; its login stays out, and its pin is left as it is."""
        clock = stream.clock
        low, high = (clock.low_ns, clock.high_ns) if clock else (None, None)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO camera (id, name, url, clock_low, clock_high, encoding) VALUES (?,?,?,?,?,?)"
                " ON CONFLICT (id) DO UPDATE SET (name, url, clock_low, clock_high, encoding)=(excluded.name,"
                " excluded.url, excluded.clock_low, excluded.clock_high, excluded.encoding)",
                (stream.camera, stream.name, stream.url, low, high, encode_encoding(stream.encoding)),
            )

    def forget_camera(self, camera: CameraId) -> None:
        """Know a camera no more; its footage stays until it is too old."""
        with self._transaction() as db:
            db.execute("DELETE FROM camera WHERE id=?", (camera,))

    def put_pin(self, camera: CameraId, pin: str) -> None:
        """Remember the TLS certificate of a camera that is known (SHA-256, hex); empty: forget it."""
        with self._transaction() as db:
            db.execute("UPDATE camera SET pin=? WHERE id=?", (pin, camera))

    # ------------------------------------------------------------------ rows
    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _failing():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk makes SQLite roll back by itself
                    self._connection.execute("ROLLBACK")
                raise

    def _query(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock, _failing():
            return self._connection.execute(query, values).fetchall()


@contextmanager
def _failing() -> Iterator[None]:
    """Tell a full or broken disk as what it is: the caller tries again, and the recording goes on."""
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"the journal cannot be used: {error}", cure="is the disk full or failing?") from error
