"""One piece of memory, one borrower at a time."""

from __future__ import annotations

from agent.acquire.receive_memory import ReceiveMemory


class Note:
    """A borrower that writes its name, and reads what is there when it must give the memory back."""

    def __init__(self, memory: ReceiveMemory, name: bytes) -> None:
        self.memory, self.name, self.aside = memory, name, b""

    def write(self) -> bool:
        """Borrow, write, and return whether another one had the memory since."""
        was_away = self.memory.lend(self)
        self.memory.view[: len(self.name)] = self.name
        return was_away

    def put_aside(self) -> None:
        """Keep what was written."""
        self.aside = bytes(self.memory.view[: len(self.name)])


def test_a_borrower_keeps_what_it_had_before_the_next_one_writes() -> None:
    """Whoever comes first has nothing to take back; whoever stays is not asked to leave."""
    memory = ReceiveMemory(100, 4)
    first, second = Note(memory, b"first"), Note(memory, b"other")
    assert first.write()
    assert not first.write()
    assert first.aside == b""
    assert second.write()
    assert (first.aside, second.aside) == (b"first", b"")
    assert first.write()
    assert second.aside == b"other"


def test_there_is_more_to_read_than_to_write() -> None:
    """A header that is read at the last byte ends in the margin."""
    memory = ReceiveMemory(100, 4)
    assert (len(memory.view), len(memory.octets)) == (100, 104)
