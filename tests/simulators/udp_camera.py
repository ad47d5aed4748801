"""A camera that sends its media by UDP only: it refuses TCP with 461, as the RFC says."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from typing import Self

from tests.simulators.rtsp_camera import SDP, picture_frames


class UdpCamera:
    """The server, a context manager: `sent` holds the RTP packets of its one session as frames."""

    def __init__(self, *, lost: frozenset[int] = frozenset(), picture_s: float = 0.01) -> None:
        self.methods: list[str] = []
        self.sent: list[bytes] = []
        self.client_ports: tuple[int, int] = (0, 0)
        self._lost, self._picture_s = lost, picture_s  # pictures whose third packet is lost
        self._stopped = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self._media = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for one in self._media:
            one.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)

    @property
    def port(self) -> int:
        """The RTSP port."""
        return int(self._server.getsockname()[1])

    @property
    def url(self) -> str:
        """The stream's URL."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for one in (self._server, *self._media):
            one.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = self._server.accept()
                with client:
                    client.settimeout(self._picture_s)
                    self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        received, number, is_playing = b"", 0, False
        while not self._stopped.is_set():
            with contextlib.suppress(TimeoutError):
                more = client.recv(65536)
                if not more:
                    return
                received += more
            while b"\r\n\r\n" in received:
                head, _, received = received.partition(b"\r\n\r\n")
                client.sendall(self._answer(head.decode()))
                is_playing = self.methods[-1] == "PLAY" or (is_playing and self.methods[-1] != "TEARDOWN")
            if is_playing:
                self._send_picture(number)
                number += 1

    def _send_picture(self, number: int) -> None:
        for place, frame in enumerate(picture_frames(number, 1_000_000, is_key=number % 5 == 0)):
            if place == 2 and number in self._lost:
                continue
            self.sent.append(frame)
            self._media[0].sendto(frame[4:], ("127.0.0.1", self.client_ports[0]))

    def _answer(self, head: str) -> bytes:
        first, *lines = head.split("\r\n")
        method, url, _ = first.split(" ")
        self.methods.append(method)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status, extra, body = "200 OK", "", ""
        if method == "DESCRIBE":
            body, extra = SDP, f"Content-Base: {url}/\r\nContent-Length: {len(SDP)}\r\n"
        elif method == "SETUP":
            ports = re.search(r"client_port=(\d+)-(\d+)", headers["transport"])
            if ports is None:
                status = "461 Unsupported Transport"
            else:
                self.client_ports = int(ports[1]), int(ports[2])
                own = "-".join(str(one.getsockname()[1]) for one in self._media)
                extra = f"Transport: {headers['transport']};server_port={own}\r\nSession: abc;timeout=60\r\n"
        return f"RTSP/1.0 {status}\r\nCSeq: {headers['cseq']}\r\n{extra}\r\n{body}".encode()
