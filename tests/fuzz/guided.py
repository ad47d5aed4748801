"""One target under Atheris, which sees what code an input reaches and goes on from those that reach more.

libFuzzer never returns, so `long.py` runs this as a process: `python -m tests.fuzz.guided TARGET CORPUS FINDS SECONDS`.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Final

import atheris

from tests.fuzz.edits import BYTES_MAX

with atheris.instrument_imports(include=["agent"]):
    from agent.errors import BadInputError
    from tests.fuzz.targets import TARGETS

INPUT_S_MAX: Final = 20  # instrumented code is slow; `long.py` asks for the processor time again without it


def main() -> None:
    """Run until the time is over or something broke; what broke lies in FINDS then."""
    name, corpus, finds, seconds = sys.argv[1:]
    check = TARGETS[name].check

    def one_input(raw: bytes) -> None:
        with contextlib.suppress(BadInputError):
            check(raw)

    limits = [f"-max_total_time={seconds}", f"-max_len={BYTES_MAX}", f"-timeout={INPUT_S_MAX}", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], corpus, f"-artifact_prefix={finds}/", "-print_final_stats=1", *limits], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
