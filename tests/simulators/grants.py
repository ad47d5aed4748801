"""A grant for tests that need one but do not care how it came to be."""

from __future__ import annotations

from agent.acquire.stream import CameraId
from agent.clock import Window
from agent.command.request import Incident, UploadTarget, VerifiedCommand
from agent.consent.grant import Granted
from agent.crypto import Secret


def grant_for(camera: CameraId, window: Window) -> Granted:
    """Grant one camera and window."""
    command = VerifiedCommand(
        id="command-1",
        sha256="0" * 64,
        signer="signer",
        subject="officer",
        role="officer",
        agency="agency",
        root="root",
        action="clip.upload",
        issued=window.start,
        expires=window.end,
        incident=Incident("incident-1", "robbery", window.start),
        window=window,
        cameras=(camera,),
        recipients=(),
        upload=UploadTarget("https://store.example/files", "https://store.example/receipts", Secret("token")),
        basis="consent",
        reason="test",
    )
    return Granted(command, (camera,), window, 1, "0" * 64, "opt_in", {})
