"""Whatever GStreamer can encode and packetize, served by its RTSP server, with a log of every packet that was made.

Run by the system's Python, like `gst_camera.py`; shares no code with Transom. One line of JSON comes on stdin:

    folder       where the logs go
    mounts       name -> {"launch", "is_udp", "mtu", "sources"}
    certificate  PEM of certificate and key, for RTSP over TLS; empty: plain RTSP
    login        [method, user, password]: "basic" or "digest"; or null
    timeout_s    after how much silence a session is dropped; 0: the server's default of 60
    port         0: any

It says `ready PORT`. When stdin ends, so does the server. Two logs for each payloader n of a mount:
`NAME.n.packets` (1 byte: of a key unit or not; 16-bit length; RTP packet) and `NAME.n.units` (32-bit length; what the
encoder made). A payloader whose packets another element changes is called `maker0`, and that element `pay0`.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import gi

for _name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(_name, "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - the versions must be required before

PAYLOADERS_MAX = 2


class Log:
    """What went into one payloader, and what came out."""

    def __init__(self, maker: Any, payloader: Any, stem: Path, sources: list[int]) -> None:  # noqa: ANN401 - GObjects
        self._units = stem.with_name(stem.name + ".units").open("wb", buffering=0)
        self._packets = stem.with_name(stem.name + ".packets").open("wb", buffering=0)
        self._is_key = False
        self._sources = b"".join(source.to_bytes(4, "big") for source in sources)
        maker.get_static_pad("sink").add_probe(Gst.PadProbeType.BUFFER, self._unit)
        self._out = payloader.get_static_pad("src")
        self._probe = self._out.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self._packet)

    def _unit(self, _pad: object, info: Any) -> Any:  # noqa: ANN401 - GObjects
        buffer = info.get_buffer()
        self._is_key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        octets = buffer.extract_dup(0, buffer.get_size())
        self._units.write(struct.pack(">I", len(octets)) + octets)
        return Gst.PadProbeReturn.OK

    def _packet(self, _pad: object, info: Any) -> Any:  # noqa: ANN401 - GObjects
        if info.type & Gst.PadProbeType.BUFFER_LIST:
            several = info.get_buffer_list()
            buffers = [several.get(number) for number in range(several.length())]
        else:
            buffers = [info.get_buffer()]
        packets = [buffer.extract_dup(0, buffer.get_size()) for buffer in buffers]
        if not self._sources:
            self._note(packets)
            return Gst.PadProbeReturn.OK
        # The same packets again, with contributing sources; pushed past this probe.
        self._out.remove_probe(self._probe)
        for buffer, packet in zip(buffers, packets, strict=True):
            mixed = bytes([packet[0] + len(self._sources) // 4]) + packet[1:12] + self._sources + packet[12:]
            self._note([mixed])
            new = Gst.Buffer.new_wrapped(mixed)
            new.pts, new.dts = buffer.pts, buffer.dts
            self._out.push(new)
        self._probe = self._out.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, self._packet)
        return Gst.PadProbeReturn.DROP

    def _note(self, packets: list[bytes]) -> None:
        self._packets.write(b"".join(struct.pack(">BH", self._is_key, len(packet)) + packet for packet in packets))


def factory_of(name: str, mount: dict[str, Any], folder: Path) -> Any:  # noqa: ANN401 - a GObject
    """Make one stream, which begins anew for each viewer."""
    factory = GstRtspServer.RTSPMediaFactory()
    Gst.parse_launch(mount["launch"])  # says now, and by its name, which element is not installed
    factory.set_launch(mount["launch"])
    factory.set_latency(0)
    if mount.get("is_udp"):
        factory.set_protocols(GstRtsp.RTSPLowerTrans.UDP)
    logs = []

    def constructed(_factory: object, media: Any) -> None:  # noqa: ANN401 - a GObject
        for number in range(PAYLOADERS_MAX):
            pipeline = media.get_element()
            payloader = pipeline.get_by_name(f"pay{number}")
            if payloader is not None:
                maker = pipeline.get_by_name(f"maker{number}") or payloader
                maker.set_property("mtu", mount["mtu"])
                logs.append(Log(maker, payloader, folder / f"{name}.{number}", mount.get("sources", [])))

    factory.connect("media-constructed", constructed)
    return factory


def authentication(order: dict[str, Any], factories: list[Any]) -> Any:  # noqa: ANN401 - GObjects
    """Say who may watch, and prove who serves."""
    login = GstRtspServer.RTSPAuth()
    if order.get("certificate"):
        login.set_tls_certificate(Gio.TlsCertificate.new_from_file(order["certificate"]))
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("access", "construct"):
            permissions.add_permission_for_role("viewer", f"media.factory.{right}", True)  # noqa: FBT003 - GObject
        factory.set_permissions(permissions)
    if order.get("login"):
        method, user, password = order["login"]
        if method == "basic":
            login.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
            login.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            login.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            login.add_digest(user, password, token)
    else:
        login.set_default_token(token)
    return login


def connected(server: Any, client: Any, timeout_s: int) -> None:  # noqa: ANN401 - GObjects
    """Give each session of a new viewer its time."""

    def begun(_client: object, session: Any) -> None:  # noqa: ANN401 - a GObject
        session.set_timeout(timeout_s)
        session.set_property("extra-timeout", 0)

    if timeout_s:
        client.connect("new-session", begun)
        GLib.timeout_add(200, lambda: server.get_session_pool().cleanup() or True)


def main() -> None:
    """Serve until stdin ends."""
    order = json.loads(sys.stdin.readline())
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(order.get("port", 0)))
    server.get_thread_pool().set_max_threads(len(order["mounts"]))  # a stream that is slow to begin delays no other
    factories = []
    for name, mount in order["mounts"].items():
        factories.append(factory_of(name, mount, Path(order["folder"])))
        server.get_mount_points().add_factory(f"/{name}", factories[-1])
    if order.get("certificate") or order.get("login"):
        server.set_auth(authentication(order, factories))
    server.connect("client-connected", connected, order.get("timeout_s", 0))
    server.attach(None)
    sys.stdout.write(f"ready {server.get_bound_port()}\n")
    sys.stdout.flush()
    loop = GLib.MainLoop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.quit()), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
