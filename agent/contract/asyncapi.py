"""What is said over MQTT, as AsyncAPI 3.0: every topic of `Topics`, which way it goes, and the schema of its messages.

Rules of this file: the topics are those the hub subscribes and publishes; a topic that has no row here still appears.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from agent.contract.shapes import BASE, params_of_actions
from agent.conversation import Topics

JSON: Final = "application/json"
JOSE: Final = "application/jose"
TEXT: Final = "text/plain; charset=utf-8"
_JWS: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$", "maxLength": 65536}
_DRAFT: Final = "application/schema+json;version=draft-2020-12"


@dataclass(frozen=True, slots=True)
class Talk:
    """What goes over one topic."""

    summary: str
    media: str = JSON
    shape: str = ""  # type of the JSON, or of the claims in a JWS
    typ: str = ""  # of the JWS
    is_retained: bool = False
    where: str = "agent/command/FORMAT.md"


TALKS: Final = MappingProxyType(
    {
        "command": Talk("A signed command with the chain of grants behind it.", shape="Envelope"),
        "trust": Talk("Whom the hub believes, signed by a threshold of roots.", shape="SignedBundle", is_retained=True),
        "policy": Talk(
            "The owner's consent.",
            JOSE,
            "Policy",
            "transom-policy+jwt",
            is_retained=True,
            where="agent/consent/FORMAT.md",
        ),
        "answer": Talk(
            "The owner's yes or no to one command.",
            JOSE,
            "Answer",
            "transom-answer+jwt",
            where="agent/consent/FORMAT.md",
        ),
        "pairing": Talk(
            "Somebody wants to become the owner.", shape="PairingStatement", where="provisioning/FORMAT.md"
        ),
        "cosigned": Talk("A checkpoint with a witness's cosignature.", TEXT, where="agent/evidence/FORMAT.md"),
        "time": Talk("The server's signed time, for this question alone.", JOSE, "TimeClaims", "transom-time+jwt"),
        "time_request": Talk("A hub that does not know the time asks; at most every 10 s.", shape="TimeRequest"),
        "state": Talk(
            "Whether the hub is there, and how it does; also its Last Will.", shape="Presence", is_retained=True
        ),
        "status": Talk("What becomes of a command.", shape="Status"),
        "checkpoint": Talk("The newest checkpoint of the audit log.", TEXT, where="agent/evidence/FORMAT.md"),
        "to_witness": Talk("A request to one witness to cosign.", TEXT, where="agent/evidence/FORMAT.md"),
    },
)
PARAMETERS: Final = MappingProxyType(
    {
        "hub": {"description": "The hub's id; the common name of its client certificate."},
        "key": {"description": "The witness's C2SP key id, 8 hex digits."},
    },
)


def document(version: str) -> dict[str, Any]:
    """Return the whole document."""
    topics = Topics("{hub}")
    inward = set(topics.inward)
    named = {name: str(topic) for name, topic in sorted(vars(topics).items())}
    channels, operations, messages = {}, {}, {}
    for name, topic in named.items():
        talk = TALKS.get(name, Talk(f"{name}: see the document."))
        address = f"{topic}/{{key}}" if name == "to_witness" else topic
        messages[name] = _message(name, talk)
        channels[name] = {
            "address": address,
            "summary": talk.summary,
            "parameters": {key: dict(value) for key, value in PARAMETERS.items() if f"{{{key}}}" in address},
            "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        }
        operations[f"{'take' if topic in inward else 'tell'}_{name}"] = {
            "action": "receive" if topic in inward else "send",
            "channel": {"$ref": f"#/channels/{name}"},
            "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
            "bindings": {"mqtt": {"qos": 1, "retain": talk.is_retained, "bindingVersion": "0.2.0"}},
        }
    return {
        "asyncapi": "3.0.0",
        "id": f"{BASE}asyncapi.json",
        "info": {
            "title": "Transom hub over MQTT",
            "version": version,
            "description": (
                "Written from the hub's point of view: it receives commands and documents, and sends statuses and its "
                "state. The words and the order of all checks stand in the FORMAT.md that each message names. "
                "Nothing that comes over the broker is believed because of where it came from."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {"broker": _server()},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "securitySchemes": {"certificate": {"type": "X509", "description": "Client certificate, CN = hub id."}},
        },
    }


def _server() -> dict[str, Any]:
    return {
        "host": "broker.example:8883",
        "protocol": "secure-mqtt",
        "protocolVersion": "5.0",
        "description": "TLS 1.3 with client certificates; each hub is kept to its own topics.",
        "security": [{"$ref": "#/components/securitySchemes/certificate"}],
        "bindings": {"mqtt": {"cleanSession": False, "keepAlive": 30, "bindingVersion": "0.2.0"}},
    }


def _message(name: str, talk: Talk) -> dict[str, Any]:
    message: dict[str, Any] = {"name": name, "contentType": talk.media, "summary": talk.summary, "x-format": talk.where}
    schema = {"$ref": f"./schemas/{talk.shape}.json"}
    if talk.media == JSON and talk.shape:
        message["payload"] = {"schemaFormat": _DRAFT, "schema": schema}
    elif talk.media == JOSE:
        message |= {"payload": dict(_JWS), "x-jws-typ": talk.typ, "x-jws-claims": schema}
    else:
        message["payload"] = {"type": "string", "maxLength": 131072} if talk.media == TEXT else {}
    if name == "command":
        claims = {"transom-command+jwt": "CommandClaims", "transom-grant+jwt": "Grant"}
        message["x-jws-claims"] = {typ: {"$ref": f"./schemas/{shape}.json"} for typ, shape in claims.items()}
        message["x-actions"] = {
            action: {"$ref": f"./schemas/{shape}.json"} for action, shape in params_of_actions().items()
        }
    elif name == "trust":
        message["x-jws-claims"] = {"transom-trust+jwt": {"$ref": "./schemas/TrustBundle.json"}}
    return message
