"""What of others' cosignatures a hub keeps: nothing that it has not signed itself, nothing twice, not too much."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.errors import BadInputError
from agent.evidence.audit import Checkpoint, sign_checkpoint
from agent.evidence.cosignature import cosign
from agent.evidence.witnessed import ROOTS_MAX, Witnessed
from tests.simulators.audit_log import HUB, KEY, NOW, SERVER_KEY, server

SERVER = server().public
OWNER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


def checkpoint(size: int, root: bytes = bytes(32)) -> Checkpoint:
    """Return a checkpoint of the hub."""
    return Checkpoint("hub-1", size, root)


def cosigned(size: int, root: bytes = bytes(32), key: Ed25519PrivateKey = KEY) -> str:
    """Sign and cosign it."""
    return cosign(sign_checkpoint(checkpoint(size, root), key), SERVER.name, SERVER_KEY, NOW)


def test_a_cosigned_checkpoint_of_this_log_is_kept_once() -> None:
    """Then only one that covers more is new."""
    witnessed = Witnessed(HUB, [checkpoint(3), checkpoint(5)], [])
    (kept,) = witnessed.take(cosigned(3), [SERVER])
    witnessed.keep(kept)
    assert (kept, witnessed.size_seen(SERVER)) == (cosigned(3), 3)
    assert witnessed.take(cosigned(3), [SERVER]) == []
    assert witnessed.take(cosigned(5), [SERVER]) == [cosigned(5)]
    assert witnessed.take(cosigned(5), []) == []


@pytest.mark.parametrize("note", [cosigned(3, bytes(31) + b"x"), cosigned(4), "junk"])
def test_a_checkpoint_that_is_not_this_logs_is_refused(note: str) -> None:
    """Another root, a size that was never signed: though the hub's own key had signed it, it is another log."""
    with pytest.raises(BadInputError):
        Witnessed(HUB, [checkpoint(3)], []).take(note, [SERVER])


def test_only_the_lines_that_hold_are_kept() -> None:
    """Lines of strangers, and those in the names of hub and witness that do not verify, are dropped everywhere."""
    good = cosigned(3)
    text, lines = good.split("\n\n")
    own, theirs = lines.splitlines()
    broken = [line[:-12] + "AAAAAAAAAA==" for line in (own, theirs)]
    crowded = cosign(f"{text}\n\n" + "\n".join([*broken, own, theirs]) + "\n", "stranger", OWNER_KEY, NOW)
    assert Witnessed(HUB, [checkpoint(3)], []).take(crowded, [SERVER]) == [good]


def test_another_hubs_checkpoint_is_refused() -> None:
    """The hub's own signature must be there."""
    with pytest.raises(BadInputError, match="not signed"):
        Witnessed(HUB, [checkpoint(3)], []).take(cosigned(3, key=Ed25519PrivateKey.generate()), [SERVER])


def test_what_was_stored_counts_after_a_restart() -> None:
    """How far each witness has seen is read from what was kept."""
    assert Witnessed(HUB, [], [cosigned(9), cosigned(4)]).size_seen(SERVER) == 9


def test_thinning_keeps_the_newest_of_each() -> None:
    """Half of the rest goes."""
    own = cosign(sign_checkpoint(checkpoint(1), KEY), "owner", OWNER_KEY, NOW)
    witnessed = Witnessed(HUB, [], [own, *(cosigned(size) for size in range(2, 12))])
    left = witnessed.thin()
    assert own in left
    assert cosigned(11) in left
    assert len(left) == 7


def test_memory_is_bounded() -> None:
    """Of very many checkpoints the newest can still be cosigned."""
    witnessed = Witnessed(HUB, (checkpoint(size) for size in range(ROOTS_MAX + 10)), [])
    assert witnessed.take(cosigned(ROOTS_MAX + 9), [SERVER])
    with pytest.raises(BadInputError):
        witnessed.take(cosigned(9), [SERVER])
