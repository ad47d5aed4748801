"""What a run of the demo has shown, as one value: for the summary, for `--json`, and for the exit code."""

from __future__ import annotations

import msgspec


class CameraFacts(msgspec.Struct):
    """One camera's clip, judged by the capture time that is drawn into each of its pictures."""

    camera: str
    name: str
    frames: int = 0  # inside the window, in the clip
    frames_expected: int = 0
    frames_outside: int = 0
    frames_missing: int = 0
    frames_unreadable: int = 0
    frames_doubled: int = 0
    copied: int = 0
    reencoded: int = 0
    parts: int = 0
    bytes: int = 0
    clock_source: str = ""
    clock_error_ms: float = 0.0
    files: list[str] = msgspec.field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether the clip has every picture of the window once, and no other."""
        wrong = self.frames_outside, self.frames_missing, self.frames_unreadable, self.frames_doubled
        return 0 < self.frames == self.frames_expected and not any(wrong)


class Refused(msgspec.Struct):
    """A command that the hub had to refuse, and what it said."""

    attempt: str
    expected: str
    status: str = ""
    reason: str = ""
    detail: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it was refused for the right reason."""
        return self.status == "REJECTED" and self.reason == self.expected


class Facts(msgspec.Struct):
    """The whole run. Times are in seconds on one monotonic clock."""

    hub: str = ""
    broker: str = ""
    is_client_certificate_checked: bool = False
    window: list[str] = msgspec.field(default_factory=list)
    cameras: list[CameraFacts] = msgspec.field(default_factory=list)
    frames_outside: int = -1  # over all cameras; -1: not known
    frames_missing: int = -1
    alarm_to_first_byte_s: float = -1.0
    alarm_to_receipt_s: float = -1.0
    clip_status: str = ""
    refusals: list[Refused] = msgspec.field(default_factory=list)
    audit_entries: int = 0
    is_audit_intact: bool = False
    stop_s: float = -1.0
    total_s: float = -1.0
    failure: str = ""

    @property
    def problems(self) -> list[str]:
        """Say everything that did not hold; empty if the run was a success."""
        found = [self.failure] if self.failure else []
        if self.clip_status != "SUCCEEDED":
            found.append(f"the clip job ended as {self.clip_status or 'nothing'}")
        found += [f"the clip of {one.name} is not exact" for one in self.cameras if not one.is_exact]
        if len(self.cameras) != 2:  # noqa: PLR2004 - the demo has two cameras
            found.append(f"{len(self.cameras)} cameras instead of 2 delivered a clip")
        if self.frames_outside or self.frames_missing:  # -1: nobody looked
            found.append(f"over all clips {self.frames_outside} pictures are outside, {self.frames_missing} missing")
        if min(self.alarm_to_first_byte_s, self.alarm_to_receipt_s) < 0:
            found.append("the store holds nothing of the alarm")
        found += [f"{one.attempt}: {one.status} {one.reason}" for one in self.refusals if not one.is_right]
        if len(self.refusals) != 3:  # noqa: PLR2004 - forged, replayed, too long
            found.append("not all three bad commands were tried")
        if not self.is_audit_intact or self.audit_entries < 1:
            found.append("the audit log does not verify")
        if not 0 <= self.stop_s < 2:  # noqa: PLR2004 - what is promised
            found.append(f"the hub took {self.stop_s:.1f} s to stop")
        return found
