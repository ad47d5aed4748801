"""A hub's renewal in a process of its own, which dies (SIGKILL) right before its nth change of the disk.

`python -m tests.simulators.renewing_child FOLDER SERVER N` goes on with whatever renewal the identity folder has, as a
start of the hub does, with a broker that takes the new pair; SERVER is a file with the `RenewalServer` as JSON. It
prints how many changes of the disk there were. N = 0: it lives.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from provisioning.credentials import CredentialStore, RenewalStage
from provisioning.enrolment import RenewalServer
from provisioning.renewal_https import RenewalDesk
from provisioning.store import IdentityStore

CHANGES = ("os.rename", "os.remove")


def go_on(folder: Path, server: RenewalServer) -> None:
    """Renew and confirm, from wherever the folder is."""
    credentials = CredentialStore(folder)
    desk = RenewalDesk(IdentityStore(folder).load_factory(), credentials, server)
    stage = credentials.stage()
    if stage in {RenewalStage.SETTLED, RenewalStage.ASKED}:
        desk.ask(int(time.time()))
        stage = RenewalStage.ON_TRIAL
    if stage is RenewalStage.ON_TRIAL:
        credentials.promote()
    desk.confirm()


def main(folder: Path, server: RenewalServer, deadly: int) -> None:
    """Renew, and die on the way."""
    changes = 0

    def heard(event: str, arguments: Iterable[object]) -> None:
        nonlocal changes
        is_made = event == "open" and str(folder) in str(next(iter(arguments))) and ".unfinished" in str(arguments)
        if event in CHANGES or is_made:
            changes += 1
            if changes == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(heard)
    go_on(folder, server)
    print(changes)  # noqa: T201 - its one answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=RenewalServer), int(sys.argv[3]))
