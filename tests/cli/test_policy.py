"""`transom policy explain`: a policy of a file, signed or not, in words or as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.__main__ import main
from tests.vectors.command.scene import NOW, OWNER


def test_claims_and_a_signed_policy_are_explained_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an owner is about to sign, and what a hub was sent."""
    signed = tmp_path / "policy.jws"
    claims = {"mode": "ask_first", "zone": "Europe/Berlin", "schedule": [{"mode": "sharing_off", "days": ["sun"]}]}
    signed.write_text(OWNER.policy(NOW, 7, **claims) + "\n")
    plain = tmp_path / "policy.json"
    plain.write_text(json.dumps({"hub": OWNER.hub, "version": 7, "iat": 0, **claims}))
    assert main(["policy", "explain", str(signed), "--at", "2026-11-22T12:00:00Z"]) == 0
    words = capsys.readouterr().out
    assert "At 2026-11-22T12:00:00.000Z: recorded, never shared" in words
    assert main(["policy", "explain", str(plain), "--at", "2026-11-22T12:00:00Z"]) == 0
    assert capsys.readouterr().out == words
    assert main(["policy", "explain", str(plain), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "missing required field"),
        ("a.b.c", "base64url"),
        ("\xff", "JWS"),
        ('{"hub":"h","version":1,"iat":0,"quiet":[{}]}', "time zone"),
        ('{"hub":"h","version":1,"iat":0,"mode":"paused"}', "Invalid enum value"),
    ],
)
def test_what_a_hub_would_refuse_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    """The exit code is 1, and the words say what is wrong with the policy."""
    file = tmp_path / "policy"
    file.write_text(text)
    assert main(["policy", "explain", str(file)]) == 1
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do about it."""
    assert main(["policy", "explain", str(tmp_path / "none")]) == 2
    assert "give the file" in capsys.readouterr().err
