"""The camera's log is read as it was written, up to a line that was cut off; anything else is refused."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.demo.camera_log import (
    LoggedPicture,
    LoggedSound,
    LogHead,
    LogWriter,
    SliceMark,
    SoundHead,
    open_log,
    parse_log,
    read_log,
)
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


SOUND = SoundHead("PCMU", 8000, 8000, 1_795_000_000_000_125_000)
HEARD = (LoggedSound(-160, 160, "ab"), LoggedSound(0, 160, "cd"))


def written_with_sound(head: SoundHead = SOUND) -> bytes:
    """Write a log of a camera that hears."""
    sink = io.BytesIO()
    writer = LogWriter(sink, LogHead(version=1, camera="Front door", codec="h264", sound=head))
    for sent in (PICTURES[0], *HEARD, *PICTURES[1:]):
        writer.note(sent)
    return sink.getvalue()


def test_a_log_with_sound_is_read_as_it_was_written() -> None:
    """Pictures and blocks of sound, each in their order; a sample has its hub time."""
    log = parse_log(written_with_sound())
    assert (log.pictures, log.sounds, log.sound) == (PICTURES, HEARD, SOUND)
    assert log.heard_at(8) == 1_795_000_000_001_125_000


def test_the_vectors_of_sound_are_what_is_written() -> None:
    """As FORMAT.md has them."""
    first, _, second, *_ = written_with_sound().splitlines()
    assert first.endswith(
        b'"sound":{"encoding":"PCMU","rate_hz":8000,"chips_hz":8000,"starts_ns":1795000000000125000}}'
    )
    assert second == b'{"kind":"sound","first":-160,"samples":160,"mark":"ab"}'


@pytest.mark.parametrize(
    "text",
    [
        written() + b'{"kind":"sound","first":0,"samples":160,"mark":"ab"}\n',
        written_with_sound(SoundHead("PCMU", 8000, 16_000, 0)),
        written_with_sound().replace(b'"samples":160', b'"samples":0'),
        written_with_sound().replace(b'"rate_hz":8000', b'"rate_hz":7999'),
    ],
    ids=["no head", "chips", "no samples", "rate"],
)
def test_a_log_whose_sound_makes_no_sense_is_refused(text: bytes) -> None:
    """It would prove nothing."""
    with pytest.raises(BadInputError):
        parse_log(text)


def test_a_log_without_sound_has_no_time_of_a_sample() -> None:
    """Nobody said when the microphone began."""
    with pytest.raises(BadInputError, match="without sound"):
        parse_log(written()).heard_at(0)
