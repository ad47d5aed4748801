"""The demo's site: two cameras, a broker, a central server, and a hub in its box, with the people who set it up."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import yaml

from agent.clock import WallTime
from agent.deliver.age import generate_identity
from agent.demo.authority import Authority, Owner, sharing_claims
from agent.demo.broker import Broker, start_broker
from agent.demo.central import CentralServer
from agent.demo.console import COMMANDER, Console
from agent.demo.pki import LOOPBACK
from agent.demo.pki import Authority as CertificateAuthority
from agent.demo.processes import BridgeProgram, CameraProgram, HubProgram
from agent.demo.store import Store
from agent.health.presence import CameraPresence, Presence
from agent.signing import public_jwk
from provisioning.claim import make_claim
from provisioning.factory import FactoryIdentity, make_identity
from provisioning.pairing import make_statement, read_enrolment
from provisioning.store import IdentityStore

CAMERA_USER: Final = "hub"
CAMERA_NAMES: Final = ("Front door", "Back yard")
RECIPIENT: Final = "evidence-desk"
FOUND_S_MAX: Final = 30.0
CODE_SHOWN_S: Final = 25.0


@dataclass(frozen=True, slots=True)
class Scene:
    """How the cameras film, and what the owner allows."""

    fps: int = 15
    gop: int = 30
    b_frames: int = 0
    window_s_max: int = 60
    clock_offset_ms: int = 0
    clock_drift_ppm: int = 0
    codec: str = "H264"  # of the main streams; "H265" is shown by media2 only
    has_media2: bool = False
    broker: str = ""  # "mosquitto", "iotcore" or whichever is there
    central_address: str = LOOPBACK  # where broker, store and enrolment listen
    ring_mib: int = 128
    slab_mib: int = 8
    upload: str = "tus"  # or "put": by presigned URLs


class Site:
    """Everything on the site; enter it as a context to have it all taken down again."""

    def __init__(self, folder: Path, scene: Scene = Scene(), password: str = "") -> None:
        self.folder, self.scene = folder, scene
        self.authority = Authority()
        self.upload_token = secrets.token_urlsafe(24)
        self._stack = ExitStack()
        self._password = password or secrets.token_urlsafe(12)
        self._certificates = CertificateAuthority(address=scene.central_address)
        self.logs = folder / "logs"
        self.config = folder / "hub" / "transom.yaml"
        self.owner_key = folder / "owner" / "key.jwk"
        self.identity = IdentityStore(folder / "hub" / "identity")
        self.factory: FactoryIdentity
        self.cameras: list[CameraProgram] = []
        self.broker: Broker
        self.central: CentralServer
        self.console: Console
        self.bridge: BridgeProgram
        self.hub: HubProgram
        self.owner: Owner

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -------------------------------------------------------- what is there
    def start_cameras(self, names: Sequence[str] = CAMERA_NAMES) -> None:
        """Put up the cameras, each in a process of its own."""
        scene = self.scene
        film = ["--fps", str(scene.fps), "--gop", str(scene.gop), "--b-frames", str(scene.b_frames)]
        film += ["--clock-offset-ms", str(scene.clock_offset_ms), "--codec", scene.codec]
        film += ["--clock-drift-ppm", str(scene.clock_drift_ppm)]
        film += ["--media2"] if scene.has_media2 else []
        for name in names:
            # An address of its own, as in the field: a hub does not repeat a login to a device that has refused it.
            address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
            log = self.logs / f"camera-{name.lower().replace(' ', '-')}.log"
            own = ["--address", address]
            own += [] if scene.clock_drift_ppm else ["--log", str(log.with_suffix(".sent.jsonl"))]
            self.cameras.append(CameraProgram(name, CAMERA_USER, self._password, log, *own, *film))
            self._stack.callback(self.cameras[-1].stop)
        for camera in self.cameras:
            camera.wait_ready()

    def start_central(self) -> None:
        """Start broker, central server and console; make the evidence desk's key."""
        folder = self.folder / "central"
        officer = self.folder / "officer"
        officer.mkdir(mode=0o700)
        identity, recipient = generate_identity()
        key_file = officer / "key.txt"
        key_file.touch(mode=0o600)
        key_file.write_bytes(
            b"# The evidence desk's key: whoever has it can open the clips.\n" + identity.reveal() + b"\n"
        )
        self.factory = make_identity("HUB.EXAMPLE", time.time_ns() // 1_000_000)
        self.identity.save_factory(self.factory)
        self.broker = start_broker(folder / "broker", self._certificates, COMMANDER, kind=self.scene.broker)
        self._stack.callback(self.broker.stop)
        store = Store(self.folder / "store", self.factory.hub_id, self.upload_token, self.authority.store)
        self.central = CentralServer(
            folder, self._certificates, self.authority, self.broker, store, {RECIPIENT: recipient}
        )
        self.central.enrolments.records[self.factory.hub_id] = self.factory.record
        self.central.start()
        self._stack.callback(self.central.stop)
        certificate, key = self._certificates.issue_client(folder, COMMANDER)
        hub, address = self.factory.hub_id, self._certificates.address
        self.console = Console(self.broker.port, self._certificates.pem, certificate, key, hub, address=address)
        self._stack.callback(self.console.stop)
        self.console.cosign = self.central.cosign
        self.console.tell_time = self.central.tell_time

    def start_hub(self, **settings: object) -> None:
        """Plug in the hub: its bridge and the real daemon, with a configuration file as an installer writes it.

        `settings` are further lines of that file.
        """
        hub = self.folder / "hub"
        self.bridge = BridgeProgram(hub, self.logs / "bridge.log")
        self._stack.callback(self.bridge.stop)
        password_file = hub / "camera-password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        config: dict[str, object] = {
            "data_dir": str(hub / "data"),
            "identity_dir": str(self.identity.folder),
            "key_dir": str(hub / "keys"),
            "cameras": {
                "login": {"user": CAMERA_USER, "password_file": str(password_file)},
                "interfaces": ["lo"],
                "search_s": 1.5,
                "search_every_s": 20.0,
            },
            "ring": {"size_mib": self.scene.ring_mib, "slab_mib": self.scene.slab_mib, "free_mib_min": 64},
            "bridge_socket": str(self.bridge.socket),
            "owner_page": {"is_on": False},  # unless asked for: there may be many sites on one machine
            "clock": "unsafe_assume_synchronised",  # a machine for trying things out may have no time server
        }
        self.config.write_text(yaml.safe_dump(config | settings, sort_keys=False))
        self.restart_hub()
        self._stack.callback(self._stop_hub)

    def _stop_hub(self) -> None:
        self.hub.stop()  # whichever runs now

    def restart_hub(self) -> None:
        """Start the daemon; also again after it was stopped or killed."""
        self.hub = HubProgram(self.config, self.logs / "hub.log")

    # ------------------------------------------------------- what people do
    def install(self) -> Presence:
        """Do what an installer does: scan the label, hold the claim code before camera 1, wait for the hub to enrol."""
        claim = make_claim(self.central.make_claim(self.factory.hub_id), self.factory.label_secret)
        self.cameras[0].show_code(claim, CODE_SHOWN_S)
        self.console.wait_presence(lambda hub: hub.state == "online", FOUND_S_MAX, "the hub to enrol")
        self.cameras[0].show_code("thank you", 0)
        hub = self.central.enrolments.evidence_keys[self.factory.hub_id]
        (self.folder / "officer" / "known_hubs").write_text(f"# hubs whose clips are believed\n{hub}\n")
        store = json.dumps(public_jwk(self.authority.store))
        (self.folder / "officer" / "known_stores").write_text(f"# stores whose receipts are believed\n{store}\n")
        return self.wait_cameras()

    def wait_cameras(self) -> Presence:
        """Wait until the hub has all cameras."""
        return self.console.wait_presence(
            lambda hub: hub.state == "online" and len(self.own(hub)) == len(self.cameras),
            FOUND_S_MAX,
            f"the hub to find {len(self.cameras)} cameras",
        )

    def own(self, hub: Presence) -> list[CameraPresence]:
        """Choose this site's cameras: all sites on one machine share its loopback, and a hub sees strangers' too."""
        names = {camera.ready.name for camera in self.cameras}
        return [camera for camera in hub.cameras if camera.name in names]

    def pair(self, mode: str = "opt_in", **claims: object) -> Presence:
        """Do what the owner does: press the button, scan the card, sign what is shared with whom."""
        self.owner = Owner(self.factory.hub_id)
        self.owner.write_key(self.owner_key)
        self.bridge.press_button()
        hub = self.console.wait_presence(lambda hub: bool(hub.pairing), 10, "the hub to look for an owner")
        jwk, enrolment = dict(public_jwk(self.owner.key)), read_enrolment(hub.pairing)
        statement = make_statement(jwk, self.factory.hub_id, self.factory.owner_secret, enrolment)
        self.console.publish("pair", statement)
        paired = self.console.wait_presence(lambda hub: hub.is_paired, 10, "the hub to accept its owner")
        self.allow(1, [camera.id for camera in self.own(paired)], mode=mode, **claims)
        return self.console.wait_presence(
            lambda hub: all(camera.state == "recording" for camera in self.own(hub)),
            FOUND_S_MAX,
            "the cameras to record",
        )

    def allow(self, version: int, cameras: Sequence[str], **claims: object) -> None:
        """Sign a policy and wait until the hub has it."""
        limits = {"window_s_max": self.scene.window_s_max, "ahead_s_max": 30}
        policy = self.owner.policy(_now(), version, **sharing_claims(self.authority, cameras, **limits | claims))
        self.console.publish("policy", policy.encode(), retain=True)
        self.console.wait_presence(lambda hub: hub.policy_version == version, 10, f"policy {version}")


def _now() -> WallTime:
    return WallTime(time.time_ns())
