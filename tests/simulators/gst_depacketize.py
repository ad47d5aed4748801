"""RTP packets in a file (RFC 4571) to an elementary stream in another, by GStreamer alone; run by the system's Python.

Usage: gst_depacketize.py ENCODING PACKETS STREAM
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # noqa: E402 - the version must be required before

CHAINS = {
    "H264": "rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=nal",
    "H265": "rtph265depay ! video/x-h265,stream-format=byte-stream,alignment=nal",
    "JPEG": "rtpjpegdepay",
}
WAIT_NS = 20_000_000_000


def main() -> None:
    """Run the pipeline to its end."""
    encoding, packets, stream = sys.argv[1:]
    Gst.init(None)
    caps = f"application/x-rtp-stream,media=video,clock-rate=90000,encoding-name={encoding}"
    pipeline = Gst.parse_launch(
        f"filesrc location={packets} ! {caps} ! rtpstreamdepay ! {CHAINS[encoding]} ! filesink location={stream}"
    )
    pipeline.set_state(Gst.State.PLAYING)
    message = pipeline.get_bus().timed_pop_filtered(WAIT_NS, Gst.MessageType.EOS | Gst.MessageType.ERROR)
    is_over = message is not None and message.type == Gst.MessageType.EOS
    pipeline.set_state(Gst.State.NULL)
    if not is_over:
        sys.exit(str(message.parse_error() if message else "it did not end"))


if __name__ == "__main__":
    main()
