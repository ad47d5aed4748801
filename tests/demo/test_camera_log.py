"""The camera's log is read as it was written, up to a line that was cut off; anything else is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.demo.camera_log import LoggedPicture, LogHead, LogWriter, SliceMark, open_log, parse_log, read_log
from agent.errors import BadInputError, ConfigurationError

HEAD = LogHead(version=1, camera="Front door", codec="h264", clock_offset_ns=-2_500_000_000)
PICTURES = tuple(LoggedPicture(161_550_000_000_000 + 3600 * n, n == 0, (SliceMark("ab", "cd", ""),)) for n in range(3))


def written() -> bytes:
    """Write a log."""
    sink = io.BytesIO()
    writer = LogWriter(sink, HEAD)
    for picture in PICTURES:
        writer.note(picture)
    return sink.getvalue()


def test_a_log_is_read_as_it_was_written() -> None:
    """Head and pictures come back."""
    log = parse_log(written())
    assert (log.head, log.pictures) == (HEAD, PICTURES)


def test_the_vector_of_the_format_is_what_is_written() -> None:
    """The two lines of FORMAT.md are ours."""
    first, second, *_ = written().splitlines()
    assert first == b'{"kind":"camera","version":1,"camera":"Front door","codec":"h264","clock_offset_ns":-2500000000}'
    assert second == b'{"kind":"picture","ticks":161550000000000,"is_key":true,"slices":[["ab","cd",""]]}'


def test_a_tick_is_in_hub_time_to_the_nanosecond() -> None:
    """A camera that is 2.5 s behind took its picture 2.5 s later by the hub's clock."""
    assert parse_log(written()).hub_time(161_550_000_000_001) == 1_795_000_002_500_011_111


def test_a_line_without_its_end_was_being_written() -> None:
    """A log that is still growing can be used."""
    assert parse_log(written()[:-1]).pictures == PICTURES[:-1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}\n",
        written().replace(b'"version":1', b'"version":2'),
        written().replace(b"h264", b"h263"),
        written().replace(b'"is_key"', b'"has_key"'),
        written() + written().splitlines()[1] + b"\n",
        written().replace(b'"ab"', b'"xy"'),
        b"x" * 2_000_000 + b"\n",
    ],
    ids=["empty", "no head", "version", "codec", "unknown key", "one tick twice", "no hex", "endless line"],
)
def test_what_is_no_log_is_refused(text: bytes) -> None:
    """With an error that says so."""
    with pytest.raises(BadInputError):
        parse_log(text)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_log_or_bad_input(text: bytes) -> None:
    """Nothing else is raised."""
    try:
        parse_log(text)
    except BadInputError:
        return


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Reading and writing say which file it was."""
    with pytest.raises(BadInputError, match=r"gone\.jsonl"):
        read_log(tmp_path / "gone.jsonl")
    with pytest.raises(ConfigurationError, match="nowhere"):
        open_log(tmp_path / "nowhere" / "log.jsonl", "Front door", 0)
