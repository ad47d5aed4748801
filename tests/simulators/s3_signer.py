"""An operator's signer, as one would write it with AWS's own library: URLs for the pieces that a bucket does not have.

It remembers nothing: what there is of a part, the bucket says. Objects are named by part and digest, so bytes that were
sealed anew never mix with others. `deliver/FORMAT.md` is what it keeps to.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from agent.clock import SECOND_NS, WallTime
from agent.deliver.part import Receipt
from agent.deliver.receipt import sign_receipt
from agent.signing import SigningKey

URLS_AT_ONCE = 16
STORED_AT = WallTime(1_795_000_000 * SECOND_NS)


class Signer:
    """Signs for one bucket. `inside` is where the operator reaches the store, `outside` where hubs do."""

    def __init__(self, inside: str, outside: str, login: tuple[str, str], hub: str, key: SigningKey) -> None:
        settings = Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
        names = dict(zip(("aws_access_key_id", "aws_secret_access_key"), login, strict=True))
        session = boto3.session.Session(**names, region_name="us-east-1")
        self.store = session.client("s3", endpoint_url=inside, config=settings)
        self._far = session.client("s3", endpoint_url=outside, config=settings)
        self._hub, self._key = hub, key
        self.bucket = "clips"
        self.token = "token-1"  # noqa: S105 - for a test
        self.expired_answers = 0  # so many answers name URLs that have expired
        self.signed: list[int] = []  # numbers of all pieces that were signed for
        self.store.create_bucket(Bucket=self.bucket)

    def missing(self, asked: dict[str, Any]) -> list[dict[str, object]]:
        """Sign for what the bucket does not have of a part; complete it when nothing is missing."""
        name, sums = f"{asked['part']}/{asked['sha256']}", asked["pieces"]
        place = {"Bucket": self.bucket, "Key": name}
        if self._is_there(place):
            return []
        if len(sums) == 1:
            return [self._sign("put_object", 1, {**place, "ChecksumSHA256": sums[0]})]
        upload = {**place, "UploadId": self._upload(place)}
        parts = self.store.list_parts(**upload).get("Parts", [])
        held = {part["PartNumber"]: part["ETag"] for part in parts}
        wanted = [number for number in range(1, len(sums) + 1) if number not in held]
        if not wanted:
            whole = [{"PartNumber": number, "ETag": held[number]} for number in sorted(held)]
            self.store.complete_multipart_upload(**upload, MultipartUpload={"Parts": whole})
        return [
            self._sign("upload_part", number, {**upload, "PartNumber": number, "ChecksumSHA256": sums[number - 1]})
            for number in wanted[:URLS_AT_ONCE]
        ]

    def forget(self, part: str) -> None:
        """Abort what is unfinished of a part."""
        for upload in self.unfinished(part):
            place = {"Bucket": self.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            self.store.abort_multipart_upload(**place)

    def unfinished(self, part: str) -> list[dict[str, Any]]:
        """List the multipart uploads of a part that are open."""
        found = self.store.list_multipart_uploads(Bucket=self.bucket, Prefix=f"{part}/").get("Uploads", [])
        return [dict(upload) for upload in found]

    def held(self, part: str) -> list[bytes]:
        """Read every content that the bucket has under a part's name."""
        found = self.store.list_objects_v2(Bucket=self.bucket, Prefix=f"{part}/").get("Contents", [])
        return [self.store.get_object(Bucket=self.bucket, Key=one["Key"])["Body"].read() for one in found]

    def receipt(self, part: str) -> str | None:
        """Sign for what the bucket really holds."""
        held = self.held(part)
        if not held:
            return None
        receipt = Receipt(part, len(held[-1]), hashlib.sha256(held[-1]).hexdigest(), STORED_AT, "")
        return sign_receipt(receipt, self._hub, self._key)

    def _is_there(self, place: dict[str, str]) -> bool:
        try:
            self.store.head_object(**place)
        except ClientError:
            return False
        return True

    def _upload(self, place: dict[str, str]) -> str:
        """Find the part's multipart upload, or begin it."""
        found = self.store.list_multipart_uploads(Bucket=place["Bucket"], Prefix=place["Key"]).get("Uploads", [])
        if found:
            return str(found[0]["UploadId"])
        return str(self.store.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")["UploadId"])

    def _sign(self, call: str, number: int, params: dict[str, Any]) -> dict[str, object]:
        self.signed.append(number)
        lives_s = 0 if self.expired_answers else 600
        return {"number": number, "url": self._far.generate_presigned_url(call, Params=params, ExpiresIn=lives_s)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    signer: ClassVar[Signer]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def is_refused(self) -> bool:
        """Answer who has another token."""
        if self.headers.get("Authorization") == f"Bearer {self.signer.token}":
            return False
        self.answer(401)
        return True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_refused():
            answer = {"v": 1, "expires_in_s": 600, "pieces": self.signer.missing(asked)}
            self.signer.expired_answers -= self.signer.expired_answers > 0
            self.answer(200, json.dumps(answer).encode())

    def do_DELETE(self) -> None:
        if not self.is_refused():
            self.signer.forget(self.path.removeprefix("/puts/"))
            self.answer(204)

    def do_GET(self) -> None:
        if not self.is_refused():
            receipt = self.signer.receipt(self.path.removeprefix("/receipts/"))
            self.answer(404 if receipt is None else 200, (receipt or "").encode())


@contextmanager
def served(signer: Signer, certificate: tuple[Path, Path]) -> Iterator[str]:
    """Serve a signer; yield its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"signer": signer}))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
