"""A small text that a power cut leaves as it was or as it should be."""

from __future__ import annotations

import os
from pathlib import Path


def write_lasting(path: Path, text: str) -> None:
    """Write a file; it is on the disk when this returns. Raises OSError."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # else a power cut brings the old text back
    finally:
        os.close(folder)
