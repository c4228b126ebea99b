"""A key service as AWS KMS speaks (JSON 1.1): GetPublicKey and Sign with Ed25519 keys, and what goes wrong with them.

Each request and each answer is checked against botocore's own description of the service, and each answer is read back
with its parser, so that what is tested against this is what the real service says.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import botocore.session
from botocore.parsers import create_parser
from botocore.validate import ParamValidator
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TARGET = "TrentService."
MOST_MESSAGE_BYTES = 4096
SPEC, ALGORITHM = "ECC_NIST_EDWARDS25519", "ED25519_SHA_512"
ARN = "arn:aws:kms:us-east-1:111122223333:key/"
_COMMON = ("ThrottlingException", "AccessDeniedException", "ValidationException")  # of every service
_OURS = ("KMSInternalException", "DependencyTimeoutException")
_BLOBS = ("Message", "PublicKey", "Signature")


class Refusal(Exception):
    """An error that the service answers with."""

    def __init__(self, code: str, message: str = "no") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


@dataclass
class Kms:
    """The service: its keys by id, aliases, and what it is told to do wrong.

    Attributes:
        failures: Codes of errors that the next calls of Sign are answered with; the last stays if it begins with `=`.
        calls: The names of the operations that were called.
    """

    url: str = ""
    keys: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    specs: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, alias: str = "") -> str:
        """Make a key; give what a setting says of it."""
        self.keys[name] = Ed25519PrivateKey.generate()
        if alias:
            self.aliases[f"alias/{alias}"] = name
        return f"awskms:alias/{alias}" if alias else f"awskms:{name}"

    def answer(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        name = self.aliases.get(given["KeyId"], given["KeyId"].removeprefix(ARN))
        if name not in self.keys:
            raise Refusal("NotFoundException", f"Key '{ARN}{name}' does not exist")
        spec = self.specs.get(name, SPEC)
        if operation == "GetPublicKey":
            der = self.keys[name].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            algorithms = [ALGORITHM, "ED25519_PH_SHA_512"] if spec == SPEC else ["ECDSA_SHA_256"]
            usage = {"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "SigningAlgorithms": algorithms}
            return {"KeyId": ARN + name, "PublicKey": der, **usage}
        self._fail()
        if given["SigningAlgorithm"] != ALGORITHM or given.get("MessageType") != "RAW":
            raise Refusal("ValidationException", "ED25519_SHA_512 is for messages of type RAW")
        if len(given["Message"]) > MOST_MESSAGE_BYTES:
            raise Refusal("ValidationException", "Member must have length less than or equal to 4096")
        signature = self.keys[name].sign(given["Message"])
        return {"KeyId": ARN + name, "Signature": signature, "SigningAlgorithm": ALGORITHM}

    def _fail(self) -> None:
        if not self.failures:
            return
        code = self.failures[0] if self.failures[0].startswith("=") else self.failures.pop(0)
        if code == "=hang":
            self.hang.wait(20)
        raise Refusal(code.removeprefix("="))


@contextmanager
def kms_server() -> Iterator[Kms]:
    """Start a service on a free port of 127.0.0.1, and stop it."""
    service = Kms()
    model = botocore.session.get_session().get_service_model("kms")
    parser = create_parser("json")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/x-amz-json-1.1"
            assert self.headers["Authorization"].startswith("AWS4-HMAC-SHA256 ")
            operation = self.headers["X-Amz-Target"].removeprefix(TARGET)
            shapes = model.operation_model(operation)
            try:
                given = _decoded(json.loads(body))
                _check(given, shapes.input_shape)
                made = service.answer(operation, given)
                _check(made, shapes.output_shape)
                text = json.dumps(_encoded(made)).encode()
                read = parser.parse({"headers": {}, "body": text, "status_code": 200}, shapes.output_shape)
                read.pop("ResponseMetadata")
                assert read == made
                self._send(200, text)
            except Refusal as refusal:
                known = refusal.code in {*model.shape_names, *_COMMON}
                status = 500 if refusal.code in _OURS else 400
                text = json.dumps({"__type": refusal.code if known else "?", "message": refusal.message}).encode()
                self._send(status, text)

        def _send(self, status: int, text: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError):  # who was kept waiting has gone
                self.wfile.write(text)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.hang.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _check(values: dict[str, Any], shape: Any) -> None:
    report = ParamValidator().validate(values, shape)
    assert not report.has_errors(), report.generate_report()
    assert set(values) <= set(shape.members)


def _decoded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: base64.b64decode(value) if name in _BLOBS else value for name, value in values.items()}


def _encoded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: base64.b64encode(value).decode() if name in _BLOBS else value for name, value in values.items()}
