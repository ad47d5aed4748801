"""The list of all test vectors: where each is, what it is about, what must come of it; the files are the tests' own.

Rules of this file: one set of vectors for the hub and for whoever writes the other side; here they are only listed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

NOT_OF_THE_CONTRACT: Final = frozenset({"asyncapi", "buffer"})
"""A published schema, and what lies on the hub's own disk."""
_ANSWERS: Final = ("expect", "outcome", "is_good", "first_fault")


def listing(folder: Path) -> dict[str, Any]:
    """List the vectors in `tests/vectors`, by file."""
    files = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).as_posix()
        if name.partition("/")[0] in NOT_OF_THE_CONTRACT:
            continue
        content = path.read_bytes()
        found = list(_vectors(json.loads(content), ""))
        if found:
            files.append({"file": name, "sha256": hashlib.sha256(content).hexdigest(), "vectors": found})
    return {
        "about": "In tests/vectors of the source. `at` is a JSON pointer; `expect` is what must come of it, in a word.",
        "count": sum(len(file["vectors"]) for file in files),
        "files": files,
    }


def _vectors(value: Any, pointer: str) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    """Find what has a name or says what it is about, wherever it stands."""
    if isinstance(value, dict):
        about = value.get("why") or value.get("about") or value.get("name")
        if isinstance(about, str) and (pointer or "expect" in value):
            yield _vector(value, about, pointer)
        else:
            for name, inner in value.items():
                yield from _vectors(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _vectors(inner, f"{pointer}/{number}")


def _vector(value: dict[str, Any], about: str, pointer: str) -> dict[str, Any]:
    vector: dict[str, Any] = {"at": pointer, "about": about}
    answer = next((value[name] for name in _ANSWERS if isinstance(value.get(name), (str, bool, int))), None)
    if value.get("failure"):
        answer = f"{answer}: {value['failure']}"
    return vector if answer is None else vector | {"expect": answer}
