"""Whoever records, as the camera watch and the presence board see it: a list of cameras and how each does."""

from __future__ import annotations

from dataclasses import replace

from agent.acquire.camera import CameraStream
from agent.acquire.health import CameraHealth, CameraState
from agent.acquire.stream import CameraId


class ListedRoster:
    """Implements `camera_watch.Roster`; every camera records until the test says otherwise."""

    def __init__(self) -> None:
        self.added: list[CameraStream] = []
        self.removed: list[CameraId] = []
        self.words: list[tuple[CameraId, str]] = []
        self.shown: dict[CameraId, str] = {}
        self._health: dict[CameraId, CameraHealth] = {}

    def add(self, stream: CameraStream) -> None:
        """Record a camera."""
        self.added.append(stream)
        self._health[stream.camera] = CameraHealth(stream.camera, CameraState.RECORDING)

    def remove(self, camera: CameraId) -> None:
        """Record a camera no more."""
        self.removed.append(camera)
        self._health.pop(camera, None)

    def health(self) -> tuple[CameraHealth, ...]:
        """Return how each does."""
        return tuple(self._health.values())

    def pins(self) -> dict[CameraId, str]:
        """Return the certificates that cameras have shown."""
        return self.shown

    def vouch(self, camera: CameraId) -> None:
        """Take the word that a camera is itself."""
        self.words.append((camera, ""))

    def refuse(self, camera: CameraId, why: str) -> None:
        """Take the word that it is another."""
        self.words.append((camera, why))

    def waits_for_a_word(self, camera: CameraId) -> None:
        """Let something answer at a camera's address after its stream had failed."""
        self._health[camera] = replace(self._health[camera], state=CameraState.CONNECTING, is_unconfirmed=True)

    def falls_silent(self, camera: CameraId, error: str = "it does not answer") -> None:
        """Let a camera fail."""
        self._health[camera] = replace(self._health[camera], state=CameraState.WAITING, error=error)

    def records_again(self, camera: CameraId) -> None:
        """Let a camera work again, asked by nobody."""
        self._health[camera] = CameraHealth(camera, CameraState.RECORDING)
