"""The sorts of streams that cameras send, as GStreamer makes them: encodings, packetizations, sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.simulators.foreign_streams import Mount

SMALL: Final = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=192,framerate=10/1"
LARGE: Final = "videotestsrc is-live=true pattern=snow ! video/x-raw,format=I420,width=3840,height=2160,framerate=1/1"
X264: Final = "x264enc speed-preset=ultrafast key-int-max=10 bitrate=600"
UNITS_264: Final = "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au"
X265: Final = (
    "x265enc speed-preset=ultrafast key-int-max=10 bitrate=600 ! h265parse config-interval=-1"
    " ! video/x-h265,stream-format=byte-stream,alignment=au"
)
VOICE: Final = "audiotestsrc is-live=true samplesperbuffer=160 ! audio/x-raw,rate=8000,channels=1"
MUSIC: Final = "audiotestsrc is-live=true ! audio/x-raw,rate={},channels={}"
# Debian has no encoder for G.726 outside of libav; its payloader takes any bytes at half a byte per sample.
G726: Final = (
    "audiotestsrc is-live=true samplesperbuffer=80 ! audio/x-raw,format=U8,rate=4000,channels=1 ! capssetter join=false"
    " replace=true caps=audio/x-adpcm,layout=g726,channels=1,rate=8000,bitrate=32000"
)
PCMU: Final = f"{VOICE} ! mulawenc ! rtppcmupay name=pay1 pt=0"


def avc(
    options: str = "tune=zerolatency bframes=0", pay: str = "rtph264pay name=pay0 pt=96", source: str = SMALL
) -> str:
    """Write a pipeline for H.264."""
    return f"{source} ! {X264} {options} ! {UNITS_264} ! {pay}"


@dataclass(frozen=True)
class Sort:
    """A kind of camera: what it serves, and how its sound must be described (None: it has none, or it is not asked)."""

    mount: Mount
    encoding: str = "H264"
    sound: tuple[str, int, int, int] | None = None  # encoding, payload type, clock rate, channels


def sort(video: str, sound: str = "", **more: object) -> Mount:
    """Put a pipeline together."""
    return Mount(f"( {video} {sound} )", **more)  # type: ignore[arg-type]  # the caller's


SORTS: Final[dict[str, Sort]] = {
    "h264-pcmu": Sort(sort(avc(), PCMU), sound=("PCMU", 0, 8000, 1)),
    "h264-silenced": Sort(sort(avc(), PCMU)),
    "h264-slices-pcma": Sort(
        sort(
            avc("tune=zerolatency bframes=0 sliced-threads=false option-string=slices=4"),
            f"{VOICE} ! alawenc ! rtppcmapay name=pay1 pt=8",
        ),
        sound=("PCMA", 8, 8000, 1),
    ),
    "h264-b-pictures-aac": Sort(
        sort(
            avc("bframes=2 b-adapt=false rc-lookahead=3 ! video/x-h264,profile=main"),
            f"{MUSIC.format(16_000, 2)} ! voaacenc ! aacparse ! rtpmp4gpay name=pay1 pt=97",
        ),
        sound=("MPEG4-GENERIC", 97, 16_000, 2),
    ),
    "h264-aggregated-opus": Sort(
        sort(
            avc(pay="rtph264pay aggregate-mode=zero-latency name=pay0 pt=96"),
            f"{MUSIC.format(48_000, 2)} ! opusenc ! rtpopuspay name=pay1 pt=97",
        ),
        sound=("OPUS", 97, 48_000, 2),
    ),
    "h264-extended": Sort(
        sort(avc(pay="rtph264pay pt=96 name=maker0 ! rtponviftimestamp ntp-offset=0 name=pay0")),
    ),
    "h264-mixed": Sort(sort(avc(), sources=(0xC0FFEE01, 0xC0FFEE02))),
    "h264-large": Sort(
        sort(avc("tune=zerolatency pass=quant quantizer=46 key-int-max=2", source=LARGE), mtu=60_000),
    ),
    "h265-g726": Sort(
        sort(f"{SMALL} ! {X265} ! rtph265pay name=pay0 pt=96", f"{G726} ! rtpg726pay name=pay1 pt=98"),
        "H265",
        ("G726-32", 98, 8000, 1),
    ),
    "h265-aggregated": Sort(
        sort(f"{SMALL} ! {X265} ! rtph265pay aggregate-mode=zero-latency mtu=300 name=pay0 pt=96"), "H265"
    ),
    "jpeg-pcmu": Sort(sort(f"{SMALL} ! jpegenc ! rtpjpegpay name=pay0 pt=26", PCMU), "JPEG", ("PCMU", 0, 8000, 1)),
}
