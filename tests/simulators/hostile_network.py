"""A network full of hostile and odd answers, with good cameras on it; what they cost a hub is measured here.

    python -m tests.simulators.hostile_network 2000

Half of the answers are discovery datagrams, the other half SOAP answers. Prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from agent.acquire.camera import Login
from agent.acquire.discovery import FoundCamera
from agent.clock import WallTime
from agent.crypto import Secret
from agent.errors import TransomError
from agent.outside.discovery_sockets import search
from agent.outside.onvif import OnvifCamera, examine
from agent.outside.soap import SoapClient
from agent.outside.soap_login import Refusals
from tests.fuzz.edits import random_mutation
from tests.simulators.discovery_replies import match, replies, reply
from tests.simulators.discovery_responder import answering
from tests.simulators.hostile_services import hostile_services
from tests.simulators.onvif_device import PASSWORD, USER, OnvifDevice, serve

GOOD: Final = 4
SENDERS: Final = 32
SEARCH_S: Final = 2.0
BUDGET_S: Final = 1.0
"""For all questions to one hostile service; the hub's own is longer, and kept by the same clock."""
LATE_S_MAX: Final = 1.0
AT_ONCE: Final = 16


@dataclass(frozen=True)
class Figures:
    """What a network of so many hostile answers did."""

    answers: int
    good: int
    good_found: int  # in every round
    good_examined: int
    foreign_errors: int  # anything raised that is none of ours
    seconds: float
    cpu_s: float
    late_s_max: float  # beyond its deadline, of the worst question
    memory_before: int  # bytes, after the first tenth
    memory_after: int


def hub_now() -> WallTime:
    """Read the hub's clock."""
    return WallTime(time.time_ns())


def measure(answers: int, seed: int = 1) -> Figures:
    """Let a hub search and ask in rounds of 100 hostile answers, half of each sort."""
    rnd = random.Random(seed)  # noqa: S311 - the same in each run
    login, began, cpu_s = Login(USER, Secret(PASSWORD)), time.monotonic(), time.process_time()
    found_min, late_s, foreign, memory_before = GOOD, 0.0, 0, 0
    with ExitStack() as stack:
        good = {number: stack.enter_context(serve(OnvifDevice(), f"127.0.82.{number + 1}")) for number in range(GOOD)}
        stack.enter_context(_answering_well(good))
        services = stack.enter_context(_serving(seed))
        rounds = max(1, answers // 100)
        for number in range(rounds):
            found = _search_among(_datagrams(rnd, 50))
            good_now = [one for one in found if one.sender.startswith("127.0.82.")]
            found_min = min(found_min, len(good_now))
            with ThreadPoolExecutor(AT_ONCE) as threads:
                for late, is_foreign in threads.map(_ask, [services[n % len(services)] for n in range(50)]):
                    late_s, foreign = max(late_s, late), foreign + is_foreign
            if number == rounds // 10:
                memory_before = _memory()
        streams = [examine(one, login, hub_now, refusals=Refusals()) for one in good_now]
    return Figures(
        rounds * 100,
        GOOD,
        found_min,
        len(streams),
        foreign,
        round(time.monotonic() - began, 1),
        round(time.process_time() - cpu_s, 1),
        round(late_s, 2),
        memory_before,
        _memory(),
    )


@contextmanager
def _serving(seed: int) -> Iterator[list[str]]:
    """Run the hostile services in a process of their own: what they take is not the hub's."""
    apart = multiprocessing.get_context("spawn")
    here, there = apart.Pipe()
    process = apart.Process(target=_serve_until_told, args=(there, seed))
    process.start()
    try:
        yield here.recv()
    finally:
        here.send("enough")
        process.join()
        here.close()
        there.close()


def _serve_until_told(told: Connection, seed: int) -> None:
    with hostile_services("127.0.83.1", seed) as urls:
        told.send(urls)
        told.recv()


def _search_among(hostile: list[bytes]) -> list[FoundCamera]:
    with _sending(hostile):
        return list(search(["lo"], SEARCH_S))


@contextmanager
def _sending(hostile: list[bytes]) -> Iterator[None]:
    """Send all of it to whoever probes, from many addresses, a part for each probe."""
    with ExitStack() as stack:
        speakers = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(SENDERS)]
        for number, speaker in enumerate(speakers):
            speaker.bind((f"127.0.81.{number + 1}", 0))
        parts = [hostile[at::6] for at in range(6)]

        def answers(_probe_id: str) -> list[bytes]:
            return parts.pop() if parts else []

        stack.enter_context(answering("127.0.81.250", answers, speakers))
        yield


@contextmanager
def _answering_well(good: dict[int, str]) -> Iterator[None]:
    with ExitStack() as stack:
        for number, url in good.items():
            stack.enter_context(answering(f"127.0.82.{number + 1}", partial(_answer, match(number + 40, url))))
        yield


def _answer(described: str, probe_id: str) -> list[bytes]:
    return [reply(probe_id, described)]


def _datagrams(rnd: random.Random, count: int) -> list[bytes]:
    seeds = list(replies("", "127.0.81.1").values())
    odd = [b"", bytes(60_000), b"<" * 60_000, b"<a>" * 20_000, reply("", match(50, "http://127.0.81.1/ " * 300) * 30)]
    return [(rnd.choice(odd) if rnd.random() < 0.2 else random_mutation(seeds, rnd))[:60_000] for _ in range(count)]


def _ask(url: str) -> tuple[float, bool]:
    """Ask a hostile service for all that a hub asks; return how late it ended and whether a foreign error came out."""
    began = time.monotonic()
    client = SoapClient(Login(USER, Secret(PASSWORD)), hub_now, budget_s=BUDGET_S, refusals=Refusals())
    camera = OnvifCamera(url, client, hub_now)
    is_foreign = False
    try:
        camera.measure_clock(questions=1)
        camera.stream_url(camera.main_profile())
    except TransomError:
        pass
    except Exception:  # noqa: BLE001 - it is what must not happen, and is counted
        is_foreign = True
    return time.monotonic() - began - BUDGET_S, is_foreign


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(measure(int(sys.argv[1])))) + "\n")
