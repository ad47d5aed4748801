"""What the hub says over HTTPS, as OpenAPI 3.1: enrolment, renewal, uploads by tus and by presigned URLs, receipts.

Rules of this file: only what the hub sends and reads; a store may do more. `deliver/FORMAT.md` and
`provisioning/FORMAT.md` have the words.
"""

from __future__ import annotations

from typing import Any, Final

from agent.deliver.part import MEDIA_TYPE_CLIP, MEDIA_TYPE_MANIFEST
from agent.deliver.put import CHECKSUM
from agent.deliver.put_message import PIECE_BYTES
from agent.deliver.receipt import RECEIPT_BYTES_MAX
from agent.deliver.upload import PATCH_BYTES_MAX

OFFSETS: Final = "application/offset+octet-stream"
_TUS: Final = {"schema": {"const": "1.0.0"}, "description": "Version of tus.", "required": True}


def document(version: str) -> dict[str, Any]:
    """Return the whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Transom hub over HTTPS",
            "version": version,
            "description": (
                "The hub is the client. TLS 1.3; the server's key is pinned by the claim (enrolment), or its chain "
                "ends in an authority that the enrolment named (renewal) or the trust bundle lists (store). "
                "Redirects are refused. Any creation URL, "
                "signer's URL and receipts URL that a command names on a listed host will do; the paths here are "
                "examples. A command says which of tus and presigned URLs it wants."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://evidence.example"}],
        "paths": {
            "/enrol": {"post": _enrol()},
            "/renew": {"post": _renew()},
            "/renewed": {"post": _confirm()},
            "/files": {"options": _options(), "post": _create()},
            "/files/{upload}": {
                "parameters": [_path("upload")],
                "head": _offset(),
                "patch": _append(),
                "delete": _terminate(),
            },
            "/puts": {"post": _sign()},
            "/puts/{part}": {"parameters": [_path("part")], "delete": _forget()},
            "/bucket/{object}": {"parameters": [_path("object")], "put": _put()},
            "/receipts/{part}": {"parameters": [_path("part")], "get": _receipt()},
        },
        "components": {"securitySchemes": {"upload": {"type": "http", "scheme": "bearer"}}},
    }


def _enrol() -> dict[str, Any]:
    return {
        "operationId": "enrol",
        "summary": "A blank hub redeems its claim for a certificate, a broker and a trust bundle.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": _shape("EnrolmentRequest")}},
        "responses": {
            "200": _response("Enrolled.", content={"application/json": _shape("EnrolmentAnswer")}),
            "403": _response("Refused; why is for the server's own log."),
        },
    }


def _renew() -> dict[str, Any]:
    return {
        "operationId": "renew",
        "summary": "A hub asks by its certificate and its factory key for its next certificate.",
        "description": (
            "At the place that `renewal` of the enrolment's answer names. The server checks in the order of "
            "`provisioning/FORMAT.md` section 6, and stores which keys count before it answers."
        ),
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": _shape("RenewalRequest")}},
        "responses": {
            "200": _response(
                "The next certificate; the present one stays good.",
                content={"application/json": _shape("RenewalAnswer")},
            ),
            "403": _response("Refused: the hub warns at once, and tries again ever more rarely."),
            "default": _response("Later: the hub tries again, after 15 minutes at first, at last twice a day."),
        },
    }


def _confirm() -> dict[str, Any]:
    return {
        "operationId": "confirm",
        "summary": "The next certificate has worked with the broker: the key before it renews nothing any more.",
        "security": [],
        "requestBody": {"required": True, "content": {"application/json": _shape("RenewalConfirmation")}},
        "responses": {
            "204": _response("Noted."),
            "403": _response("That certificate was not offered; the hub uses it and says no more."),
            "default": _response("Later: the hub tells it again."),
        },
    }


def _options() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "offers",
            "summary": "Are there SHA-256 checksums? Any answer but one that says so means no.",
            "responses": {
                "204": _response(
                    "What this store offers.", {"Tus-Extension": "list", "Tus-Checksum-Algorithm": "list"}
                ),
                "default": _response("No checksums are sent."),
            },
        }
    )


def _create() -> dict[str, Any]:
    metadata = (
        "`part` (its name), `media_type` and `sha256` (hex, of the whole file), values in base64. The media type is "
        f"`{MEDIA_TYPE_CLIP}` or `{MEDIA_TYPE_MANIFEST}`."
    )
    return _with_token(
        {
            "operationId": "create",
            "summary": "Create an upload (tus creation).",
            "parameters": [
                _header("Tus-Resumable", _TUS),
                _header("Upload-Length", {"schema": {"type": "integer", "minimum": 0}, "required": True}),
                _header("Upload-Metadata", {"schema": {"type": "string"}, "description": metadata, "required": True}),
            ],
            "responses": {
                "201": _response("Created, on this origin.", {"Location": "uri"}),
                **_failures("413"),
            },
        }
    )


def _offset() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "offset",
            "summary": "How many bytes are here? Asked after creation, each failure and each restart.",
            "parameters": [_header("Tus-Resumable", _TUS)],
            "responses": {
                "200": _response("At rest.", {"Upload-Offset": "integer", "Upload-Length": "integer"}),
                **_failures("404", "410"),
            },
        }
    )


def _append() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "append",
            "summary": f"At most {PATCH_BYTES_MAX} bytes from exactly the offset.",
            "parameters": [
                _header("Tus-Resumable", _TUS),
                _header("Upload-Offset", {"schema": {"type": "integer", "minimum": 0}, "required": True}),
                _header(
                    "Upload-Checksum",
                    {
                        "schema": {"type": "string", "pattern": "^sha256 [A-Za-z0-9+/]{43}=$"},
                        "description": "If offered.",
                    },
                ),
            ],
            "requestBody": {"required": True, "content": {OFFSETS: {}}},
            "responses": {
                "204": _response("Taken; the offset is the old one and these bytes.", {"Upload-Offset": "integer"}),
                **_failures("404", "409", "410", "460"),
            },
        }
    )


def _terminate() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "terminate",
            "summary": "A job has ended: drop what is unfinished. Only where termination is offered; asked once.",
            "parameters": [_header("Tus-Resumable", _TUS)],
            "responses": {"204": _response("Dropped."), "default": _response("The hub leaves it to expiry.")},
        }
    )


def _sign() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "sign",
            "summary": "Which pieces of a part does the store not have, and where do they go?",
            "requestBody": {"required": True, "content": {"application/json": _shape("Question")}},
            "responses": {
                "200": _response(
                    "URLs for some of the missing pieces, the lowest first; none: the part is whole.",
                    content={"application/json": _shape("Signed")},
                ),
                "202": _response("Not done yet: the hub asks again."),
                **_failures(),
            },
        }
    )


def _forget() -> dict[str, Any]:
    return _with_token(
        {
            "operationId": "forget",
            "summary": "A job has ended: abort what is unfinished of a part. Asked once.",
            "responses": {
                "204": _response("Aborted."),
                "default": _response("The bucket's rules must do."),
            },
        }
    )


def _put() -> dict[str, Any]:
    checksum = {"schema": {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=$"}, "required": True}
    checksum["description"] = "SHA-256 of the piece; the signer signs this header with this value into the URL."
    anew = ("400", "401", "403", "404", "409", "412")
    return {
        "operationId": "put",
        "summary": f"A piece of at most {PIECE_BYTES} bytes, at the store, as the URL permits.",
        "security": [],
        "parameters": [_header(CHECKSUM, checksum)],
        "requestBody": {"required": True, "content": {"application/octet-stream": {}}},
        "responses": {
            "200": _response("Kept."),
            **{code: _response("The signer is asked anew, at most 3 times in a row.") for code in anew},
            **_failures(),
        },
    }


def _receipt() -> dict[str, Any]:
    jws = {"type": "string", "maxLength": RECEIPT_BYTES_MAX, "x-jws-typ": "transom-receipt+jwt"}
    jws["x-jws-claims"] = {"$ref": "./schemas/ReceiptClaims.json"}
    return _with_token(
        {
            "operationId": "receipt",
            "summary": "The store's signed word that it holds a part.",
            "responses": {
                "200": _response("Held.", content={"application/jose": {"schema": jws}}),
                **_failures("404"),
            },
        }
    )


def _with_token(operation: dict[str, Any]) -> dict[str, Any]:
    return {"security": [{"upload": []}], **operation}


_FAILURES: Final = {
    "404": "Not here: the upload is created anew, at most 3 times; a receipt is asked for again.",
    "409": "Another offset: the hub asks for it.",
    "410": "Gone: the upload is created anew, at most 3 times.",
    "413": "Too large: the hub gives up.",
    "460": "The checksum does not fit: the hub asks for the offset and sends again.",
}


def _failures(*codes: str) -> dict[str, Any]:
    found = {code: _response(_FAILURES[code]) for code in codes}
    later = (
        "408, 423, 425, 429 and 5xx are tried again with `Retry-After` heeded up to 300 s; other 4xx end the upload."
    )
    return {**found, "default": _response(later)}


def _response(
    description: str, headers: dict[str, str] | None = None, content: dict[str, Any] | None = None
) -> dict[str, Any]:
    kinds: dict[str, dict[str, str]] = {
        "integer": {"type": "integer"},
        "list": {"type": "string"},
        "uri": {"type": "string", "format": "uri", "maxLength": 2048},  # type: ignore[dict-item] # JSON Schema mixes
    }
    response: dict[str, Any] = {"description": description}
    if headers:
        response["headers"] = {name: {"schema": kinds[kind]} for name, kind in headers.items()}
    return response | ({"content": content} if content else {})


def _header(name: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "header", **rest}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _shape(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"./schemas/{name}.json"}}
