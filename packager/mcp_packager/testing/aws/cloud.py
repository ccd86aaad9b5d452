"""The fake as a whole: one address for all services of AWS, and what tests see and do behind it."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mcp_packager.testing.aws import others, signatures, wire
from mcp_packager.testing.aws.access import may_invoke
from mcp_packager.testing.aws.account import ACCOUNT, ECR, PRESIGNED, REGION, Account, named
from mcp_packager.testing.aws.environments import Environments
from mcp_packager.testing.aws.faults import Faults
from mcp_packager.testing.aws.fronts import Fronts, by_api, by_balancer
from mcp_packager.testing.aws.gateway import Gateway
from mcp_packager.testing.aws.lambda_ import OPERATIONS
from mcp_packager.testing.aws.others import Response
from mcp_packager.testing.aws.processes import started
from mcp_packager.testing.aws.refusals import RefusedError, conflict
from mcp_packager.testing.aws.running import Invoked, Start, Streamed
from mcp_packager.testing.aws.state import LATEST, Function, Url, Version
from mcp_packager.testing.aws.urls import Urls

_MOST_PAYLOAD = 6_291_556
_TAIL = 4096
"""Bytes of the log that an invocation answers (Lambda API reference, Invoke, ``LogType``)."""
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[a-z0-9-]*/([a-z0-9-]+)/aws4_request")
_THROTTLED = ("ThrottlingException", "Rate exceeded")
_BALANCING = "elasticloadbalancing.amazonaws.com"
_TOO_MANY = RefusedError(429, "TooManyRequestsException", "Rate Exceeded.")


@dataclass
class Cloud:
    """One account of AWS.

    Attributes:
        url: Where all of its services are.
        account: What there is of Lambda.
        faults: What was asked, and what goes wrong.
    """

    url: str
    account: Account
    faults: Faults
    environments: Environments
    lock: threading.RLock
    fronts: Fronts = field(default_factory=Fronts)

    @cached_property
    def gateway(self) -> Gateway:
        """What there is of API Gateway."""

        def opened(api: str) -> str:
            return self.fronts.open(api, lambda asked: by_api(self.gateway.apis[api], self.led, asked))

        return Gateway(opened, self.fronts.close)

    def balancer(self, listener: str) -> str:
        """Serve what a listener of a load balancer leads to; its address, without a slash at the end."""
        return self.fronts.open(listener, partial(by_balancer, listener, self.led))

    @property
    def environ(self) -> dict[str, str]:
        """What a deployer's environment says of it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": signatures.KEY,
            "AWS_SECRET_ACCESS_KEY": signatures.SECRET,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of a service that lets errors through at once."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=signatures.KEY,
            aws_secret_access_key=signatures.SECRET,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def left(self) -> list[str]:
        """Everything that is there."""
        from moto.cloudwatch.models import cloudwatch_backends
        from moto.elbv2.models import elbv2_backends
        from moto.iam.models import iam_backends
        from moto.logs.models import logs_backends
        from moto.ssm.models import ssm_backends

        kinds: dict[str, Mapping[str, Any]] = {
            "function": self.account.functions,
            "role": {role.name: role for role in iam_backends[ACCOUNT]["aws"].roles.values()},
            "log group": logs_backends[ACCOUNT][REGION].groups,
            "alarm": cloudwatch_backends[ACCOUNT][REGION].alarms,
            "HTTP API": {one.said["name"]: one for one in self.gateway.apis.values()},
            "target group": {one.name: one for one in elbv2_backends[ACCOUNT][REGION].target_groups.values()},
            "parameter": dict(ssm_backends[ACCOUNT][REGION]._parameters.items()),  # noqa: SLF001 - moto lists them by request alone
        }
        return [f"{kind} {name}" for kind, there in kinds.items() for name in sorted(there)]

    def unverified(self) -> list[str]:
        """Versions that an alias was set to before anybody had called them by their number."""
        return [f"{move.alias} {move.number}" for move in self.account.moves if not move.was_called]

    def invoke(self, asked: Mapping[str, Any]) -> Response:
        """Invoke."""
        with self.lock:
            function = self.account.function(asked)
            qualifier = asked.get("Qualifier", "")
            version = _chosen(function, qualifier)
            if len(asked.get("Payload", b"")) > _MOST_PAYLOAD:
                raise RefusedError(
                    413, "RequestTooLargeException", f"Request must be smaller than {_MOST_PAYLOAD} bytes"
                )
            if asked.get("InvocationType") == "DryRun":
                return 204, {}, b""
            _ready(function, version)
        invoked, lines = self.environments.invoke(function, version, json.loads(asked.get("Payload") or b"null"))
        with self.lock:
            if not invoked.failed and qualifier == version.number:
                self.account.called.add(f"{function.name}:{version.number}")
        headers = {"x-amz-executed-version": version.number, "content-type": "application/json"}
        if invoked.failed:
            headers["x-amz-function-error"] = "Unhandled"
        if asked.get("LogType") == "Tail":
            headers["x-amz-log-result"] = base64.b64encode("\n".join(lines).encode()[-_TAIL:]).decode()
        return 200, headers, json.dumps(invoked.document).encode()

    def through(self, function: Function, url: Url, event: Mapping[str, Any]) -> Invoked | Streamed | None:
        """What a URL leads to."""
        with self.lock:
            try:
                version = _chosen(function, url.qualifier)
                _ready(function, version)
            except RefusedError:
                return None
        if url.mode == "RESPONSE_STREAM":
            return self.environments.stream(function, version, event)[0]
        return self.environments.invoke(function, version, event)[0]

    def led(self, arn: str, service: str, source: str, event: Mapping[str, Any]) -> Invoked | None:
        """What another service of AWS gets of a function that it invokes; ``None``: it may not, or cannot."""
        name, _, qualifier = arn.rpartition(":function:")[2].partition(":")
        with self.lock:
            try:
                function = self.account.function({"FunctionName": name})
                version = _chosen(function, qualifier)
                _ready(function, version)
            except RefusedError:
                return None
            if not may_invoke(function, qualifier, service, source):
                return None
        return self.environments.invoke(function, version, event)[0]

    def _leadable(self, body: bytes) -> None:
        """Hold that a load balancer may invoke what it is to lead to (its answer: ansible/ansible#52253)."""
        asked = {name: value for name, (value, *_) in parse_qs(body.decode()).items()}
        group, target = asked["TargetGroupArn"], asked["Targets.member.1.Id"]
        name, _, qualifier = target.rpartition(":function:")[2].partition(":")
        function = self.account.functions.get(name)
        if function is None or not may_invoke(function, qualifier, _BALANCING, group):
            said = (
                f"elasticloadbalancing principal does not have permission to invoke {target} from target group {group}"
            )
            raise RefusedError(403, "AccessDenied", said)

    def operation(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str, Any]:
        """Which service is asked for what; the last is for Lambda's own use."""
        found = _SCOPE.search(headers.get("authorization", ""))
        service = found[1] if found else "sts"
        if service == "apigateway":
            return service, self.gateway.operation(method, path), None
        if service == "lambda":
            try:
                route, asked = wire.read(method, path, headers, body)
            except LookupError:
                return service, f"{method} {path}", None
            return service, route.name, (route, asked)
        if "x-amz-target" in headers:
            return service, headers["x-amz-target"].rpartition(".")[2], None
        if "/operation/" in path:  # Smithy's RPC protocol names it in the path
            return service, path.rpartition("/")[2], None
        action = parse_qs(body.decode("utf-8", "replace")).get("Action") if service != "s3" else None
        return service, action[0] if action else f"{method} {path.partition('?')[0]}", None

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Response | None:
        """What one request is answered; ``None``: nothing at all."""
        if path.startswith(PRESIGNED):
            return 200, {}, (Path(self.account.folder) / path.removeprefix(PRESIGNED)).read_bytes()
        service, operation, detail = self.operation(method, path, headers, body)
        fate = self.faults.before(service, operation)
        if fate == "gone":
            return None
        try:
            if fate == "throttle":
                answer = _refusal(service, RefusedError(400 if service == "ssm" else 429, *_THROTTLED))
            elif service == "lambda":
                answer = self._lambda(operation, detail)
            elif service == "apigateway":
                with self.lock:
                    answer = self.gateway.answer(method, path, body)
            else:
                others.check(service, operation, body)
                if operation == "RegisterTargets":
                    self._leadable(body)
                answer = others.forwarded(service, method, path, headers, body)
                if service == "ecr":
                    answer = others.at(self.account.registry, answer)
        except RefusedError as error:
            answer = _refusal(service, error)
        if fate == "lose":
            self.faults.after()
            return None
        return answer

    def _lambda(self, operation: str, detail: Any) -> Response:
        if detail is None or (operation not in OPERATIONS and operation != "Invoke"):
            return 404, {"content-type": "application/json"}, b'{"message":"the fake of Lambda does not know this"}'
        route, asked = detail
        if operation == "Invoke":
            return self.invoke(asked)
        with self.lock:
            said = OPERATIONS[operation](self.account, asked)
            self._forget(asked)
        status = said.get("StatusCode", route.status) if operation == "DeleteFunction" else route.status
        return status, {"content-type": "application/json"}, b"" if status == 204 else json.dumps(said).encode()

    def _forget(self, asked: Mapping[str, Any]) -> None:
        if "FunctionName" not in asked:
            return
        name = named(asked)
        function = self.account.functions.get(name)
        if function is None:
            gone = Function(name, f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}", _NOTHING)
            self.environments.forget(gone, {})
            return
        there = {one.number: one.revision for one in (function.latest, *function.versions.values())}
        self.environments.forget(function, there)


_NOTHING: Any = None


def _chosen(function: Function, qualifier: str) -> Version:
    if qualifier in function.aliases:
        return function.version(function.aliases[qualifier].chosen())
    return function.version(qualifier)


def _ready(function: Function, version: Version) -> None:
    if function.reserved == 0:
        raise _TOO_MANY
    if version.settling and (version.fresh or version.number != LATEST):
        raise conflict(
            "The operation cannot be performed at this time. The function is currently in the following state: Pending"
        )


def _refusal(service: str, error: RefusedError) -> Response:
    headers = {"x-amzn-errortype": error.code, "content-type": "application/json"}
    if service in {"iam", "sts", "elasticloadbalancing"}:
        text = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{error.code}</Code><Message>{error.message}</Message>"
            f"</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
        )
        return error.status, {"content-type": "text/xml"}, text.encode()
    name = "Message" if service == "lambda" else "message"
    document = {"Type": "User", name: error.message} if service == "lambda" else {name: error.message}
    return error.status, headers, json.dumps({**document, "__type": error.code}).encode()


class _Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud: Cloud

    def _answer(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.cloud.answer(self.command, self.path, headers, body)
        if answer is None:
            self.close_connection = True
            return
        status, said, text = answer
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response_only(status)
            for name, value in {"x-amzn-requestid": str(uuid.uuid4()), **said}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = do_PATCH = _answer  # noqa: N815 - the standard library's names

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        return True

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def running(
    folder: Path, *, start: Start = started, slow: int = 1, shy: int = 1, registry: str = ECR
) -> Iterator[Cloud]:
    """Serve an account on loopback until the block ends.

    Args:
        folder: For zips and logs.
        start: Runs functions; plain processes by default.
        slow: How many looks find a function still being made or changed.
        shy: How often a new role is said not to be assumable.
        registry: ``host:port`` of a registry that stands for ECR: whose repositories are said to be there.
    """
    from moto import mock_aws

    code, logs = folder / "code", folder / "logs"
    code.mkdir()
    logs.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Front)
    server.daemon_threads = True
    address = f"http://127.0.0.1:{server.server_port}"
    around = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": signatures.KEY,
        "AWS_SECRET_ACCESS_KEY": signatures.SECRET,
        "AWS_ENDPOINT_URL_SSM": address,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": address,
    }
    environments = Environments(logs, around, others.write_line, start)
    lock = threading.RLock()
    urls = Urls()
    account = Account(others.trusted, urls.open, urls.close, str(code), slow, shy, registry=registry, address=address)
    cloud = Cloud(address, account, Faults(), environments, lock)
    urls.through = cloud.through
    server.RequestHandlerClass = type("Front", (_Front,), {"cloud": cloud})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    with mock_aws():
        thread.start()
        try:
            yield cloud
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)
            urls.close_all()
            cloud.fronts.close_all()
            environments.close()
