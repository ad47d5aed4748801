"""`transom audit`: what a person asks of the log of everything the hub decided, on the hub or of a copy anywhere."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.auditor import LogFolder, open_log, prove_entry, verify_audit, verify_proof
from agent.clock import SECOND_NS, WallTime, parse_rfc3339, rfc3339
from agent.config import Config, load
from agent.errors import BadInputError, ConfigurationError, UnavailableError
from agent.evidence.audit import CHECKPOINTS_NAME, LOG_NAME, Entry
from agent.evidence.note import Verifier, parse_verifier, verifier_of
from agent.evidence.stamp import STAMPS_NAME
from agent.evidence.witnessed import COSIGNATURES_NAME
from agent.opening.plain import as_json, printable
from agent.outside.keystore import Keystore
from provisioning.store import IdentityStore

Options = argparse.Namespace
Say = Callable[[str], object]
KEY_NAME: Final = "key"
README_NAME: Final = "README.txt"
_AGO: Final = re.compile(r"([0-9]{1,5})([mhd])")
_AGO_S: Final = {"m": 60, "h": 3600, "d": 24 * 3600}
_README: Final = """\
The audit log of hub {log}: everything it decided, one line each in {log_name}.

{checkpoints} are the hub's signatures over it, {cosignatures} those of others who watch that it only grows,
`stamps`, if there, time stamps by RFC 3161. `{key}`, if there, is the hub's key as this copy has it: compare it with
the one that enrolment registered, or with the hub's state message.

    transom audit verify . --key "$(cat {key})"
    transom audit list . --kind job

Without Transom: the lines are the leaves of a Merkle tree as in RFC 6962, the signatures are C2SP checkpoints
(https://c2sp.org/tlog-checkpoint) and cosignatures (https://c2sp.org/tlog-cosignature).
"""


def verify(options: Options, say: Say) -> int:
    """Check a whole log."""
    folder, key = _folder(options), options.key or _own_key(options)
    if not key:
        raise ConfigurationError("by which key?", cure="give --config FILE, or --key LINE")
    verdict = verify_audit(folder, key, options.witness, _read(options.tsa_ca) if options.tsa_ca else b"")
    if options.json:
        say(as_json(verdict))
    elif verdict.is_intact:
        say(f"The log of hub {verdict.log} is intact: {verdict.entries} entries, {verdict.signed_entries} signed.")
        for seen in verdict.seen_by:
            say(f"Cosigned by {seen.witness}: {seen.entries} entries, {seen.at}.")
        if options.tsa_ca:
            stamped = verdict.stamped
            say(f"Time stamped: {stamped.entries} entries, {stamped.at}." if stamped else "There is no time stamp.")
    else:
        say(f"The log of hub {verdict.log} is NOT intact: {printable(verdict.fault)}")
    return 0 if verdict.is_intact else 1


def list_entries(options: Options, say: Say) -> int:
    """Show entries as they stand there; `verify` says whether to believe them."""
    found = list(_chosen(open_log(_folder(options)), options))
    if options.json:
        rows = [{"number": number, **msgspec.to_builtins(entry)} for number, entry in found]
        say(as_json(rows))
        return 0
    for number, entry in found:
        detail = "  ".join(f"{name}={value}" for name, value in entry.detail.items())
        say(f"{number:>6}  {entry.at[:19]}Z  {entry.kind:<15} {printable(entry.ref):<27} {printable(detail)}".rstrip())
    return 0


def prove(options: Options, say: Say) -> int:
    """Write one entry with the way to a signed root."""
    key = _own_key(options, is_needed=False)
    proof = prove_entry(_folder(options), options.number, parse_verifier(key) if key else None)
    if options.output is None:
        say(proof.removesuffix("\n"))
    else:
        _write(options.output, proof.encode())
    return 0


def verify_proof_file(options: Options, say: Say) -> int:
    """Check such a file."""
    proven, seen_by = verify_proof(options.proof, options.key, options.witness)
    if options.json:
        entry = msgspec.to_builtins(proven.entry)
        told = {"log": proven.checkpoint.origin, "number": proven.index, "entry": entry, "seen_by": seen_by}
        say(as_json(told))
        return 0
    log, size = proven.checkpoint.origin, proven.checkpoint.size
    say(f"Entry {proven.index} of the log of hub {log}, which had {size} entries when it was signed:")
    say(f"{proven.entry.at}  {proven.entry.kind}  {printable(proven.entry.ref)}")
    for name, value in proven.entry.detail.items():
        say(f"  {name}: {printable(str(value))}")
    for seen in seen_by:
        say(f"Cosigned by {seen.witness} at {seen.at}.")
    return 0


def export(options: Options, say: Say) -> int:
    """Copy a log into a new folder, for somebody who has no access to the hub."""
    log, output, key = open_log(_folder(options)), options.output, options.key or _own_key(options, is_needed=False)
    try:
        output.mkdir(mode=0o700)
        for name in (STAMPS_NAME, COSIGNATURES_NAME, CHECKPOINTS_NAME):  # before the log, which goes on growing
            if (log.folder / name).exists():
                shutil.copyfile(log.folder / name, output / name)
        with (output / LOG_NAME).open("wb") as file:
            file.writelines(line + b"\n" for line in log.lines())
    except FileExistsError:
        raise ConfigurationError(f"{output} exists already", cure="choose another name") from None
    except OSError as error:
        raise UnavailableError(f"{output} cannot be written ({error.strerror})") from error
    if key:
        _write(output / KEY_NAME, f"{key.strip()}\n".encode())
    names = {"log_name": LOG_NAME, "checkpoints": CHECKPOINTS_NAME, "cosignatures": COSIGNATURES_NAME, "key": KEY_NAME}
    _write(output / README_NAME, _README.format(log=key.partition("+")[0] or "(see the checkpoints)", **names).encode())
    say(f"{output} holds the log; {README_NAME} in it says how to check it.")
    return 0


def add_parsers(audit: Any, say: Say) -> None:  # noqa: ANN401 - argparse's subparsers have no public type
    """Describe the commands to argparse; `call` of what it parses runs one."""

    def command(name: str, call: Callable[[Options, Say], int], words: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = audit.add_parser(name, help=words)
        parser.set_defaults(call=partial(_run, call, say))
        return parser

    verifying = command("verify", verify, "check that no entry was changed or removed")
    listing = command("list", list_entries, "show the entries")
    proving = command("prove", prove, "show to others that one entry is in the log")
    exporting = command("export", export, "copy the log for somebody who has no access to the hub")
    for parser in (verifying, listing, exporting):
        parser.add_argument("directory", type=Path, nargs="?", help="a copy of a hub's audit folder")
    proving.add_argument("number", type=int, metavar="N", help="as `list` shows it, from 0")
    proving.add_argument("directory", type=Path, nargs="?", help="a copy of a hub's audit folder")
    for parser in (verifying, listing, proving, exporting):
        parser.add_argument("--config", type=Path, metavar="FILE", help="on the hub itself, instead")
    checking = command("verify-proof", verify_proof_file, "check what `prove` wrote")
    checking.add_argument("proof", type=Path, metavar="FILE")
    checking.add_argument("--key", required=True, metavar="LINE", help="the hub's verifier line (name+hash+key)")
    for parser in (verifying, exporting):
        parser.add_argument("--key", metavar="LINE", help="the hub's verifier line (name+hash+key)")
    for parser in (verifying, checking):
        parser.add_argument(
            "--witness", metavar="LINE", action="append", default=[], help="who has cosigned; repeatable"
        )
    verifying.add_argument("--tsa-ca", type=Path, metavar="FILE.pem", help="by whom time stamps must be, if any")
    for parser in (verifying, listing, checking):
        parser.add_argument("--json", action="store_true", help="for programs")
    proving.add_argument("-o", "--output", type=Path, metavar="FILE.tlog-proof")
    exporting.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    listing.add_argument("--since", metavar="TIME", help="RFC 3339, a date, or 30m, 24h, 7d before now")
    listing.add_argument("--kind", action="append", default=[], help="such as job or refused; repeatable")
    listing.add_argument("--job", metavar="ID", help="what the log says about one command")
    listing.add_argument("--last", type=int, metavar="N", help="only the newest N of these")


def _run(call: Callable[[Options, Say], int], say: Say, options: Options) -> int:
    return call(options, say)


def _chosen(log: LogFolder, options: Options) -> Iterator[tuple[int, Entry]]:
    since = _moment(options.since) if options.since else None
    found = [
        (number, entry)
        for number, entry in log.entries()
        if (since is None or parse_rfc3339(entry.at) >= since)
        and (not options.kind or entry.kind in options.kind)
        and (options.job is None or entry.ref == options.job)
    ]
    yield from found[-options.last :] if options.last else found


def _moment(text: str) -> WallTime:
    if match := _AGO.fullmatch(text):
        return WallTime(time.time_ns() - int(match[1]) * _AGO_S[match[2]] * SECOND_NS)
    try:
        return parse_rfc3339(text if "T" in text else f"{text}T00:00:00Z")
    except BadInputError as error:
        cure = f"write {rfc3339(WallTime(time.time_ns()))[:10]}, a whole RFC 3339 time in UTC, or 24h"
        raise ConfigurationError(f"--since: {error}", cure=cure) from error


def _folder(options: Options) -> Path:
    if options.config:
        return load(options.config).data_dir / "audit"
    if options.directory is None:
        raise ConfigurationError("which log?", cure="give --config FILE, or the folder of a copy")
    return Path(options.directory)


def _own_key(options: Options, *, is_needed: bool = True) -> str:
    """Return the hub's own line; empty of a copy, and where the key is the daemon's alone and not needed."""
    if not options.config:
        return ""
    try:
        return str(_own_verifier(load(options.config)))
    except ConfigurationError:
        if is_needed:
            raise
        return ""


def _own_verifier(config: Config) -> Verifier:
    if "CREDENTIALS_DIRECTORY" not in os.environ and not (config.key_dir / "evidence.key").exists():
        raise ConfigurationError(
            "the hub's evidence key is not here: it is its service's credential, or was never made",
            cure="give the log's folder, and by --key the evidence_key of the hub's state message",
        )
    hub = IdentityStore(config.identity_dir).load_factory().hub_id
    return verifier_of(hub, Keystore(config.key_dir).evidence_key())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", cure="check the path") from error


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", cure="choose another place") from error
