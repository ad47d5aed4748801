"""Track after track, from what a camera offers to what it grants: the Transport header (RFC 2326 section 12.39).

Rules of this file: video first; sound that is refused, or goes another way, is left out and costs no video.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.acquire.sdp import OfferedTrack
from agent.acquire.stream import CHANNEL_MAX, Track, share_channel
from agent.acquire.stream_url import is_same_host
from agent.errors import BadInputError

PORT_MAX: Final = 0xFFFF
_INTERLEAVED: Final = re.compile(r"interleaved\s*=\s*([0-9]{1,3})(?:\s*-\s*([0-9]{1,3}))?", re.IGNORECASE)
_SERVER_PORT: Final = re.compile(r"server_port\s*=\s*([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", re.IGNORECASE)
_SOURCE: Final = re.compile(r'\bsource\s*=\s*"?([0-9a-fA-F:.]{1,45})', re.IGNORECASE)


class TrackSetup:
    """The tracks of one session as they are set up; `url` is the one that was dialed."""

    def __init__(self, offers: tuple[OfferedTrack, ...], url: str) -> None:
        self._offers = offers
        self._url = url
        self._ports: tuple[tuple[int, int], ...] = ()  # the hub's; empty while media comes over the connection
        self.tracks: tuple[Track, ...] = ()  # granted
        self.server_ports: tuple[tuple[int, int], ...] = ()  # the camera's, one pair for each granted track

    @property
    def wanted(self) -> int:
        """How many tracks are granted or may still be."""
        return len(self._offers)

    @property
    def has_ports(self) -> bool:
        """Whether media comes as datagrams, not over the connection."""
        return bool(self._ports)

    def use_ports(self, ports: Sequence[tuple[int, int]]) -> None:
        """Ask for datagrams to these pairs of ports from now on; with fewer than tracks the sound is left out."""
        self._ports, self._offers = tuple(ports), self._offers[: len(ports)]

    def leave_sound_out(self) -> None:
        """Go on with what was granted."""
        self._offers = self._offers[: len(self.tracks)]

    def next_request(self) -> tuple[str, str] | None:
        """Return URL and Transport header of the next SETUP, None when there is none left."""
        number = len(self.tracks)
        if number == len(self._offers):
            return None
        ask = ask_datagrams(*self._ports[number]) if self._ports else ask_interleaved(self._free_channel())
        return self._offers[number].control_url, ask

    def take(self, header: str) -> bool:
        """Take the Transport header of an answer with 200; False if the camera will not send video this way.

        Raises BadInputError if it cannot be recorded whichever way.
        """
        answer = read_transport(header)
        if answer.is_said and answer.is_interleaved is self.has_ports:
            if self.tracks:
                self.leave_sound_out()
            return bool(self.tracks)
        if answer.is_multicast:
            raise BadInputError("the camera sends to a whole group (multicast)", cure="allow RTP over TCP in it")
        channel = answer.channel if answer.channel is not None else self._free_channel()
        tracks = (*self.tracks, self._offers[len(self.tracks)].on(channel))
        if share_channel(tracks):
            raise BadInputError("the camera mixes picture and sound on one channel", cure="record it without its sound")
        self.tracks = tracks
        # Ports of another host are not believed: datagrams are taken from the camera's own address only.
        ports = answer.server_ports if is_same_host(answer.source, self._url) else (0, 0)
        self.server_ports = (*self.server_ports, ports)
        return True

    def _free_channel(self) -> int:
        channel = self.tracks[-1].channel + 2 if self.tracks else 0
        return channel if channel <= CHANNEL_MAX else 0


@dataclass(frozen=True, slots=True)
class TransportAnswer:
    """What a camera's answer to SETUP says about the way of one track's packets."""

    is_said: bool  # False: some cameras leave the header out and mean what was asked
    is_interleaved: bool  # on the RTSP connection, in frames
    is_multicast: bool
    channel: int | None  # the RTP channel on the connection, if said
    server_ports: tuple[int, int]  # where the camera's RTP and RTCP datagrams come from; 0 where it does not say
    source: str  # the address they come from, as written; empty if not said


def ask_interleaved(channel: int) -> str:
    """Ask for frames on the RTSP connection: RTP on `channel`, RTCP on the next."""
    return f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"


def ask_datagrams(rtp_port: int, rtcp_port: int) -> str:
    """Ask for datagrams to two ports of the hub."""
    return f"RTP/AVP;unicast;client_port={rtp_port}-{rtcp_port}"


def read_transport(header: str) -> TransportAnswer:
    """Read a Transport header's first choice; its parameters come in any order (cameras put ssrc before interleaved).

    Raises BadInputError for channels that are no pair.
    """
    text = header.partition(",")[0]
    channels = _INTERLEAVED.search(text)
    channel = int(channels[1]) if channels else None
    if channels and channel is not None and (channel > CHANNEL_MAX or int(channels[2] or channel + 1) != channel + 1):
        raise BadInputError("the camera answered SETUP with channels that are no pair")
    source = _SOURCE.search(text)
    return TransportAnswer(
        is_said=bool(text.strip()),
        is_interleaved=channels is not None or "tcp" in text.lower(),
        is_multicast="multicast" in text.lower(),
        channel=channel,
        server_ports=_ports(_SERVER_PORT.search(text)),
        source=source[1] if source else "",
    )


def _ports(said: re.Match[str] | None) -> tuple[int, int]:
    if said is None:
        return 0, 0
    rtp = int(said[1])
    rtcp = int(said[2] or rtp + 1)
    return (rtp, rtcp) if 0 < rtp <= PORT_MAX and 0 < rtcp <= PORT_MAX else (0, 0)
