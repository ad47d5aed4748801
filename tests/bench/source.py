"""Many cameras in one process that costs little: sends one loop over RTSP interleaved in TCP, one send per RTP packet.

    python -m tests.bench.source LOOP_FILE

Prints the port as a line of JSON. Each line on its standard input is answered with what it has sent so far, by the
first part of the stream's path (`rtsp://127.0.0.1:PORT/NAME/...`). Ends when its standard input does.

Rules of this file: every client joins at another place of the loop, in the middle of a group of pictures; a client who
does not read misses whole pictures, which are counted, and never holds up the others.
"""

from __future__ import annotations

import heapq
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from agent.demo.camera_request import Request, parse_head
from agent.errors import BadInputError
from tests.bench.loop import PICTURES_PER_S, TICKS_HZ, Loop, Picture, load_loop

REPORT_S: Final = 5  # between sender reports
QUEUE_BYTES_MAX: Final = 4 * 1024 * 1024  # 8 s of a camera: more than any pause of a recorder
PICTURES_AT_ONCE: Final = 32
LATE_NS: Final = 100_000_000
_PICTURE_NS: Final = 1_000_000_000 // PICTURES_PER_S
_NTP_EPOCH_S: Final = 2_208_988_800
_NUMBERS: Final = struct.Struct(">HII")  # sequence number, timestamp, SSRC: bytes 2 to 12 of an RTP packet
_NUMBERS_AT: Final = 4 + 2
_SPREAD: Final = 2_654_435_761  # Knuth's multiplier: neighbouring numbers end up far apart
_REQUEST_BYTES_MAX: Final = 16 * 1024


class Sent(msgspec.Struct):
    """What the clients with one name got."""

    clients: int = 0
    bytes: int = 0  # interleaved frames given to the kernel
    pictures: int = 0
    dropped: int = 0  # pictures, because the client did not read
    late: int = 0  # pictures, because this process did not get the processor in time


class Source:
    """Serves `loop` on a free port; beyond the kernel's buffers, `queue_bytes_max` may wait for a client."""

    def __init__(self, loop: Loop, queue_bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self.sent: dict[str, Sent] = {}
        self._loop, self._queue_bytes_max = loop, queue_bytes_max
        self._room = bytearray(max(len(picture.wire) for picture in loop.pictures))
        self._due: list[tuple[int, int]] = []  # when a client's next picture goes, and which client's
        self._clients: dict[int, _Client] = {}
        self._joined = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.settimeout(0)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self, control: int, on_control: Callable[[], bool]) -> None:
        """Serve until `on_control`, called whenever the descriptor `control` can be read, returns False."""
        self._poll.register(control, select.EPOLLIN)
        is_wanted = True
        while is_wanted:
            wait_s = (self._due[0][0] - time.monotonic_ns()) / 1e9 if self._due else 1.0
            for file, event in self._poll.poll(max(0.0, wait_s)):
                if file == control:
                    is_wanted = on_control()
                elif file == self._listener.fileno():
                    self._accept()
                else:
                    self._attend(self._clients[file], event)
            self._send_due()

    def close(self) -> None:
        """Leave every client."""
        for client in list(self._clients.values()):
            self._leave(client)
        self._poll.close()
        self._listener.close()

    def _accept(self) -> None:
        link, _ = self._listener.accept()
        link.settimeout(0)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._joined += 1
        self._clients[link.fileno()] = _Client(link, self._loop, self._joined, self._room)
        self._poll.register(link, select.EPOLLIN)

    def _attend(self, client: _Client, event: int) -> None:
        try:
            if event & select.EPOLLOUT:
                client.flush()
            if event & ~select.EPOLLOUT:
                for request in client.requests():
                    self._answer(client, request)
        except (OSError, BadInputError):
            self._leave(client)
        else:
            self._poll.modify(client.link, select.EPOLLIN | (select.EPOLLOUT if client.queue else 0))

    def _answer(self, client: _Client, request: Request) -> None:
        is_refused = request.method == "SETUP" and "TCP" not in request.headers.get("transport", "")
        lines = ["RTSP/1.0 461 Unsupported Transport" if is_refused else "RTSP/1.0 200 OK"]
        lines += [f"CSeq: {request.headers.get('cseq', '0')}"]
        body = ""
        match request.method:
            case "OPTIONS":
                lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
            case "DESCRIBE":
                lines += ["Content-Type: application/sdp", f"Content-Base: {request.uri}/"]
                body = self._loop.sdp
            case "SETUP":
                lines += ["Session: 1;timeout=60", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
            case _:
                lines.append("Session: 1;timeout=60")
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])
        client.put(text.encode())
        if request.method == "PLAY":
            name = request.path.strip("/").partition("/")[0]
            client.play(self.sent.setdefault(name, Sent()))
            heapq.heappush(self._due, (client.began_ns, client.link.fileno()))
        elif request.method == "TEARDOWN":
            raise ConnectionResetError

    def _send_due(self) -> None:
        """Send what is due, but go back to who asks now and then: one that is late must still let others in."""
        for _ in range(PICTURES_AT_ONCE):
            now = time.monotonic_ns()
            if not self._due or self._due[0][0] > now:
                return
            due, file = heapq.heappop(self._due)
            client = self._clients.get(file)
            if client is None or client.next_ns != due:
                continue  # it has left; the descriptor may be somebody else's by now
            try:
                client.show(now, self._queue_bytes_max)
            except OSError:
                self._leave(client)
                continue
            if client.queue:
                self._poll.modify(client.link, select.EPOLLIN | select.EPOLLOUT)
            heapq.heappush(self._due, (client.next_ns, file))

    def _leave(self, client: _Client) -> None:
        del self._clients[client.link.fileno()]
        self._poll.unregister(client.link)
        client.link.close()


class _Client:
    """One connection: its requests, and the place in the loop where it is."""

    def __init__(self, link: socket.socket, loop: Loop, number: int, room: bytearray) -> None:
        self.link = link
        self.queue = bytearray()
        self.began_ns = 0
        self._loop, self._room, self._view = loop, room, memoryview(room)
        self._asked = bytearray()
        self._sent = Sent()
        spread = number * _SPREAD % (1 << 32)
        self._ssrc = self._first_timestamp = spread
        self._sequence = spread >> 16
        self._place = spread % len(loop.pictures)
        self._spread_ns = spread % _PICTURE_NS
        self._shown = self._packets = self._octets = 0
        self._next_report_ns = 0

    @property
    def next_ns(self) -> int:
        """When its next picture goes."""
        return self.began_ns + self._shown * 1_000_000_000 // PICTURES_PER_S

    def requests(self) -> list[Request]:
        """Read what it asks; its RTCP is passed over. Raises OSError when it has gone, BadInputError for rubbish."""
        came = self.link.recv(_REQUEST_BYTES_MAX)
        if not came:
            raise ConnectionResetError
        self._asked += came
        found = []
        while self._asked:
            if self._asked[0] == ord("$"):
                length = 4 + int.from_bytes(self._asked[2:4], "big")
                if len(self._asked) < length:
                    break
            else:
                head, end, _ = self._asked.partition(b"\r\n\r\n")
                if not end:
                    break
                length = len(head) + len(end)
                found.append(parse_head(bytes(head)))
            del self._asked[:length]
        if len(self._asked) > _REQUEST_BYTES_MAX:
            raise BadInputError("a request without an end")
        return found

    def play(self, sent: Sent) -> None:
        """Begin."""
        self._sent = sent
        sent.clients += 1
        self.began_ns = time.monotonic_ns() + self._spread_ns

    def show(self, now_ns: int, queue_bytes_max: int) -> None:
        """Send the next picture, and a sender report when it is time. Raises OSError when the client has gone."""
        picture = self._loop.pictures[(self._place + self._shown) % len(self._loop.pictures)]
        timestamp = (self._first_timestamp + self._shown * TICKS_HZ // PICTURES_PER_S) % (1 << 32)
        self._sent.late += now_ns - self.next_ns > LATE_NS
        if len(self.queue) > queue_bytes_max:
            self._sent.dropped += 1
        else:
            if now_ns >= self._next_report_ns:
                self._next_report_ns = now_ns + REPORT_S * 1_000_000_000
                self._sent.bytes += self.put(self._report(timestamp))
            self._send(picture, timestamp)
            self._sent.pictures += 1
        self._shown += 1
        self._sequence += len(picture.ends)

    def put(self, octets: bytes) -> int:
        """Send bytes, or queue what does not go; return how many that are. Raises OSError."""
        self.queue += octets
        self.flush()
        return len(octets)

    def flush(self) -> None:
        """Send what waits, as far as it goes. Raises OSError when the client has gone."""
        while self.queue:
            try:
                count = self.link.send(self.queue)
            except BlockingIOError:
                return
            del self.queue[:count]

    def _send(self, picture: Picture, timestamp: int) -> None:
        view, room, send, ssrc, number = self._view, self._room, self.link.send, self._ssrc, self._sequence
        room[: len(picture.wire)] = picture.wire
        begin = 0
        for end in picture.ends:
            _NUMBERS.pack_into(room, begin + _NUMBERS_AT, number & 0xFFFF, timestamp, ssrc)
            number += 1
            if self.queue:
                self.queue += view[begin:end]
            else:
                try:
                    count = send(view[begin:end])
                except BlockingIOError:
                    count = 0
                if count < end - begin:
                    self.queue += view[begin + count : end]
            begin = end
        self._packets += len(picture.ends)
        self._octets += begin - 16 * len(picture.ends)
        self._sent.bytes += begin

    def _report(self, timestamp: int) -> bytes:
        """Write a sender report (RFC 3550 section 6.4.1) that says that this picture was taken now."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        ntp = seconds + _NTP_EPOCH_S << 32 | (nanoseconds << 32) // 1_000_000_000
        counts = (self._packets % (1 << 32), self._octets % (1 << 32))
        return struct.pack(">BBHBBHIQIII", ord("$"), 1, 28, 0x80, 200, 6, self._ssrc, ntp, timestamp, *counts)


def main() -> None:
    """Serve until standard input ends."""
    with suppress(PermissionError):  # cameras are other machines: a busy one here must not slow them
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    source = Source(load_loop(Path(sys.argv[1])))

    def say(what: object) -> None:
        os.write(sys.stdout.fileno(), msgspec.json.encode(what) + b"\n")

    def on_control() -> bool:
        asked = os.read(sys.stdin.fileno(), 4096)
        for _ in range(asked.count(b"\n")):
            say(source.sent)
        return bool(asked)

    say({"port": source.port})
    source.serve(sys.stdin.fileno(), on_control)
    source.close()


if __name__ == "__main__":
    main()
