"""Code and contract say the same, and strangers' validators find the contract well made."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource

from agent.contract.__main__ import FOLDER, files, main
from agent.conversation import Topics

VECTORS = Path(__file__).parents[1] / "vectors"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "schemas").glob("*.json"))}
EXAMPLES = {path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "examples").glob("*.json"))}
ASYNCAPI = json.loads((FOLDER / "asyncapi.json").read_text())
OPENAPI = json.loads((FOLDER / "openapi.json").read_text())
REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in SCHEMAS.values()
)


def validator(name: str) -> Draft202012Validator:
    """Return what judges messages of a type."""
    return Draft202012Validator(SCHEMAS[name], registry=REGISTRY)


def inside(token: str) -> Any:  # noqa: ANN401 - any claims
    """Read the claims of a JWS."""
    middle = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def test_code_and_contract_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Every file is what the code would write now; if not, `python -m agent.contract` writes it."""
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_a_difference_is_found_and_mended(tmp_path: Path) -> None:
    """What was changed, added or removed by hand is named, and written as the code says."""
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")} == set(files())
    (tmp_path / "asyncapi.json").write_text("{}")
    (tmp_path / "schemas/Invented.json").write_text("{}")
    (tmp_path / "schemas/Status.json").unlink()
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert not (tmp_path / "schemas/Invented.json").exists()


def test_asyncapi_is_what_its_authors_say() -> None:
    """The published JSON Schema of AsyncAPI 3.0.0 takes the document, and not one without a title."""
    published = json.loads((VECTORS / "asyncapi/asyncapi-3.0.0.schema.json").read_text())
    judge = Draft7Validator(published)
    assert [error.message for error in judge.iter_errors(ASYNCAPI)] == []
    assert not judge.is_valid({**ASYNCAPI, "info": {"version": "1"}})


def test_openapi_is_what_its_authors_say() -> None:
    """A third party's validator takes the document, with the schemas that it refers to, and not one without paths."""
    OpenAPIV31SpecValidator(OPENAPI, base_uri=(FOLDER / "openapi.json").as_uri()).validate()
    broken = {**OPENAPI, "paths": {"/x": {"get": {"responses": 5}}}}
    assert not OpenAPIV31SpecValidator(broken, base_uri=(FOLDER / "openapi.json").as_uri()).is_valid()


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one(name: str) -> None:
    """Valid by the metaschema of 2020-12, and everything it refers to is there."""
    Draft202012Validator.check_schema(SCHEMAS[name])
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(SCHEMAS[name])):
        assert reference.removesuffix(".json") in SCHEMAS


def test_patterns_are_those_of_every_language() -> None:
    """Node.js compiles each pattern, Unicode-aware, as a JSON Schema validator in a browser would."""
    patterns = sorted(
        set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps([*SCHEMAS.values(), ASYNCAPI, OPENAPI])))
    )
    assert len(patterns) > 10
    script = "for (const one of JSON.parse(require('fs').readFileSync(0))) new RegExp(one, 'u')"
    texts = json.dumps([json.loads(pattern) for pattern in patterns])
    done = subprocess.run(["node", "-e", script], input=texts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_topic_of_the_hub_is_a_channel() -> None:
    """What the hub subscribes it receives, and what it publishes it sends."""
    topics = Topics("{hub}")
    channels = {name: channel["address"] for name, channel in ASYNCAPI["channels"].items()}
    assert {name: address.removesuffix("/{key}") for name, address in channels.items()} == vars(topics)
    received = {name for name in channels if f"take_{name}" in ASYNCAPI["operations"]}
    assert {channels[name] for name in received} == set(topics.inward)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_valid(name: str) -> None:
    """Its payload has the schema of its channel, and the claims signed in it have theirs."""
    example = EXAMPLES[name]
    if name == "receipt":
        validator("ReceiptClaims").validate(inside(example["payload"]))
    if "channel" not in example:
        return
    message = ASYNCAPI["components"]["messages"][example["channel"]]
    shape = message["payload"].get("schema", {}).get("$ref")
    if shape:
        validator(Path(shape).stem).validate(json.loads(example["payload"]))
    elif "x-jws-claims" in message:
        validator(Path(message["x-jws-claims"]["$ref"]).stem).validate(inside(example["payload"]))
    else:
        assert message["contentType"].startswith("text/plain")
    if example["channel"] == "command":
        envelope = json.loads(example["payload"])
        validator("CommandClaims").validate(inside(envelope["cmd"]))
        for grant in envelope["chain"]:
            validator("Grant").validate(inside(grant))
    elif example["channel"] == "trust":
        validator("TrustBundle").validate(inside(f".{json.loads(example['payload'])['payload']}."))


def test_the_good_commands_of_the_vectors_are_valid_and_wrong_parameters_are_not() -> None:
    """Whoever generates a sender from the schemas sends what the hub takes; the parameters follow the action."""
    judge, envelopes = validator("CommandClaims"), validator("Envelope")
    good = 0
    for path in (VECTORS / "command").glob("*.vector.json"):
        vector = json.loads(path.read_text())
        if vector["expect"] != "verified":
            continue
        envelope = json.loads(base64.b64decode(vector["message_base64"]))
        envelopes.validate(envelope)
        claims = inside(envelope["cmd"])
        judge.validate(claims)
        assert not judge.is_valid({**claims, "params": {"another": 1}})
        good += 1
    assert good > 3


def test_each_vector_is_listed_and_is_there() -> None:
    """The list leads to every file of the contract's formats, and each pointer to something."""
    listed = json.loads((FOLDER / "vectors.json").read_text())
    assert listed["count"] == sum(len(file["vectors"]) for file in listed["files"]) >= 200
    assert {file["file"].partition("/")[0] for file in listed["files"]} >= {
        "age",
        "command",
        "consent",
        "evidence",
        "provisioning",
        "receipt",
    }
    for file in listed["files"]:
        content = json.loads((VECTORS / file["file"]).read_text())
        for vector in file["vectors"]:
            found: Any = content
            for step in vector["at"].split("/")[1:]:
                found = found[int(step)] if isinstance(found, list) else found[step]
            assert found
