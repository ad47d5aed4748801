"""Write the command vectors: `python -m tests.vectors.command.make`. Same keys, same times, same bytes every run."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from agent.clock import rfc3339
from tests.vectors.command.case import Case
from tests.vectors.command.forgeries import CASES
from tests.vectors.command.scene import AUDIENCE, trust_claims

FOLDER = Path(__file__).parent


def vector(case: Case) -> str:
    """Write one case as a vector file; `trust` holds only what differs from `trust.json`."""
    usual = trust_claims()
    members = {
        "about": case.about,
        "expect": case.expect,
        "hub": AUDIENCE.hub,
        "epoch": AUDIENCE.epoch,
        "now": rfc3339(case.now),
        "is_clock_trusted": case.is_clock_trusted,
        "trust": {name: claim for name, claim in case.trust.items() if usual.get(name) != claim},
        "message_base64": base64.b64encode(case.message).decode(),
        "append_spaces": case.spaces,
    }
    return json.dumps(members, indent=1) + "\n"


def files() -> dict[str, str]:
    """Return every file of this folder that is made, by name."""
    made = {f"{name}.vector.json": vector(case) for name, case in CASES.items()}
    return {**made, "trust.json": json.dumps(trust_claims(), indent=1) + "\n"}


if __name__ == "__main__":
    for file_name, text in files().items():
        (FOLDER / file_name).write_text(text)
