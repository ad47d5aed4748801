"""A small text is there whole, or as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_bridge.lasting_file import write_lasting


def test_the_last_text_is_there_alone(tmp_path: Path) -> None:
    """Nothing else stays in the folder, also of a write that a power cut left."""
    (tmp_path / ".floor.unfinished").write_text("to")
    for text in ("1", "2"):
        write_lasting(tmp_path / "floor", text)
        assert (tmp_path / "floor").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["floor"]
    with pytest.raises(OSError, match="gone"):
        write_lasting(tmp_path / "gone" / "floor", "1")
