"""The owner's copy on the whole way: sealed with the clip, stated, written down, opened by the owner's own key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clip_job import JobState
from agent.crypto import Secret, sha256_hex
from agent.deliver.age import generate_identity
from agent.errors import BadInputError
from agent.evidence.note import verifier_of
from agent.opener import open_clip
from agent.opening.words import Opened, describe
from tests.simulators.export_site import EVIDENCE_KEY, HUB, Process, Site, export_site, run
from tests.simulators.signing_store import contents_of

IDENTITY, RECIPIENT = generate_identity()
QUANTUM_IDENTITY, QUANTUM_RECIPIENT = generate_identity(is_post_quantum=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Make a site that cuts parts of half a second."""
    with export_site(tmp_path, past_s=0.5) as made:
        yield made


def delivered(site: Site, command: str = "c1") -> None:
    """Let an officer have a clip."""

    async def life(process: Process) -> None:
        process.exporter.take(site.command(command))
        assert (await process.until_ended(command)).status is JobState.SUCCEEDED

    run(site, life)


def opened_by(site: Site, folder: Path, identity: Secret) -> Opened:
    """Fetch the clip from the store and open it with a key."""
    folder.mkdir()
    (folder / "known_hubs").write_text(f"{verifier_of(HUB, EVIDENCE_KEY)}\n")
    (folder / "key.txt").write_bytes(identity.reveal() + b"\n")
    clip = folder / "clip"
    clip.mkdir()
    for name, held in contents_of(site.store).items():
        (clip / f"{name}{'.json' if name.endswith('manifest') else '.mp4.age'}").write_bytes(held[-1])
    return open_clip(clip, folder / "key.txt", folder / "video.mp4")


def test_the_owner_opens_what_the_officer_was_given(site: Site, tmp_path: Path) -> None:
    """By a key that the policy names; manifest, report and audit log say so, part by part."""
    site.allow(owner_copy=[QUANTUM_RECIPIENT, RECIPIENT])
    delivered(site)
    clip = opened_by(site, tmp_path / "owner", IDENTITY)
    word = sha256_hex(RECIPIENT.encode())
    assert len(clip.manifest.parts) > 1
    assert {part.owner_copy for part in clip.manifest.parts} == {word}
    assert "has a copy: can open every part" in describe(clip)
    assert {line["detail"].get("owner_copy") for line in site.audited("sealed")} == {word}
    assert site.delivered()  # and the officer can


def test_the_owners_other_key_opens_nothing(site: Site, tmp_path: Path) -> None:
    """Kinds are never mixed: a post-quantum key beside classical ones would protect nothing."""
    site.allow(owner_copy=[QUANTUM_RECIPIENT])
    delivered(site)
    with pytest.raises(BadInputError, match="not sealed to"):
        opened_by(site, tmp_path / "owner", QUANTUM_IDENTITY)
    assert {line["detail"]["owner_copy"] for line in site.audited("sealed")} == {"other_kind"}


def test_without_the_owners_wish_nobody_else_can_open_it(site: Site, tmp_path: Path) -> None:
    """No copy, and not a word of one."""
    delivered(site)
    with pytest.raises(BadInputError, match="not sealed to"):
        opened_by(site, tmp_path / "owner", IDENTITY)
    assert not any("owner_copy" in json.dumps(line) for line in site.audit_lines())


def test_a_key_that_the_policy_names_no_more_gets_no_more(site: Site) -> None:
    """The policy of the moment in which a part is sealed decides."""
    site.allow(owner_copy=[RECIPIENT])
    delivered(site, "c1")
    site.allow()
    delivered(site, "c2")
    copies = {line["ref"]: line["detail"].get("owner_copy", "") for line in site.audited("sealed")}
    assert copies == {"c1": sha256_hex(RECIPIENT.encode()), "c2": ""}
