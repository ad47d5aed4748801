"""The command line makes a hub, its label and a claim that this hub opens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioning.__main__ import main
from provisioning.claim import open_claim
from provisioning.label import read_label
from provisioning.store import IdentityStore


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, str]:
    """Run a command with `--json` and return what it says."""
    assert main([*(str(argument) for argument in arguments), "--json"]) == 0
    result: dict[str, str] = json.loads(capsys.readouterr().out)
    return result


def test_from_the_factory_to_a_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three commands take a hub from nothing to a code that it accepts."""
    made = run(capsys, "factory", "--out", tmp_path / "hub", "--host", "hub.example")
    identity = IdentityStore(tmp_path / "hub").load_factory()
    assert made["factory_key_sha256"] == identity.record.key_pin.hex()
    drawn = run(capsys, "label", tmp_path / "hub")
    assert identity.hub_id[:13] in Path(drawn["label"]).read_text()
    assert Path(drawn["owner_card"]).stat().st_mode & 0o077 == 0
    told = run(
        capsys, "claim", "--label-url", identity.label.url, "--server", "Enrol.Example:8443",
        "--code", "00" * 16, "--pin", "11" * 32, "--out", tmp_path / "claim.svg",
    )  # fmt: skip
    claim = open_claim(told["claim"], identity.label_secret, 0)
    assert (claim.host, claim.port, claim.server_pin) == ("enrol.example", 8443, b"\x11" * 32)
    assert Path(told["image"]).read_text().startswith("<?xml")


def test_the_factorys_output_holds_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the operator gets can be mailed around."""
    assert main(["factory", "--out", str(tmp_path), "--host", "hub.example"]) == 0
    identity = IdentityStore(tmp_path).load_factory()
    out = capsys.readouterr().out
    assert identity.hub_id in out
    for label in (identity.label, identity.owner_card):
        assert read_label(label.url).url[-26:] not in out


def test_mistakes_are_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong label, server, code or folder ends with exit code 1 and one line that says what to do."""
    assert main(["factory", "--out", str(tmp_path / "hub"), "--host", "hub.example"]) == 0
    identity = IdentityStore(tmp_path / "hub").load_factory()
    claim = ["claim", "--out", str(tmp_path / "c.svg"), "--pin", "11" * 32]
    mistakes = [
        ["label", str(tmp_path)],
        ["label", str(tmp_path / "hub"), "--out", str(tmp_path / "missing")],
        ["factory", "--out", str(tmp_path / "hub"), "--host", "hub.example"],
        [*claim, "--label-url", identity.owner_card.url, "--server", "a:1", "--code", "00" * 16],
        [*claim, "--label-url", "https://example.org", "--server", "a:1", "--code", "00" * 16],
        [*claim, "--label-url", identity.label.url, "--server", "a", "--code", "00" * 16],
        [*claim, "--label-url", identity.label.url, "--server", "a:99999999999", "--code", "00" * 16],
        [*claim, "--label-url", identity.label.url, "--server", "a:1", "--code", "zz"],
    ]
    capsys.readouterr()
    for arguments in mistakes:
        assert main(arguments) == 1
        assert len(capsys.readouterr().err.splitlines()) == 1
