"""Our sealed files against typage, the age project's JavaScript implementation, which knows both kinds of keys."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.crypto import Secret
from agent.deliver.age import PIECE_BYTES, generate_identity, recipient_of
from agent.deliver.seal import AgeWriter
from agent.deliver.unseal import open_age

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".cache" / "typage"
KINDS = pytest.mark.parametrize("is_post_quantum", [False, True], ids=["X25519", "post-quantum"])


def typage(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run the package that ./check has installed."""
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs npm"
    assert (INSTALLED / "node_modules/age-encryption").is_dir(), "npm's age-encryption is missing: ./check installs it"
    script = (HERE / "typage" / "typage.js").read_bytes()
    command = [node, "--input-type=module", "-", *arguments]
    return subprocess.run(command, input=script, cwd=INSTALLED, capture_output=True, check=False, timeout=60)


def seal(path: Path, content: bytes, recipients: list[str]) -> None:
    """Seal `content` into a file."""
    with path.open("wb") as file:
        writer = AgeWriter(recipients, file.write)
        writer.write(content)
        writer.finish()


@KINDS
def test_a_stranger_opens_what_we_seal(tmp_path: Path, is_post_quantum: bool) -> None:  # noqa: FBT001 - a parameter
    """Each of two recipients opens the file with it, and a third does not."""
    officer, owner, stranger = (generate_identity(is_post_quantum=is_post_quantum) for _ in range(3))
    content = os.urandom(2 * PIECE_BYTES + 77)
    sealed, out = tmp_path / "clip.age", tmp_path / "clip"
    seal(sealed, content, [officer[1], owner[1]])
    for identity, _ in (officer, owner):
        done = typage("open", sealed, out, identity.reveal().decode())
        assert done.returncode == 0, done.stderr.decode()
        assert out.read_bytes() == content
        out.unlink()
    assert b"no identity matched" in typage("open", sealed, out, stranger[0].reveal().decode()).stderr


@KINDS
def test_we_open_what_a_stranger_seals(tmp_path: Path, is_post_quantum: bool) -> None:  # noqa: FBT001 - a parameter
    """Files it seals to two of our recipients open with either of their identities."""
    pairs = [generate_identity(is_post_quantum=is_post_quantum) for _ in range(2)]
    content = os.urandom(PIECE_BYTES)
    plain, sealed = tmp_path / "clip", tmp_path / "clip.age"
    plain.write_bytes(content)
    done = typage("seal", plain, sealed, *(recipient for _, recipient in pairs))
    assert done.returncode == 0, done.stderr.decode()
    for identity, _ in pairs:
        assert b"".join(open_age(io.BytesIO(sealed.read_bytes()), identity)) == content


def test_a_stranger_s_identity_is_one_of_ours() -> None:
    """A post-quantum identity that it makes has, for us, the recipient that it says."""
    identity, recipient = typage("new").stdout.decode().split()
    assert identity.startswith("AGE-SECRET-KEY-PQ-1")
    assert recipient_of(Secret(identity)) == recipient
