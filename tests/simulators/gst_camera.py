"""A camera out of other people's parts: GStreamer's RTSP server and payloader, sender reports, digest login.

Run by the system's Python (Debian python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-{base,good,bad,ugly}),
so it shares no code with Transom: even the code in its pictures is drawn here anew, from the words of
`agent/demo/block_code.py`. It says `ready PORT` on stdout, then the capture tick of each picture, one a line.
The password comes as the first line of stdin; when stdin ends, so does the camera.
"""

from __future__ import annotations

import argparse
import binascii
import sys
import threading
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions must be required before

WIDTH, HEIGHT = 640, 360
CELL = WIDTH // 80
PIPELINE = (
    "( appsrc name=src is-live=true format=time"
    " caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! queue max-size-buffers=2"
    " ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bframes=0 bitrate=800"
    " ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
)


def picture(ticks: int, number: int) -> bytes:
    """Draw an I420 picture: something that moves, and 64 bits of time with their CRC-16 in two rows of 40 cells."""
    luma = bytearray(b"\x50" * (WIDTH * HEIGHT))
    left = number * 7 % (WIDTH - 40)
    for row in range(100, 140):
        luma[row * WIDTH + left : row * WIDTH + left + 40] = b"\xd0" * 40
    stamp = ticks.to_bytes(8, "big")
    written = int.from_bytes(stamp + binascii.crc_hqx(stamp, 0xFFFF).to_bytes(2, "big"), "big")
    for line in range(2):
        bits = (written >> (40 * (1 - line))) & ((1 << 40) - 1)
        cells = b"".join((b"\xd8" if bits >> (39 - column) & 1 else b"\x20") * CELL for column in range(40))
        for row in range(HEIGHT - (3 - line) * CELL, HEIGHT - (2 - line) * CELL):
            luma[row * WIDTH + 2 * CELL : row * WIDTH + 42 * CELL] = cells
    return bytes(luma) + b"\x80" * (WIDTH * HEIGHT // 2)


def say(line: str) -> None:
    """Tell whoever runs this."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def film(source: Any, fps: int, is_over: threading.Event) -> None:  # noqa: ANN401 - a GObject
    """Push pictures at an even pace until the viewer has gone."""
    began, number = time.monotonic(), 0
    while not is_over.wait(max(0.0, began + number / fps - time.monotonic())):
        number += 1
        if source.get_state(0)[1] != Gst.State.PLAYING:
            continue  # there is no running time yet
        ticks, now = time.time_ns() * 9 // 100_000, source.get_clock().get_time()
        buffer = Gst.Buffer.new_wrapped(picture(ticks, number))
        buffer.pts = now - source.get_base_time()  # not when the encoder got round to it, on a busy machine
        source.emit("push-buffer", buffer)
        say(str(ticks))


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", default="")
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--gop", type=int, default=30)
    parser.add_argument("--at", default="127.0.0.1:0/live", help="address, port and path")
    options = parser.parse_args()
    host, _, path = options.at.partition("/")
    password = sys.stdin.readline().strip()
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(width=WIDTH, height=HEIGHT, fps=options.fps, gop=options.gop))
    factory.set_shared(True)
    factory.set_latency(0)

    def configure(_factory: object, media: Any) -> None:  # noqa: ANN401 - a GObject
        source, is_over = media.get_element().get_by_name_recurse_up("src"), threading.Event()
        media.connect("unprepared", lambda _media: is_over.set())
        threading.Thread(target=film, args=(source, options.fps, is_over), daemon=True).start()

    factory.connect("media-configure", configure)
    server = GstRtspServer.RTSPServer()
    server.set_address(host.partition(":")[0])
    server.set_service(host.partition(":")[2])
    server.get_mount_points().add_factory(f"/{path}", factory)
    if options.user:
        server.set_auth(digest_login(factory, options.user, password))
    server.attach(None)
    say(f"ready {server.get_bound_port()}")
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


def digest_login(factory: Any, user: str, password: str) -> Any:  # noqa: ANN401 - GObjects
    """Let `user` in by digest (RFC 2617, MD5) and nobody else."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    permissions = GstRtspServer.RTSPPermissions()
    for right in ("access", "construct"):
        permissions.add_permission_for_role("viewer", f"media.factory.{right}", True)  # noqa: FBT003 - GObject
    factory.set_permissions(permissions)
    login = GstRtspServer.RTSPAuth()
    login.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    login.add_digest(user, password, token)
    return login


if __name__ == "__main__":
    main()
