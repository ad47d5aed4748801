"""The message types become JSON Schemas (2020-12), one file each, in the patterns that every language reads.

Rules of this file: nothing is listed by hand that can be found in the code; what is found is what the hub reads with.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

import msgspec

import agent.command
import agent.consent
from agent.clip_job import Status
from agent.command.roles import ROLE_ACTIONS
from agent.command.words import Claims
from agent.deliver.put_message import Question, Signed
from agent.deliver.receipt import ReceiptClaims
from agent.evidence.audit import Entry
from agent.evidence.statement import Statement
from agent.health.presence import Presence
from provisioning.enrolment import EnrolmentAnswer, EnrolmentRequest
from provisioning.pairing import PairingStatement
from provisioning.renewal import RenewalAnswer, RenewalConfirmation, RenewalRequest

BASE: Final = "https://transom.example/contract/v1/"
OTHERS: Final = (
    Status,
    Presence,
    PairingStatement,
    ReceiptClaims,
    Question,
    Signed,
    Statement,
    Entry,
    EnrolmentRequest,
    EnrolmentAnswer,
    RenewalRequest,
    RenewalAnswer,
    RenewalConfirmation,
)
"""What is not signed claims."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by the name of its type; they refer to each other as files of one folder."""
    types = [*claims_types(), *OTHERS]
    _, components = msgspec.json.schema_components(types, ref_template="{name}.json")
    found = {}
    for name, schema in sorted(components.items()):
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{BASE}schemas/{name}.json"}
        found[name] = head | _for_everyone(schema)
    for action, shape in params_of_actions().items():
        found["CommandClaims"].setdefault("allOf", []).append(
            {
                "if": {"properties": {"action": {"const": action}}},
                "then": {"properties": {"params": {"$ref": f"{shape}.json"}}},
            }
        )
    return found


def claims_types() -> list[type[Claims]]:
    """Find the claims of every signed message, in the stages that read them."""
    found = [kind for package in (agent.command, agent.consent) for kind in _claims_in(package)]
    return sorted(set(found), key=lambda kind: kind.__name__)


def params_of_actions() -> dict[str, str]:
    """Say which type holds the parameters of each action: by the stage's table, else the one that is named like it."""
    names = {kind.__name__ for kind in claims_types()}
    actions = sorted({str(action) for allowed in ROLE_ACTIONS.values() for action in allowed})
    found: dict[str, str] = {}
    for action in actions:
        words = [word.capitalize() for word in action.split(".")]
        candidates = (f"{''.join(words)}Params", f"{words[-1]}Params")
        shape = next((name for name in candidates if name in names), None)
        if shape:
            found[action] = shape
    for table in _tables(set(actions)):
        found |= {action: shape.__name__ for action, shape in table.items()}
    return dict(sorted(found.items()))


def _tables(actions: set[str]) -> Iterator[Mapping[str, type[Claims]]]:
    """Find tables from actions to the types of their parameters in the command stage."""
    for module in _modules(agent.command):
        for value in vars(module).values():
            if isinstance(value, Mapping) and value and set(value) <= actions:
                shapes = list(value.values())
                if all(inspect.isclass(shape) and issubclass(shape, Claims) for shape in shapes):
                    yield value


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def _claims_in(package: ModuleType) -> Iterator[type[Claims]]:
    for module in _modules(package):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            is_here = kind.__module__ == module.__name__ and not kind.__name__.startswith("_")
            if is_here and issubclass(kind, Claims) and kind is not Claims:
                yield kind


def _for_everyone(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    r"""Write Python's `\A` and `\Z` as `^` and `$`, which mean the same in ECMA-262 without the flag m."""
    if isinstance(value, dict):
        return {
            name: inner.replace(r"\A", "^").replace(r"\Z", "$")
            if name == "pattern" and isinstance(inner, str)
            else _for_everyone(inner)
            for name, inner in value.items()
        }
    return [_for_everyone(inner) for inner in value] if isinstance(value, list) else value
