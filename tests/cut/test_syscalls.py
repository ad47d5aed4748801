"""What a decoder that a camera has taken over can still do: compute, and talk on its pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.cut.clip import CutOrder
from agent.cut.messages import Job, Kind, Work, message_frame
from tests.simulators.clips import window_of
from tests.simulators.h264_source import Recipe, film

ROOT = Path(__file__).resolve().parents[2]
SOURCE = film(Recipe(pictures=30))
SHUT_IN = "from agent.cut.confine import *; from agent.cut.syscalls import *; import ctypes, mmap, os, resource\n"
SHUT_IN += "import signal, socket, subprocess, threading\n"
SHUT_IN += "confine(Confinement()); give_up_system_calls()\n"


def shut_in(code: str) -> str:
    """Run code in a child that has shut itself in; return what it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", SHUT_IN + code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/hostname')",
        "socket.socket()",
        "socket.socketpair()",
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.kill(os.getppid(), 0)",
        "os.unlink('/tmp/none')",
        "os.listdir('/')",
        "os.memfd_create('x')",
        "open('/proc/self/mem', 'r+b')",
        "open(f'/proc/{os.getppid()}/environ')",
        "os.setpriority(os.PRIO_PROCESS, 0, -20)",
        "os.pidfd_open(os.getppid())",
        "os.setsid()",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)",
        "signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    ],
)
def test_files_programs_and_network_are_gone(attempt: str) -> None:
    """No key can be read and nobody be told."""
    assert shut_in(attempt).startswith("PermissionError: [Errno 1] Operation not permitted")


@pytest.mark.parametrize("call", ["ptrace(16, os.getppid(), 0, 0)", "prctl(4, 1, 0, 0, 0)", "personality(0x0400000)"])
def test_no_other_process_can_be_looked_into_and_nothing_taken_back(call: str) -> None:
    """Neither the parent traced, nor dumps and executable memory allowed again."""
    code = f"libc = ctypes.CDLL(None, use_errno=True); print(libc.{call}, ctypes.get_errno())"
    assert shut_in(code) == "-1 1"


def test_memory_cannot_become_executable() -> None:
    """What a camera's bytes write is never run."""
    code = "room = mmap.mmap(-1, 4096); libc = ctypes.CDLL(None, use_errno=True)\n"
    code += "at = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(room)))\n"
    code += "print(libc.mprotect(at, 4096, 1), libc.mprotect(at, 4096, 5), ctypes.get_errno())"
    assert shut_in(code) == "0 -1 1"


def test_threads_started_before_are_shut_in_too() -> None:
    """A library's idle thread is no way out."""
    early = "import threading, socket, queue\nasked, told = queue.Queue(), queue.Queue()\n"
    early += "def work():\n asked.get()\n try: told.put(socket.socket())\n except OSError as error: told.put(error)\n"
    early += "threading.Thread(target=work, daemon=True).start()\n"
    code = early + SHUT_IN + "asked.put(1); print(type(told.get()).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True
    )
    assert done.stdout.strip() == "PermissionError"


def test_threads_are_few() -> None:
    """A child cannot use up what the service may have of them. Root has no such limit: then it is nobody's child."""
    code = "from agent.cut.confine import *; from agent.cut.syscalls import *; import threading, time\n"
    code += "if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    code += "confine(Confinement()); give_up_system_calls(); threading.stack_size(65536); count = 0\n"
    code += "try:\n while True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); count += 1\n"
    code += "except RuntimeError: print(count, flush=True); os._exit(0)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True
    )
    assert 8 < int(done.stdout) <= 32


def test_threads_memory_and_randomness_remain() -> None:
    """What a decoder needs still works."""
    code = "t = threading.Thread(target=lambda: print(len(os.urandom(8) * 10_000_000))); t.start(); t.join()"
    assert shut_in(code) == "80000000"


def test_the_child_shuts_itself_in_before_the_first_chunk() -> None:
    """The kernel says so of a real child that has its job and waits for a camera's bytes."""
    worker = [sys.executable, "-P", "-m", "agent.cut.worker"]
    with subprocess.Popen(
        worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}, bufsize=0
    ) as child:
        assert child.stdin
        assert child.stdout
        order = CutOrder(window_of(0.2, 1), (SOURCE.header,))
        child.stdin.write(message_frame(Kind.JOB, Job(Work.CUT, order)))
        status = Path(f"/proc/{child.pid}/status")
        mode = next(
            (word for _ in range(400_000) if (word := status.read_text().split("Seccomp:\t")[1][0]) != "0"), "0"
        )
        child.stdin.close()
        child.stdout.read()
    assert mode == "2"
