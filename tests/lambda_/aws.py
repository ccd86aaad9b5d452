"""A fake of Secrets Manager and Parameter Store that keeps AWS's rules, as far as a start meets them.

It refuses a signature that botocore would not make (IAM user guide, "Create a signed AWS API request"), more names in
one call than AWS takes, and what it does not know, in AWS's words.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

KEY, SECRET, TOKEN, REGION = "AKIAEXAMPLE", "example-secret", "example-token", "eu-central-1"
_BEGIN = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:"


@dataclass
class Stores:
    """What the two hold, and what was asked.

    Attributes:
        secrets, parameters: Values by name; `None` for a secret that may not be read.
        asked: The operation of each call.
        busy: Calls that are throttled before one is answered.
    """

    url: str = ""
    secrets: dict[str, str | None] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    busy: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """What a function's environment says of them and of its role."""
        return {
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_ENDPOINT_URL_SSM": self.url,
        }

    def answer(self, operation: str, question: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and document."""
        self.asked.append(operation)
        if self.busy:
            self.busy -= 1
            return 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}
        match operation:
            case "GetSecretValue":
                return self._secret(question["SecretId"])
            case "BatchGetSecretValue" if len(question["SecretIdList"]) <= 20:
                found = [(name, *self._secret(name)) for name in question["SecretIdList"]]
                errors = [{"SecretId": name, "ErrorCode": said["__type"]} for name, code, said in found if code != 200]
                return 200, {"SecretValues": [said for _, code, said in found if code == 200], "Errors": errors}
            case "GetParameters" if len(question["Names"]) <= 10 and question["WithDecryption"] is True:
                names = question["Names"]
                there = [
                    {
                        "Name": name.partition(":")[0],
                        "Selector": "".join(name.partition(":")[1:]) or None,
                        "Value": value,
                    }
                    for name in names
                    if (value := self.parameters.get(name)) is not None
                ]
                missing = [name for name in names if name not in self.parameters]
                return 200, {"Parameters": there, "InvalidParameters": missing}
        return 400, {"__type": "com.amazonaws#ValidationException", "message": "no"}

    def _secret(self, name: str) -> tuple[int, dict[str, Any]]:
        short = name.removeprefix(_BEGIN).removesuffix("-AbCdEf")
        if short not in self.secrets:
            return 400, {"__type": "ResourceNotFoundException", "message": "Secrets Manager can't find it."}
        value = self.secrets[short]
        if value is None:
            return 400, {"__type": "AccessDeniedException", "message": "not authorized"}
        return 200, {"Name": short, "ARN": f"{_BEGIN}{short}-AbCdEf", "SecretString": value}


@contextlib.contextmanager
def stores() -> Iterator[Stores]:
    """Serve both on loopback until the block ends."""
    held = Stores()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            target, _, operation = self.headers["x-amz-target"].partition(".")
            service = {"secretsmanager": "secretsmanager", "AmazonSSM": "ssm"}[target]
            if self.headers["authorization"] != _expected(dict(self.headers.items()), body, held.url, service):
                status, document = 400, {"__type": "InvalidSignatureException", "message": "no"}
            else:
                status, document = held.answer(operation, json.loads(body))
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _expected(headers: Mapping[str, str], body: bytes, url: str, service: str) -> str:
    """The signature that botocore makes of the same request."""
    given = {name.lower(): value for name, value in headers.items()}
    kept = {name: given[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", url, headers=kept, data=body)
    request.context["timestamp"] = given["x-amz-date"]
    request.headers["X-Amz-Date"] = given["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = given["x-amz-security-token"]
    auth = SigV4Auth(Credentials(KEY, SECRET, TOKEN), service, REGION)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"
