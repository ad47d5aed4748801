"""What a clip is, as rows of a label and a text: for the officer's screen, the report and the file beside the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from agent.clock import TimeSource
from agent.consent.owner_copy import OTHER_KIND
from agent.evidence.statement import Manifest, PartFacts
from agent.opening.check import StoreWord
from agent.opening.coverage import CoveredSpan, Kind, coverage
from agent.opening.plain import printable

_CLOCK_WORDS: Final = {
    TimeSource.NETWORK.value: "by NTP",
    TimeSource.ASSUMED.value: "by nobody: a setting says that it is right",
    TimeSource.NONE.value: "by nobody any more when this was written",
}


class VideoFacts(msgspec.Struct, frozen=True):
    """One video that was written."""

    file: str
    sha256: str  # hex digest of the file
    parts: tuple[str, ...]  # names of the sealed parts in it, in order


class Opened(msgspec.Struct, frozen=True):
    """What was opened: the hub's whole statement, and the files that were written."""

    manifest: Manifest
    signer: str  # the hub's verifier line, as on the officer's list
    parts: tuple[str, ...]  # names of the sealed parts that were opened, in order
    files: tuple[str, ...]  # the videos, in order
    videos: tuple[VideoFacts, ...]  # the same, with what is in them
    is_whole_clip: bool  # False: only some of the clip's parts were asked for
    coverage: tuple[CoveredSpan, ...]
    store: tuple[StoreWord, ...]  # what the store said of each part
    strays: tuple[str, ...] = ()  # sealed parts in the folder that the hub did not sign


def rows_about(manifest: Manifest) -> list[tuple[str, str]]:
    """Say what the hub states."""
    command, window = manifest.command, manifest.window
    pictures = sum(part.pictures for part in manifest.parts)
    withheld = sum(part.refused for part in manifest.parts)
    rows = [
        ("Incident", f"{manifest.incident.id} ({manifest.incident.type}), reported {manifest.incident.reported_at}"),
        ("Camera", f"{manifest.camera.name} ({manifest.camera.id}) on hub {manifest.hub}"),
        ("Asked by", f"{command.subject}, {command.agency}"),
        ("Basis", command.basis),
        ("Reason", command.reason),
        ("Asked for", f"{window.asked.start} to {window.asked.end}"),
        *([("Extended", f"by {', '.join(manifest.extended_by)}")] if manifest.extended_by else []),
        ("Granted", f"{window.granted.start} to {window.granted.end}, {manifest.policy.mode}"),
        ("Delivered", f"{window.first_picture} to {window.last_picture}, {pictures} pictures, {manifest.processing}"),
        ("Time", f"source {manifest.clock.source or 'unknown'}, within {manifest.clock.error_ns / 1e6:.3f} ms"),
        *([("Hub clock", clock)] if (clock := _hub_clock_told(manifest)) else []),
        *_gaps(manifest),
        *([("Withheld", f"{withheld} pictures that may show what lay outside the window")] if withheld else []),
        *([("Sound", sound)] if (sound := _sound_told(manifest.parts)) else []),
        *(("No sound", f"{gap.start} to {gap.end}: {gap.why}") for gap in manifest.sound_gaps),
        *([("Owner", copy)] if (copy := _owner_copy_told(manifest.parts)) else []),
    ]
    return [(label, printable(text)) for label, text in rows]


def rows_of(opened: Opened) -> list[tuple[str, str]]:
    """Say what the clip is, how it was checked and where its videos are."""
    manifest = opened.manifest
    rows = [
        ("Parts", f"{len(opened.parts)} of {len(manifest.parts)} opened, signature and hashes hold"),
        ("Store", store_told(opened.store, is_whole=opened.is_whole_clip)),
        *(
            ("Left out", f"{name} lies there too: the hub did not sign it as a part of this clip")
            for name in opened.strays
        ),
        *(("Video", f"{video.file} (SHA-256 {video.sha256})") for video in opened.videos),
        *([("Note", _several_told(opened))] if len(opened.videos) > 1 else []),
        ("Made by", f"transom {manifest.software}, policy version {manifest.policy.version}"),
    ]
    return rows_about(manifest) + [(label, printable(text)) for label, text in rows]


def describe(opened: Opened) -> str:
    """Say in plain lines what a clip is."""
    return "\n".join(f"{label + ':':<11} {text}" for label, text in rows_of(opened))


def _gaps(manifest: Manifest) -> list[tuple[str, str]]:
    spans = [span for span in coverage(manifest) if span.kind is not Kind.PICTURES]
    return [("Gap", f"{span.start} to {span.end}: {span.why or 'the hub does not say why'}") for span in spans]


def _several_told(opened: Opened) -> str:
    return f"{len(opened.videos)} videos: size, codec or sound change within the clip, or a part's form is not known"


def store_told(words: Sequence[StoreWord], *, is_whole: bool) -> str:
    """Say what is known of the store's receipts for the parts that were opened; `is_whole`: for all that there are."""
    checked = [word.stored_at for word in words if word.is_checked]
    if len(checked) == len(words):
        which = "every part" if is_whole else "every part that was opened"
        return f"has signed that it holds {which}, the last since {max(checked)}"
    if checked:
        return f"has signed that it holds {len(checked)} of {len(words)} parts"
    return "says nothing that could be checked: its receipts are not here, or its key is not known"


def _hub_clock_told(manifest: Manifest) -> str:
    """Say who vouched for the hub's time; empty if the manifest does not say."""
    clock = manifest.hub_clock
    if clock is None:
        return ""
    if clock.source == TimeSource.SIGNED:
        return f"by the server's signed time, within {clock.error_ns / 1e6:.0f} ms"
    return _CLOCK_WORDS.get(clock.source, f"by {clock.source}")


def _owner_copy_told(parts: Sequence[PartFacts]) -> str:
    """Say whether the owner of the cameras can open the clip; empty if they did not want to."""
    words = [part.owner_copy for part in parts if part.owner_copy]
    sealed = sum(word != OTHER_KIND for word in words)
    if not words:
        return ""
    if sealed == len(parts):
        return "has a copy: can open every part with a key of their own"
    why = "; their key is of another kind than the recipients'" if OTHER_KIND in words else ""
    return f"can open {sealed} of {len(parts)} parts{why}"


def _sound_told(parts: Sequence[PartFacts]) -> str:
    """Say what sound is in the parts; empty if the owner does not share this camera's."""
    sounds = [part.sound for part in parts if part.sound is not None]
    heard = [sound for sound in sounds if sound.codec]
    if not heard:
        return "none" if sounds else ""
    how = "re-encoded" if any(sound.reencoded for sound in heard) else "copied"
    sources = ", ".join(sorted({sound.source for sound in heard}))
    error_ms = max(sound.error_ns for sound in heard) / 1e6
    return f"{heard[0].start} to {heard[-1].end}, {how} from {sources}, within {error_ms:.0f} ms"
