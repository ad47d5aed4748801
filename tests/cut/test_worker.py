"""The child process as the operating system sees it."""

from __future__ import annotations

import ctypes
import io
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cut.clip import CutOrder
from agent.cut.messages import (
    Failure,
    Job,
    Kind,
    Work,
    decode_failure,
    decode_report,
    frame,
    message_frame,
    read_frame,
)
from agent.cut.worker import gathered, serve
from agent.errors import BadInputError
from tests.simulators.clips import cut, window_of
from tests.simulators.h264_source import Recipe, film
from tests.simulators.mp4_reader import read_movie

SOURCE = film(Recipe(pictures=30))
ORDER = CutOrder(window_of(0.2, 1), (SOURCE.header,))
ROOT = Path(__file__).resolve().parents[2]
WORKER = [sys.executable, "-P", "-m", "agent.cut.worker"]


def conversation(work: Work = Work.CUT) -> bytes:
    """Say all that a job needs."""
    chunks = b"".join(message_frame(Kind.CHUNK, chunk) for chunk in SOURCE.chunks)
    return message_frame(Kind.JOB, Job(work, ORDER)) + chunks + frame(Kind.END)


def run(said: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the child on prepared input."""
    environment = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*WORKER, *arguments], input=said, capture_output=True, env=environment, check=False, timeout=60
    )


def test_a_cut_gives_the_clip_and_then_its_report() -> None:
    """The child's file is the one the library makes: what is copied to the bit, what is encoded picture for picture.

    How many bits the encoder spends under its cap depends on its threads' timing.
    """
    done = run(conversation())
    assert (done.returncode, done.stderr) == (0, b"")
    stream, clip = io.BytesIO(done.stdout), b""
    while (answer := read_frame(stream))[0] is Kind.CLIP:
        clip += answer[1]
    assert answer[0] is Kind.REPORT
    assert stream.read() == b""
    expected, report = cut([SOURCE], ORDER.window)
    assert decode_report(answer[1]) == report
    assert 0 < report.reencoded < report.pictures
    made, wanted = read_movie(clip).samples, read_movie(expected).samples
    assert [sample.nals for sample in made[report.reencoded :]] == [one.nals for one in wanted[report.reencoded :]]
    assert [sample.shown_at for sample in made] == [one.shown_at for one in wanted]


@pytest.mark.parametrize(
    "said",
    [b"", b"\0\0", frame(Kind.END), frame(Kind.JOB, b"\xc0"), conversation()[:-20], frame(Kind.CLIP, b"x")],
    ids=["nothing", "half a head", "no job", "no schema", "cut off", "wrong direction"],
)
def test_a_broken_conversation_is_told_as_a_failure(said: bytes) -> None:
    """Whatever is said to it, the child answers in its protocol."""
    with pytest.raises(BadInputError):
        serve(io.BytesIO(said), io.BytesIO())


def test_a_failure_is_the_last_word_and_status_one() -> None:
    """The daemon learns that the input was bad, not that the child crashed."""
    done = run(frame(Kind.JOB, b"\xc0"))
    kind, body = read_frame(io.BytesIO(done.stdout))
    assert (done.returncode, kind) == (1, Kind.FAILED)
    assert decode_failure(body) == Failure(is_input=True, what="a message that does not follow its schema")


def test_the_child_gives_away_what_it_does_not_need() -> None:
    """Limits, no new privileges, no core dump, no tracing: read from the kernel while the child waits for its job."""
    child = subprocess.Popen(
        WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}, bufsize=0
    )
    with child:
        assert child.stdin
        child.stdin.write(message_frame(Kind.JOB, Job(Work.CUT, ORDER)) + b"\0")
        confined = _wait_until_confined(child.pid)
        child.stdin.close()
        assert child.stdout
        child.stdout.read()
    assert confined["NoNewPrivs"] == "1"
    assert confined["Max address space"].split()[0] == str(1536 * 1024 * 1024)
    assert confined["Max core file size"].split()[0] == "0"
    assert confined["Max file size"].split()[0] == "0"
    assert int(confined["Max open files"].split()[0]) <= 32
    assert 0 < int(confined["Max processes"].split()[0]) < 100_000
    assert confined["Oom score"] == "1000"
    assert int(confined["Niceness"]) >= 10
    assert confined["Descriptors"] == "0 1 2"
    assert confined["Disk class"] in {str(3 << 13), "0"}  # idle, or a kernel that knows no classes


def _wait_until_confined(pid: int) -> dict[str, str]:
    for _ in range(200_000):
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if status.get("Seccomp") == "2":
            limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
            number = {"x86_64": 252, "aarch64": 31}[platform.machine()]  # ioprio_get
            more = {
                "Oom score": Path(f"/proc/{pid}/oom_score_adj").read_text().strip(),
                "Niceness": Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[16],
                "Descriptors": " ".join(sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir())),
                "Disk class": str(ctypes.CDLL(None).syscall(number, 1, pid)),
            }
            return status | {line[:26].strip(): line[26:].strip() for line in limits} | more
        os.sched_yield()
    pytest.fail("the child never confined itself")


def test_pieces_are_gathered_into_few_frames() -> None:
    """Small ones are joined, large ones divided, nothing is lost, and nothing gives no frame."""
    pieces = [b"a" * 30, b"", b"b" * 2500, *[b"c"] * 5000, b"d" * 2_000_000]
    bodies = list(gathered(pieces))
    assert b"".join(bodies) == b"".join(pieces)
    assert [len(body) for body in bodies[:10]] == [1024 * min(2**n, 256) for n in range(10)]
    assert max(map(len, bodies)) == 256 * 1024
    assert list(gathered([])) == []
