"""The audit log on disk: synced lines, torn ends, and changes that do not stay unseen."""

import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.clock import WallTime
from agent.errors import ConfigurationError, UnavailableError
from agent.evidence.audit import LOG_NAME, open_checkpoint
from agent.evidence.kinds import STRANGERS_ENTRIES_PER_DAY_MAX
from agent.evidence.merkle import leaf_hash, root_of
from agent.evidence.note import verifier_of
from agent.evidence.room import LogFullError, LogRoom
from agent.outside.audit_file import AuditFile, open_audit
from tests.simulators.set_clock import SetClock

KEY = Ed25519PrivateKey.generate()
HUB = verifier_of("hub-1", KEY)


@contextmanager
def opened(folder: Path, key: Ed25519PrivateKey = KEY) -> Iterator[AuditFile]:
    """Open the log in `folder`."""
    log = AuditFile(folder / LOG_NAME, "hub-1", key, SetClock(WallTime(1_800_000_000_000_000_000)))
    try:
        yield log
    finally:
        log.close()


def written(folder: Path, *sizes: int) -> Path:
    """Write a log with a checkpoint at each size; return the log's path."""
    with opened(folder) as log:
        for size in sizes:
            while log.head()[0] < size:
                log.append("job", f"ref-{log.head()[0]}", {"n": log.head()[0]})
            log.checkpoint()
    return folder / LOG_NAME


def test_an_entry_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    """Each entry is one line, private to the agent, and the head is the tree over all lines."""
    with opened(tmp_path) as log:
        log.append("command", "01JD", {"by": "Officer 4711", "n": 1})
        line = (tmp_path / LOG_NAME).read_bytes()
        assert line == (
            b'{"at":"2027-01-15T08:00:00.000Z","detail":{"by":"Officer 4711","n":1},"kind":"command","ref":"01JD"}\n'
        )
        assert log.head() == (1, leaf_hash(line[:-1]).hex())
    assert (tmp_path / LOG_NAME).stat().st_mode & 0o777 == 0o600


def test_a_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The tree is rebuilt from the lines, and its checkpoints open by the hub's key."""
    path = written(tmp_path, 3, 7)
    with opened(tmp_path) as log:
        log.append("resumed", "", {})
        lines = path.read_bytes().splitlines()
        assert log.head() == (8, root_of([leaf_hash(line) for line in lines]).hex())
        assert open_checkpoint(log.checkpoint(), HUB).size == 8
        assert log.healed_bytes == 0
        assert [entry.kind for entry in log.latest(2)] == ["resumed", "job"]


def test_a_checkpoint_of_the_same_log_is_stored_once(tmp_path: Path) -> None:
    """Signing an unchanged log again does not make the file grow."""
    written(tmp_path, 3)
    before = (tmp_path / "checkpoints").read_bytes()
    with opened(tmp_path) as log:
        log.checkpoint()
    assert (tmp_path / "checkpoints").read_bytes() == before


@pytest.mark.parametrize("torn", [b'{"at":"20', b"\0" * 100, b"x" * 600_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    """What a power cut left of a line is counted and removed; the next entry follows the last whole one."""
    path = written(tmp_path, 5)
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(torn)
    with opened(tmp_path) as log:
        assert (log.healed_bytes, log.head()[0]) == (len(torn), 5)
        log.append("job", "next", {})
    assert path.read_bytes().startswith(whole + b'{"at"')


def test_a_torn_first_line_is_cut_off(tmp_path: Path) -> None:
    """A log whose very first line is torn is empty."""
    (tmp_path / LOG_NAME).write_bytes(b"{")
    with opened(tmp_path) as log:
        assert (log.healed_bytes, log.head()[0]) == (1, 0)


def test_a_torn_checkpoint_is_cut_off(tmp_path: Path) -> None:
    """A power cut at any byte of a checkpoint leaves the ones before it in force."""
    written(tmp_path, 3)
    whole = (tmp_path / "checkpoints").read_bytes()
    written(tmp_path, 5)
    torn = (tmp_path / "checkpoints").read_bytes()
    for length in [*range(len(whole), len(torn), 7), len(torn) - 1]:
        (tmp_path / "checkpoints").write_bytes(torn[:length])
        with opened(tmp_path) as log:
            assert log.healed_bytes == length - len(whole)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda log: log.replace(b"ref-1", b"ref-X"), "entries 0 to 2"),
        (lambda log: log.replace(b"ref-4", b"ref-X"), "entries 3 to 6"),
        (lambda log: log.replace(b'"n":4', b'"n": 4'), "entry 4"),
        (lambda log: log[: log.index(b"\n") + 1], "entries 1 to 6"),
        (lambda log: log[log.index(b"\n") + 1 :], "entries 0 to 2"),
        (lambda _: b"", "entries 0 to 6"),
    ],
)
def test_a_changed_log_is_refused(tmp_path: Path, change: Callable[[bytes], bytes], where: str) -> None:
    """A signed entry that was edited, removed or cut off stops the log and is narrowed down; nothing is overwritten."""
    path = written(tmp_path, 3, 7)
    changed = change(path.read_bytes())
    path.write_bytes(changed)
    with pytest.raises(ConfigurationError, match=where), opened(tmp_path):
        pass
    assert path.read_bytes() == changed


def test_changed_checkpoints_are_refused(tmp_path: Path) -> None:
    """A checkpoint by another key, or a changed one, stops the log."""
    written(tmp_path, 3)
    with pytest.raises(ConfigurationError, match="checkpoints"), opened(tmp_path, Ed25519PrivateKey.generate()):
        pass
    checkpoints = tmp_path / "checkpoints"
    checkpoints.write_bytes(checkpoints.read_bytes().replace(b"\n3\n", b"\n2\n"))
    with pytest.raises(ConfigurationError, match="checkpoints"), opened(tmp_path):
        pass


def test_two_processes_cannot_write_one_log(tmp_path: Path) -> None:
    """A log that is in use is not opened a second time."""
    with opened(tmp_path), pytest.raises(ConfigurationError, match="in use"), opened(tmp_path):
        pass


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    """Entries from several threads neither mix nor get lost."""
    with opened(tmp_path) as log:
        threads = [
            threading.Thread(target=lambda: [log.append("job", "x", {"n": number}) for number in range(20)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        size, root = log.head()
        lines = (tmp_path / LOG_NAME).read_bytes().splitlines()
        assert (size, root) == (80, root_of([leaf_hash(line) for line in lines]).hex())


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """An entry that cannot be written is reported, and the log goes on when there is room again."""
    path = written(tmp_path, 5)
    with opened(tmp_path) as log:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
        try:
            with pytest.raises(UnavailableError):
                log.append("job", "too much", {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, ignored)
        log.append("job", "after", {})
        assert [entry.ref for entry in log.latest(2)] == ["after", "ref-4"]
    with opened(tmp_path) as log:
        assert (log.head()[0], log.healed_bytes) == (6, 0)


def test_the_newest_entries_are_found_in_a_large_log(tmp_path: Path) -> None:
    """`latest` reads from the end, across blocks, and gives no more than there are."""
    with opened(tmp_path) as log:
        for number in range(150):
            log.append("job", str(number), {f"text{place}": "x" * 500 for place in range(4)})
        assert [entry.ref for entry in log.latest(140)] == [str(number) for number in range(149, 9, -1)]
        assert len(log.latest(1000)) == 150
        assert log.latest(0) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A path below a file is the disk's failure, said plainly."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError), opened(tmp_path / "file" / "audit"):
        pass
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_changed_log_is_kept_aside_and_a_new_one_begins_with_that(tmp_path: Path) -> None:
    """The hub goes on, nothing is destroyed, and the first entry of the new log says where the old one lies."""
    folder = tmp_path / "audit"
    path = written(folder, 5)
    changed = path.read_bytes().replace(b"ref-2", b"ref-X")
    path.write_bytes(changed)
    log = open_audit(folder, "hub-1", KEY, SetClock(WallTime(1_800_000_000_000_000_000)))
    try:
        (entry,) = log.latest(10)
        assert entry.kind == "log_changed"
        kept = tmp_path / str(entry.detail["kept"])
        assert (kept / LOG_NAME).read_bytes() == changed
        assert "changed" in str(entry.detail["why"])
    finally:
        log.close()
    log = open_audit(folder, "hub-1", KEY, SetClock(WallTime(1_800_000_000_000_000_000)))
    assert log.head()[0] == 1
    log.close()


def test_a_log_that_was_cut_off_below_a_checkpoint_is_a_changed_one(tmp_path: Path) -> None:
    """Whoever removes the last entries, or the whole file, is seen too."""
    for remove in (2, 5):
        folder = tmp_path / f"audit-{remove}"
        path = written(folder, 5)
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 5 - remove]))
        log = open_audit(folder, "hub-1", KEY, SetClock(WallTime(1_800_000_000_000_000_000)))
        assert [entry.kind for entry in log.latest(10)] == ["log_changed"]
        log.close()


def test_a_log_in_use_is_not_taken_for_a_changed_one(tmp_path: Path) -> None:
    """A second agent stops; the log stays where it is."""
    folder = tmp_path / "audit"
    with opened(folder) as log:
        log.append("job", "one", {})
        with pytest.raises(ConfigurationError, match="in use"):
            open_audit(folder, "hub-1", KEY, SetClock(WallTime(1_800_000_000_000_000_000)))
        assert [entry.ref for entry in log.latest(2)] == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == ["audit"]


def test_strangers_cannot_fill_it(tmp_path: Path) -> None:
    """What goes beyond the day's limit is counted, and the next entry that is written has the count before it."""
    with opened(tmp_path) as log:
        for _ in range(STRANGERS_ENTRIES_PER_DAY_MAX + 7):
            log.append("refused", "", {"reason": "bad_signature"})
        assert log.head()[0] == STRANGERS_ENTRIES_PER_DAY_MAX
        log.append("command", "01JD", {})
        log.append("job", "01JD", {})
        assert [(entry.kind, entry.detail.get("count")) for entry in log.latest(3)] == [
            ("job", None),
            ("command", None),
            ("not_written", 7),
        ]


def append_for_ever(log: AuditFile, kind: str) -> None:
    """Write entries until one is refused."""
    for _ in range(1000):
        log.append(kind, "01JD", {})


def test_a_full_log_takes_nothing_new_and_ends_what_was_begun(tmp_path: Path) -> None:
    """The last bytes are for entries of what is on its way; after them nothing is written, so nothing is done."""
    with opened(tmp_path) as log:
        log._room = LogRoom(log_bytes_max=1000, reserved_bytes=500)
        with pytest.raises(LogFullError, match="1000 bytes"):
            append_for_ever(log, "command")
        size = log.head()[0]
        log.append("job", "01JD", {})
        assert log.head()[0] == size + 1
        with pytest.raises(LogFullError):
            append_for_ever(log, "job")
    assert (tmp_path / LOG_NAME).stat().st_size <= 1000
    with opened(tmp_path) as log:
        assert log.healed_bytes == 0
