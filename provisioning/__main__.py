"""The factory's and the installer's command line: make a hub, print its label and card, make a claim code."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from provisioning.claim import CLAIM_LIFETIME_S, Claim, make_claim
from provisioning.errors import BadInputError, ProvisioningError
from provisioning.factory import make_identity
from provisioning.label import LabelKind, label_svg, read_label
from provisioning.qr_drawing import draw_svg
from provisioning.store import IdentityStore

EXIT_FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; prints text, or one JSON object with `--json`. Returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        result: dict[str, str] = options.run(options)
    except ProvisioningError as error:
        print(f"transom-provision: {error}", file=sys.stderr)
        return EXIT_FAILED
    except OSError as error:
        print(f"transom-provision: {error.filename}: {error.strerror}", file=sys.stderr)
        return EXIT_FAILED
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' ') + ':':<22}{value}")
    return 0


def _factory(options: argparse.Namespace) -> dict[str, str]:
    identity = make_identity(options.host, time.time_ns() // 1_000_000, options.hub_id)
    IdentityStore(options.out).save_factory(identity)
    record = identity.record
    return {"hub_id": record.hub_id, "factory_key_sha256": record.key_pin.hex(), "identity_folder": str(options.out)}


def _label(options: argparse.Namespace) -> dict[str, str]:
    identity = IdentityStore(options.folder).load_factory()
    out = options.out or options.folder
    for name, label in (("label.svg", identity.label), ("owner-card.svg", identity.owner_card)):
        _write_private(out / name, label_svg(label))
    return {"hub_id": identity.hub_id, "label": str(out / "label.svg"), "owner_card": str(out / "owner-card.svg")}


def _claim(options: argparse.Namespace) -> dict[str, str]:
    label = read_label(options.label_url)
    if label.kind is not LabelKind.LABEL:
        raise BadInputError("that is the owner card", cure="scan the label on the hub's outside")
    host, _, port = options.server.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise BadInputError("--server is HOST:PORT")
    expires_s = int(time.time()) + CLAIM_LIFETIME_S
    claim = Claim(host.lower(), int(port[:6]), _hex(options.code), _hex(options.pin), expires_s)
    text = make_claim(claim, label.secret)
    _write_private(options.out, draw_svg(text))
    return {"claim": text, "hub_id": label.hub_id, "image": str(options.out)}


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise BadInputError("--code and --pin are hexadecimal") from error


def _write_private(path: Path, content: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(content)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="transom-provision", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object")
    commands = parser.add_subparsers(required=True)

    factory = commands.add_parser("factory", parents=[shared], help="make a new hub's identity folder")
    factory.add_argument("--out", type=Path, required=True, metavar="DIR")
    factory.add_argument("--host", required=True, metavar="HUB.EXAMPLE", help="where the phone apps live")
    factory.add_argument("--hub-id", metavar="ULID", help="instead of a new one")
    factory.set_defaults(run=_factory)

    label = commands.add_parser("label", parents=[shared], help="draw the label and the owner card (both are secret)")
    label.add_argument("folder", type=Path, metavar="DIR")
    label.add_argument("--out", type=Path, metavar="DIR", help="where to write them; default: the identity folder")
    label.set_defaults(run=_label)

    claim = commands.add_parser("claim", parents=[shared], help="make a claim code, as an installer's app does")
    claim.add_argument("--label-url", required=True, metavar="URL", help="the text of the label's code")
    claim.add_argument("--server", required=True, metavar="HOST:PORT")
    claim.add_argument("--code", required=True, metavar="HEX", help="the server's one-use code, 16 bytes")
    claim.add_argument("--pin", required=True, metavar="HEX", help="SHA-256 of the server key's SubjectPublicKeyInfo")
    claim.add_argument("--out", type=Path, default=Path("claim.svg"), metavar="FILE")
    claim.set_defaults(run=_claim)
    return parser


if __name__ == "__main__":
    sys.exit(main())
