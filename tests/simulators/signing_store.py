"""The stores' receipts: signed by the store's key for what it really holds, whatever the hub believes."""

from __future__ import annotations

import base64
import hashlib

from agent.clock import SECOND_NS, WallTime
from agent.deliver.part import Receipt
from agent.deliver.receipt import sign_receipt
from agent.signing import SigningKey
from tests.simulators.put_server import PutStore
from tests.simulators.tus_server import TusStore

STORED_AT = WallTime(1_795_000_000 * SECOND_NS)


class SignedReceipts(dict[str, bytes]):
    """Put in the place of a store's `receipts`; a part without all its bytes has none."""

    def __init__(self, store: TusStore | PutStore, hub: str, key: SigningKey) -> None:
        super().__init__()
        self._store, self._hub, self._key = store, hub, key
        self.lies = 0  # so many receipts are about other bytes
        self.withheld = False
        self.withheld_of = ""  # of parts whose name ends so; empty: of none
        self.only_of = ""  # there are receipts of this part and no other; empty: of all
        self.late = 0  # so many times there is none yet
        self.mistaken = 0  # so many are the receipt of another part
        self.asked: list[str] = []

    def get(self, part: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]  # one use only
        """Sign what the store holds under this name, if it holds it."""
        self.asked.append(part)
        whole = contents_of(self._store).get(part)
        if not whole or self.withheld or (self.withheld_of and part.endswith(self.withheld_of)):
            return default
        if self.only_of not in {"", part}:
            return default
        if self.late:
            self.late -= 1
            return default
        if self.mistaken:
            self.mistaken -= 1
            part += "1"
        self.lies -= self.lies > 0
        content = whole[-1] + (b"!" if self.lies else b"")
        held = Receipt(part, len(content), hashlib.sha256(content).hexdigest(), STORED_AT, "")
        return sign_receipt(held, self._hub, self._key).encode()


def contents_of(store: TusStore | PutStore) -> dict[str, list[bytes]]:
    """Return all that arrived whole, by the part's name; more than one if a part was uploaded more than once."""
    if isinstance(store, PutStore):
        return store.whole
    whole: dict[str, list[bytes]] = {}
    for upload, length, metadata in zip(store.uploads, store.lengths, store.metadata, strict=True):
        if len(upload) == length:
            whole.setdefault(name_of(metadata), []).append(bytes(upload))
    return whole


def name_of(metadata: str) -> str:
    """Read the part's name out of `Upload-Metadata`."""
    fields = dict(field.split(" ") for field in metadata.split(","))
    return base64.b64decode(fields["part"]).decode()
