"""The house rules that no tool checks for us, as ordinary tests. `tests/README.md` says how tests are written here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import pytest

from agent.config import CameraLogin, Cameras, Clips, Config, OwnerPage, RingPlace, Uploads, load

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("agent", "firmware_bridge", "provisioning")
FOLDERS: Final = (*PACKAGES, "tests", "systemd", "docs", ".ci", ".github")
LINES_MAX: Final = 350
FORBIDDEN_NAMES: Final = frozenset(
    {"utils", "util", "helpers", "helper", "common", "misc", "base", "core", "manager", "handler", "processor"}
    | {"data", "info"}
)
LONG_FILES: Final[dict[str, str]] = {}
"""Files over the limit, and why each may be."""

TESTED_ELSEWHERE: Final = {
    "agent/acquire/camera.py": "types only",
    "agent/acquire/health.py": "types only",
    "agent/acquire/session_effect.py": "types only",
    "agent/acquire/wire_event.py": "types only",
    "agent/buffer/row.py": "tests/buffer/test_slab_index.py and test_ring_order.py",
    "agent/buffer/run.py": "tests/buffer/test_ring.py",
    "agent/cameras/link.py": "types only",
    "agent/outside/cutter_child.py": "tests/outside/test_cutter.py and test_hostile_child.py",
    "agent/recorder_thread.py": "tests/stories/test_restart.py, with the whole daemon",
    "agent/command/approval.py": "tests/command/test_vectors.py",
    "agent/command/orders.py": "types only",
    "agent/command/parameters.py": "tests/command/test_vectors.py",
    "agent/wiring/certificate.py": "tests/stories/test_renewal.py, with the whole daemon",
    "agent/wiring/firmware.py": "tests/stories/test_main_job.py, with the whole daemon and its bridge",
    "agent/wiring/exports.py": "tests/stories, as a real process",
    "agent/wiring/provisioning.py": "tests/stories, as a real process",
    "agent/wiring/recording.py": "tests/stories, as a real process",
    "agent/clips/held_footage.py": "tests/clips/test_holding.py, with a ring that lost its footage",
    "agent/outside/journal_rows.py": "tests/outside/test_database.py",
    "agent/command/claims.py": "tests/command/test_envelope.py and its vectors",
    "agent/command/destination.py": "tests/command/test_vectors.py",
    "agent/command/grants.py": "tests/command/test_vectors.py",
    "agent/command/ping.py": "types only",
    "agent/command/refused.py": "tests/command/test_vectors.py",
    "agent/command/request.py": "types only",
    "agent/command/roles.py": "a table; tests/command/test_vectors.py",
    "agent/command/words.py": "types only; tests/command/test_vectors.py",
    "agent/consent/grant.py": "types only",
    "agent/contract/asyncapi.py": "tests/contract/test_main.py",
    "agent/contract/examples.py": "tests/contract/test_main.py",
    "agent/contract/openapi.py": "tests/contract/test_main.py",
    "agent/contract/shapes.py": "tests/contract/test_main.py",
    "agent/contract/vectors.py": "tests/contract/test_main.py",
    "agent/consent/standing.py": "types only",
    "agent/cut/bits.py": "tests/cut/test_h264.py",
    "agent/cut/clip.py": "types only",
    "agent/cut/codec.py": "types only",
    "agent/cut/confine.py": "tests/cut/test_worker.py",
    "agent/cut/look.py": "types; tests/cut/test_messages.py and test_measure.py",
    "agent/daemon.py": "tests/stories, as a real process",
    "agent/deliver/part.py": "types only",
    "agent/deliver/tus_answer.py": "tests/deliver/test_upload.py",
    "agent/deliver/unseal.py": "tests/deliver/test_seal.py",
    "agent/page_ports.py": "types only",
    "agent/demo/camera_answers.py": "tests/demo/test_camera_onvif.py",
    "agent/demo/camera_backdrop.py": "tests/demo/test_scene.py",
    "agent/demo/camera_request.py": "tests/demo/test_camera_onvif.py",
    "agent/demo/camera_settings.py": "tests/demo/test_camera.py",
    "agent/demo/camera_soap.py": "tests/demo/test_camera_onvif.py",
    "agent/demo/odd_rtp.py": "tests/demo/test_camera_quirks.py, over real sockets",
    "agent/demo/video_encoder.py": "tests/demo/test_camera_media2.py, with both codecs",
    "agent/errors.py": "types only",
    "agent/evidence/dsse.py": "tests/evidence/test_manifest.py and test_vectors.py",
    "agent/evidence/statement.py": "types only; tests/evidence/test_manifest.py",
    "agent/outside/camera_table.py": "tests/outside/test_discovery_sockets.py",
    "agent/outside/onvif_failures.py": "tests/outside/test_onvif.py",
    "agent/outside/onvif_media.py": "tests/outside/test_onvif.py",
    "agent/outside/onvif_services.py": "tests/outside/test_onvif.py",
    "agent/outside/soap.py": "tests/outside/test_soap_http.py and test_onvif.py",
    "agent/outside/soap_login.py": "tests/outside/test_onvif.py",
    "agent/cli/hub.py": "tests/test_main.py",
    "agent/opening/collect.py": "tests/test_opener.py",
    "agent/opening/drawing.py": "tests/opening/test_report.py",
    "agent/opening/meter.py": "tests/test_opener.py",
    "agent/opening/told.py": "tests/opening/test_words.py",
    "agent/ports.py": "types only",
    "firmware_bridge/backend.py": "types only",
    "firmware_bridge/bus.py": "tests/firmware_bridge/test_rauc.py and test_logind.py",
    "firmware_bridge/errors.py": "types only",
    "provisioning/conversation.py": "tests/provisioning/test_enrolment_https.py and test_renewal_https.py",
    "provisioning/errors.py": "types only",
    "provisioning/hub_id.py": "tests/provisioning/test_factory.py",
    "provisioning/issuing.py": "tests/provisioning/test_enrolment.py and test_reissue.py",
    "provisioning/keys.py": "tests/provisioning/test_enrolment.py and test_store.py",
    "provisioning/registrar.py": "tests/provisioning/test_enrolment.py",
}
"""Modules without a test file of their own, and where they are tested instead."""

MAY_LOG: Final = (
    "agent/outside/",
    "agent/demo/",
    "agent/daemon.py",
    "agent/wiring/page.py",
    "agent/wiring/provisioning.py",
    "agent/wiring/recording.py",
    "agent/__main__.py",
    "agent/cli/hub.py",
)
MAY_PRINT: Final = ("agent/demo/", "agent/cli/hub.py", "agent/cli/clips.py")
STORIES: Final = frozenset(
    "agent/" + name + ".py"
    for name in [
        "recorder",
        "cameras/recording",
        "health/watch",
        "maintenance/certificate_watch",
        "maintenance/restart_watch",
        "exporter",
        "clips/maker",
        "clips/cutting",
        "clips/sending",
        "clips/room",
        "clips/part_sealer",
        "clips/courier",
        "conversation",
        "trust/documents",
        "trust/server_time",
        "trust/clock_past",
        "health/presence",
        "cameras/watch",
        "cameras/event_watch",
        "claim_watch",
        "pictures/own_snapshots",
        "opener",
        "auditor",
        "trust/stamper",
        "trust/witnessing",
        "wiring/audit",
    ]
)
EXEMPTION: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore)")
REASONED: Final = re.compile(
    r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)* - \S.{3,}"
    r"|# type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\](?:  ?# |  ?- )\S.{3,}"
)
MACHINE_PATH: Final = re.compile(r"(?<![\w.])/(?:work|Users)/\w|/home/(?!transom)\w")
UNFINISHED: Final = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def modules(*packages: str) -> list[str]:
    """Name the Python files of these packages, relative to the root."""
    found = (path for package in packages for path in (ROOT / package).rglob("*.py"))
    return sorted(str(path.relative_to(ROOT)) for path in found)


SOURCES: Final = modules(*PACKAGES)
TESTS: Final = modules("tests")


@cache
def parsed(name: str) -> ast.Module:
    """Parse a file."""
    return ast.parse((ROOT / name).read_text(), name)


def texts() -> Iterator[Path]:
    """Name every text file that belongs to the project."""
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml", ""}]
    top = [path for path in top if path.name != ".git"]  # in a second worktree, a file with the path of the first
    deep = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(top + deep):
        if "__pycache__" not in path.parts and path.suffix not in {".pyc", ".png", ".mp4", ".h264", ".bin", ".gz"}:
            yield path


def calls(name: str, function: str) -> list[int]:
    """Return the lines on which a file calls a function or builds a type of this name."""
    return [
        node.lineno
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == function)
            or (isinstance(node.func, ast.Attribute) and node.func.attr == function)
        )
    ]


def imported(name: str) -> set[str]:
    """Return the modules that a file imports, and what it takes from them."""
    found: set[str] = set()
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_files_are_short() -> None:
    """A file that one cannot take in is two files."""
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in SOURCES}
    assert {name: count for name, count in lines.items() if count > LINES_MAX and name not in LONG_FILES} == {}
    assert [name for name in LONG_FILES if lines.get(name, 0) <= LINES_MAX] == []


def test_names_say_something() -> None:
    """No module and no class is called by a word that fits everything."""
    named = [(name, Path(name).stem) for name in SOURCES]
    named += [
        (name, node.name) for name in SOURCES for node in ast.walk(parsed(name)) if isinstance(node, ast.ClassDef)
    ]
    words = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*")  # base45 is one word, the RFC's
    assert [(name, word) for name, word in named if {w.lower() for w in words.findall(word)} & FORBIDDEN_NAMES] == []


def test_every_module_has_its_test_file() -> None:
    """`agent/cut/plan.py` is tested in `tests/cut/test_plan.py`; an exemption names the place instead."""
    missing = []
    for name in SOURCES:
        package, *folders, file = Path(name).parts
        stem = Path(file).stem.strip("_")
        inside = folders if package == "agent" else [package, *folders]
        if stem != "init" and not (ROOT / "tests").joinpath(*inside, f"test_{stem}.py").exists():
            missing.append(name)
    assert sorted(set(missing) - TESTED_ELSEWHERE.keys()) == []
    assert sorted(TESTED_ELSEWHERE.keys() - set(missing)) == [], "no longer needed in TESTED_ELSEWHERE"


def test_the_places_where_modules_are_tested_instead_exist() -> None:
    """An exemption that points nowhere is none."""
    named = {path for why in TESTED_ELSEWHERE.values() for path in re.findall(r"tests/[\w/]+(?:\.py)?", why)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("word", ["unittest.mock", "monkeypatch", "mocker", "pytest_mock"])
def test_nothing_is_mocked(word: str) -> None:
    """Tests talk to real servers, real files and simulators of the far side."""
    found = []
    for name in TESTS:
        arguments = {node.arg for node in ast.walk(parsed(name)) if isinstance(node, ast.arg)}
        if word in arguments | imported(name):
            found.append(name)
    assert found == []


def test_every_test_says_what_it_shows() -> None:
    """One sentence of behaviour under each name."""
    bare = [
        f"{name}:{node.lineno}"
        for name in TESTS
        for node in ast.walk(parsed(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not (ast.get_docstring(node) or "").endswith((".", "?", "!", ":"))
    ]
    assert bare == []


def test_only_command_lines_and_the_demo_print() -> None:
    """Everything else returns what it has to say, or logs it."""
    talkative = [name for name in SOURCES if calls(name, "print")]
    assert [n for n in talkative if not n.startswith(MAY_PRINT) and not n.endswith("__main__.py")] == []


def test_only_stories_the_daemon_and_adapters_log() -> None:
    """A stage decides and returns; whoever called it knows what to say about that."""
    logging = [name for name in modules("agent") if "logging" in imported(name)]
    assert [name for name in logging if not name.startswith(MAY_LOG) and name not in STORIES] == []


def test_every_exemption_has_its_code_and_its_reason() -> None:
    """Whoever switches a check off says which one and why, on the line."""
    bare: list[str] = []
    for name in sorted({*SOURCES, *TESTS} - {"tests/test_tidy.py"}):
        lines = enumerate((ROOT / name).read_text().splitlines(), 1)
        bare += [f"{name}:{number}" for number, line in lines if EXEMPTION.search(line) and not is_reasoned(line)]
    assert bare == []


def is_reasoned(line: str) -> bool:
    """Say whether every exemption on a line has its code and a reason."""
    return len(REASONED.findall(line)) >= 1 and len(EXEMPTION.findall(line)) <= 2


def test_a_grant_is_built_in_one_place_only() -> None:
    """Whoever has a `Granted` got it from `decide`."""
    assert {name for name in SOURCES if calls(name, "Granted")} == {"agent/consent/decide.py"}


def test_a_command_is_verified_in_one_place_only() -> None:
    """Whoever has a `VerifiedCommand` got it from the envelope's check."""
    assert {name for name in SOURCES if calls(name, "VerifiedCommand")} == {"agent/command/envelope.py"}
    for kind in ("VerifiedPing", "VerifiedHold", "VerifiedJobOrder", "VerifiedUpkeep"):
        assert {name for name in SOURCES if calls(name, kind)} == {"agent/command/envelope.py"}


def test_every_link_leads_somewhere() -> None:
    """Relative links in the documents name files that exist."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in texts()
        if path.suffix == ".md"
        for target in LINK.findall(re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL))
        if not re.match(r"[a-z]+:|#", target) and not (path.parent / target.partition("#")[0]).exists()
    ]
    assert broken == []


@pytest.mark.parametrize(
    "name", sorted(str(p.relative_to(ROOT)) for k in PACKAGES for p in (ROOT / k).rglob("FORMAT.md"))
)
def test_a_format_has_musts_a_version_and_limits(name: str) -> None:
    """Somebody who never saw our code can write the other side from it."""
    text = (ROOT / name).read_text()
    assert "MUST" in text
    assert re.search(r"version", text, re.IGNORECASE)
    assert re.search(r"limit|at most|up to|maximum", text, re.IGNORECASE)
    assert re.search(r"\d+ (?:bytes|characters|KiB|MiB|s\b|seconds|hours)", text)


def test_the_example_configuration_is_true() -> None:
    """It parses; every setting stands in it, and with its default where the file says that it is the default."""
    path = ROOT / "systemd" / "transom.example.yaml"
    config = load(path)
    assert (config.ring, config.clips, config.upload, config.owner_page) == (
        RingPlace(),
        Clips(),
        Uploads(),
        OwnerPage(),
    )
    assert (config.cameras.search_s, config.cameras.search_every_s) == (Cameras().search_s, Cameras().search_every_s)
    plain = Config(config.data_dir, config.identity_dir, config.key_dir)
    assert (config.clock, config.log_level) == (plain.clock, plain.log_level)
    settings = {
        field.name
        for kind in (Config, Cameras, CameraLogin, RingPlace, Clips, Uploads, OwnerPage)
        for field in msgspec.structs.fields(kind)
    }
    assert sorted(name for name in settings if not re.search(rf"\b{name}:", path.read_text())) == []


def test_nothing_in_the_tree_knows_the_machine_it_was_written_on() -> None:
    """Paths of somebody's own computer work on no other."""
    assert [str(path.relative_to(ROOT)) for path in texts() if MACHINE_PATH.search(text_of(path))] == []


def test_nothing_is_left_to_be_done() -> None:
    """What is not finished is in the tracker, or in a document that says so; not in a comment."""
    assert [str(path.relative_to(ROOT)) for path in texts() if UNFINISHED.search(text_of(path))] == []


def text_of(path: Path) -> str:
    """Read a text file; what is no text has no words."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""
