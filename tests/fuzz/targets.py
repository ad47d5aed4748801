"""Every place where bytes of a stranger come in, by name: what is asked of it, and the good messages to begin from.

`test_targets.py` runs them for seconds in every `./check`, `long.py` for as long as one likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.crypto import sha256_hex
from agent.errors import BadInputError
from tests.fuzz import (
    seeds_camera,
    seeds_ring,
    targets_camera,
    targets_command,
    targets_cut,
    targets_events,
    targets_evidence,
    targets_exact,
    targets_exact_sound,
    targets_media,
    targets_opening,
    targets_owner,
    targets_profiles,
    targets_renewal,
    targets_ring,
    targets_sound,
)

CRASHES: Final = Path(__file__).with_name("crashes")
"""One file per input that once broke a target: `NAME-8HEX.bin`, `_` for the blanks of the name."""
CPU_S_MAX: Final = 1.0  # for one input of at most 64 KiB: a stranger's message must not keep the hub from its cameras


@dataclass(frozen=True)
class Target:
    """One entrance: `check` returns or raises BadInputError, everything else is a defect."""

    name: str
    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]

    def attempt(self, raw: bytes) -> bool:
        """Let it have these bytes and say whether it took them; False is BadInputError.

        Raises what it must not raise, and AssertionError if it took too long.
        """
        began_s, is_taken = time.thread_time(), False
        try:
            self.check(raw)
            is_taken = True
        except BadInputError as error:
            if not str(error):
                raise AssertionError("an error that does not say what happened") from error
        took_s = time.thread_time() - began_s
        assert took_s <= CPU_S_MAX, f"{len(raw)} bytes took {took_s:.1f} s"
        return is_taken

    def crashes(self) -> Iterator[Path]:
        """Name the inputs that once broke it."""
        yield from sorted(CRASHES.glob(f"{self.file_name}-*.bin"))

    def crash(self, raw: bytes) -> Path:
        """Name the file for an input that breaks it."""
        return CRASHES / f"{self.file_name}-{sha256_hex(raw)[:8]}.bin"

    @property
    def file_name(self) -> str:
        """The name as it stands in file names."""
        return self.name.replace(" ", "_")


TARGETS: Final = {
    target.name: target
    for target in (
        Target("renewal request", targets_renewal.request, targets_renewal.REQUESTS),
        Target("renewal answer", targets_renewal.answer, targets_renewal.ANSWERS),
        Target("RTSP message", targets_camera.rtsp_message, seeds_camera.MESSAGES),
        Target("RTSP session", targets_camera.rtsp_session, seeds_camera.SESSIONS),
        Target("SDP", targets_camera.sdp, seeds_camera.SESSION_DESCRIPTIONS),
        Target("login challenge", targets_camera.digest, seeds_camera.CHALLENGES),
        Target("discovery", targets_camera.discovery, seeds_camera.DISCOVERY_REPLIES),
        Target("camera clock", targets_camera.camera_clock, seeds_camera.CAMERA_CLOCKS),
        Target("media profiles", targets_profiles.media_profiles, targets_profiles.ANSWERS),
        Target("event answer", targets_events.event_answer, targets_events.ANSWERS),
        Target("stored events", targets_events.stored_events, targets_events.STORED),
        Target("wire", targets_media.wire, seeds_camera.WIRES),
        Target("reader", targets_media.reader, seeds_camera.READERS),
        Target("key picture", targets_media.key_picture, seeds_camera.KEY_PACKETS),
        Target("timeline", targets_media.timeline, seeds_camera.TIMELINES),
        Target("stream header", targets_media.stream_header, seeds_camera.STREAM_HEADERS),
        Target("H.264 pictures", targets_cut.h264_pictures, targets_cut.H264_SEEDS),
        Target("H.265 pictures", targets_cut.h265_pictures, targets_cut.H265_SEEDS),
        Target("JPEG pictures", targets_cut.jpeg_pictures, targets_cut.JPEG_SEEDS),
        Target("sound", targets_sound.sound, targets_sound.SOUNDS),
        Target("chunk header", targets_ring.chunk_header, seeds_ring.CHUNK_HEADERS),
        Target("slab header", targets_ring.slab_header, seeds_ring.SLAB_HEADERS),
        Target("slab index", targets_ring.slab_index, seeds_ring.INDEXES),
        Target("slab footer", targets_ring.slab_footer, seeds_ring.FOOTERS),
        Target("recovery", targets_ring.recovery, seeds_ring.SLABS),
        Target("cosigned checkpoint", targets_evidence.cosigned, targets_evidence.COSIGNED),
        Target("proof of an entry", targets_evidence.proof, targets_evidence.PROOFS),
        Target("witness request", targets_evidence.witness_request, targets_evidence.REQUESTS),
        Target("sealed header", targets_opening.sealed_header, targets_opening.SEALED_HEADERS),
        Target("joined parts", targets_opening.joined_parts, targets_opening.JOINED_PARTS),
        Target("command", targets_command.command, targets_command.SEEDS),
        Target("signed time", targets_command.signed_time, targets_command.TIMES),
        Target("owner's page", targets_owner.page_request, targets_owner.REQUESTS),
        Target("owner's login", targets_owner.owner_login, targets_owner.LOGINS),
        Target("exact cut", targets_exact.exact_cut, targets_exact.SEEDS),
        Target("exact sound", targets_exact_sound.exact_sound, targets_exact_sound.SEEDS),
    )
}
