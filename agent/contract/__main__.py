"""Write the contract anew: `python -m agent.contract`, from the source. `--check` says whether it is still true."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from agent.contract import asyncapi, openapi
from agent.contract.examples import examples
from agent.contract.shapes import schemas
from agent.contract.vectors import listing

FOLDER: Final = Path(__file__).parent
VECTORS: Final = FOLDER.parents[1] / "tests" / "vectors"


def files() -> dict[str, str]:
    """Return every file of the contract that is made, by its name in this folder."""
    release = version("transom")
    made: dict[str, Any] = {
        "asyncapi.json": asyncapi.document(release),
        "openapi.json": openapi.document(release),
        "vectors.json": listing(VECTORS),
    }
    made |= {f"schemas/{name}.json": schema for name, schema in schemas().items()}
    made |= {f"examples/{one.name}.json": one.written() for one in examples()}
    return {name: json.dumps(content, indent=1, ensure_ascii=True) + "\n" for name, content in made.items()}


def present(folder: Path) -> dict[str, str]:
    """Return what is there now."""
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.json")}


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Write, or compare; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m agent.contract")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if code and contract differ")
    options = parser.parse_args(arguments)
    made, there = files(), present(folder)
    different = sorted(name for name in {*made, *there} if made.get(name) != there.get(name))
    for name in different:
        print(f"{'differs' if options.check else 'written' if name in made else 'removed'}: {name}")
        if options.check:
            continue
        if name not in made:
            (folder / name).unlink()
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(made[name])
    return 1 if options.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
