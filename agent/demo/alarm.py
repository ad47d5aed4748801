"""The alarm and what follows: one good command, three bad ones, and the judgement of every picture that arrived."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.clock import SECOND_NS, WallTime, Window, rfc3339
from agent.command.envelope import Audience
from agent.demo.authority import Authority, clip_params, pack_envelope, upload_params
from agent.demo.central import PAIRING_EPOCH
from agent.demo.facts import CameraFacts, Facts, Refused
from agent.demo.prove import judge, read_frames
from agent.demo.site import RECIPIENT, Site
from agent.opener import open_clip
from agent.signing import generate_signing_key

BEFORE_S: Final = 8
AFTER_S: Final = 4
CLIP_S_MAX: Final = 60.0
REFUSAL_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A command that was published."""

    id: str
    window: Window
    envelope: bytes
    published_s: float  # monotonic
    published: WallTime


def raise_alarm(
    site: Site,
    command: str = "alarm-1",
    before_s: float = BEFORE_S,
    after_s: float = AFTER_S,
    *,
    cameras: Sequence[str] = ("*",),
    **claims: object,
) -> Alarm:
    """Send the hub a signed command, for all cameras from some seconds before to some after now unless told otherwise.

    `claims` replace some of the command's.
    """
    now = site.central.now()
    window = Window(WallTime(now - int(before_s * SECOND_NS)), WallTime(now + int(after_s * SECOND_NS)))
    return order_clip(site, command, window, cameras=cameras, **claims)


def order_clip(site: Site, command: str, window: Window, *, cameras: Sequence[str] = ("*",), **claims: object) -> Alarm:
    """Send the hub a signed command for a window; `claims` replace some of the command's."""
    now = site.central.now()
    params = _params(site, window) | {"cameras": list(cameras)}
    envelope = site.authority.clip_upload(now, _audience(site), command, params, **claims)
    published_s = time.monotonic()
    site.console.publish("cmd", envelope)
    return Alarm(command, window, envelope, published_s, now)


def note_delivery(site: Site, alarm: Alarm, facts: Facts) -> None:
    """Wait for the job's end and note how long everything took."""
    _, end = site.console.wait_end(alarm.id, CLIP_S_MAX)
    held = [upload for upload in site.central.store.held().values() if upload.part.startswith(f"{alarm.id}.")]
    facts.clip_status = end.status.value
    facts.window = [rfc3339(alarm.window.start), rfc3339(alarm.window.end)]
    first = [upload.first_byte_at for upload in held if upload.first_byte_at]
    last = [upload.receipted_at for upload in held if upload.receipted_at]
    facts.alarm_to_first_byte_s = round((min(first) - alarm.published) / SECOND_NS, 3) if first else -1
    facts.alarm_to_receipt_s = round((max(last) - alarm.published) / SECOND_NS, 3) if last else -1


def try_bad_commands(site: Site, alarm: Alarm, facts: Facts) -> None:
    """Send what the hub must refuse: a forged signature, a replay, a window longer than the owner allows."""
    now = WallTime(time.time_ns())
    forged = _forged(site.authority, now, _audience(site), _params(site, alarm.window))
    start = WallTime(alarm.window.end - (site.scene.window_s_max + 60) * SECOND_NS)
    params = _params(site, Window(start, alarm.window.end))
    too_long = site.authority.clip_upload(now, _audience(site), "too-long-1", params)
    attempts = [
        (Refused("forged signature", "bad_signature"), "forged-1", forged),
        (Refused("replay of the first command", "replayed"), alarm.id, alarm.envelope),
        (Refused("window longer than the owner allows", "window_too_long"), "too-long-1", too_long),
    ]
    for refused, command, envelope in attempts:
        so_far = len(site.console.statuses)
        site.console.publish("cmd", envelope)
        _, status = site.console.wait_end(command, REFUSAL_S_MAX, after=so_far)
        refused.status, refused.detail = status.status.value, status.detail
        refused.reason = status.reason.value if status.reason else ""
        facts.refusals.append(refused)


def judge_clips(site: Site, alarm: Alarm, facts: Facts, output: Path, progress: Callable[[str], None]) -> None:
    """Open each clip as the officer does and read the capture time out of every picture in it."""
    presence = site.wait_cameras()
    by_name = {camera.ready.name: camera.ready for camera in site.cameras}
    for camera in site.own(presence):
        found = CameraFacts(camera.id, camera.name)
        facts.cameras.append(found)
        folder = site.central.store.folder / f"{alarm.id}.{camera.id}"
        progress(camera.name)
        if not folder.exists():
            continue
        name = camera.name.lower().replace(" ", "-")
        opened = open_clip(folder, site.folder / "officer" / "key.txt", output / f"{name}.mp4")
        manifest = opened.manifest
        found.files = [str(file) for file in opened.files]
        found.parts, found.bytes = len(manifest.parts), sum(part.size for part in manifest.parts)
        found.copied = sum(part.copied for part in manifest.parts)
        found.reencoded = sum(part.reencoded for part in manifest.parts)
        found.clock_source, found.clock_error_ms = manifest.clock.source, round(manifest.clock.error_ns / 1e6, 3)
        cadence = by_name[camera.name].cadence
        verdict = judge([read_frames(Path(file)) for file in opened.files], alarm.window, cadence)
        found.frames, found.frames_expected = verdict.frames, len(cadence.expected(alarm.window))
        found.frames_outside, found.frames_missing = verdict.outside, verdict.missing
        found.frames_unreadable, found.frames_doubled = verdict.unreadable, verdict.doubled
    facts.frames_outside = sum(camera.frames_outside for camera in facts.cameras)
    facts.frames_missing = sum(camera.frames_missing for camera in facts.cameras)


def _audience(site: Site) -> Audience:
    return Audience(site.factory.hub_id, PAIRING_EPOCH)


def _params(site: Site, window: Window) -> dict[str, Any]:
    store = f"https://{site.central.store_host or site.central.host}"
    method, url = site.scene.upload, f"{store}/{'puts' if site.scene.upload == 'put' else 'files'}"
    upload = upload_params(url, f"{store}/receipts", site.upload_token, method)
    return clip_params(window, recipients=[RECIPIENT], upload=upload)


def _forged(authority: Authority, now: WallTime, audience: Audience, params: dict[str, Any]) -> bytes:
    """Sign as the officer, with another key: what somebody who owns the broker could do."""
    claims = authority.command_claims(now, audience, "forged-1", action="clip.upload", params=params)
    command = authority.sign_command(claims, key=generate_signing_key("P-256"))
    return pack_envelope(command, json.loads(authority.clip_upload(now, audience, "x", params))["chain"])
