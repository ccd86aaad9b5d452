"""What stands in front of a function beside its URL: HTTP APIs and load balancers, each a server on loopback.

A request becomes the event that AWS would make of it, and Lambda is asked with AWS's own name, by the right that a
function's policy gives it or not.
"""

from __future__ import annotations

import base64
import fnmatch
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from mcp_packager.testing.aws import signatures
from mcp_packager.testing.aws.account import ACCOUNT, REGION
from mcp_packager.testing.aws.gateway import Api
from mcp_packager.testing.aws.running import Invoked
from mcp_packager.testing.aws.urls import KNOWN_HOSTS, Caller, event_of, folded

_MOST_BALANCED = 1_048_576
"""Bytes of a request to a function behind a load balancer (Elastic Load Balancing user guide, "Lambda functions as
targets")."""
_REST = {"content-type": "application/json"}
_PLAIN = {"content-type": "text/plain"}

Led = Callable[[str, str, str, Mapping[str, Any]], Invoked | None]
"""Invokes the function of an ARN, for a service by its name and the ARN of what asks; ``None``: it may or can not."""


@dataclass(frozen=True)
class Question:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    handler: BaseHTTPRequestHandler


Reply = tuple[int, Mapping[str, Any], bytes]
Answer = Callable[[Question], Reply]


class Fronts:
    """All of them, by a name each."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[ThreadingHTTPServer, threading.Thread]] = {}

    def open(self, name: str, answer: Answer) -> str:
        """Serve one; its address, without a slash at the end."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Answering,), {"answering": (answer,)}))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._servers[name] = (server, thread)
        return f"http://127.0.0.1:{server.server_port}"

    def close(self, name: str) -> None:
        """Serve it no longer."""
        server, thread = self._servers.pop(name)
        server.shutdown()
        server.server_close()
        thread.join(10)

    def close_all(self) -> None:
        """Serve none any longer."""
        for name in list(self._servers):
            self.close(name)


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answering: tuple[Answer]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        status, headers, said = self.answering[0](Question(self.command, self.path, folded(self.headers), body, self))
        self.send_response_only(status)
        for name, value in headers.items():
            for each in value if isinstance(value, list) else [value]:
                self.send_header(name, each)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_DELETE = do_OPTIONS = do_PUT = do_HEAD = _answer  # noqa: N815 - the standard library's names

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def by_api(api: Api, led: Led, question: Question) -> Reply:
    """What an HTTP API answers (API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs")."""
    route = api.route(question.method, question.path.partition("?")[0])
    if route is None:
        return 404, _REST, b'{"message":"Not Found"}'
    caller = None
    if route.get("authorizationType") == "AWS_IAM":
        address = f"http://{question.headers.get('host', '')}{question.path}"
        key = signatures.signer(question.method, address, question.headers, question.body, "execute-api")
        if key is None:
            return 403, _REST, b'{"message":"Forbidden"}'
        caller = Caller(key)
    one = api.said["apiId"]
    domain = f"{one}.execute-api.{REGION}.amazonaws.com"
    own = question.headers.get("host", "").startswith(KNOWN_HOSTS)
    headers = {**question.headers, "host": domain} if own else question.headers
    event = event_of(question.handler, headers, question.body, domain, caller)
    context = {**event["requestContext"], "routeKey": route["routeKey"], "accountId": ACCOUNT}
    integration = api.integrations[route["target"].removeprefix("integrations/")]
    source = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{one}/$default/{question.method}{question.path}"
    invoked = led(
        integration["integrationUri"],
        "apigateway.amazonaws.com",
        source,
        {**event, "routeKey": route["routeKey"], "requestContext": context},
    )
    if invoked is None or invoked.failed:
        return 500, _REST, b'{"message":"Internal Server Error"}'
    return _said(invoked.document, invoked.document.get("headers", {}))


def by_balancer(arn: str, led: Led, question: Question) -> Reply:
    """What a load balancer's listener answers (Elastic Load Balancing user guide, "Lambda functions as targets")."""
    from moto.elbv2.models import elbv2_backends

    backend = elbv2_backends[ACCOUNT][REGION]
    listeners = [one for each in backend.load_balancers.values() for one in each.listeners.values() if one.arn == arn]
    (listener,) = listeners
    rules = [one for one in listener.rules.values() if not getattr(one, "is_default", False)]
    path = question.path.partition("?")[0]
    host = question.headers.get("host", "").rpartition(":")[0] or question.headers.get("host", "")
    for rule in sorted(rules, key=lambda one: int(one.priority)):
        if all(_holds(condition, host, path) for condition in rule.conditions):
            group = backend.target_groups[rule.actions[0].data["TargetGroupArn"]]
            return _by_group(group, led, question)
    return 404, _PLAIN, b"nobody is here"


def _by_group(group: Any, led: Led, question: Question) -> Reply:
    if len(question.body) > _MOST_BALANCED:
        return 413, _PLAIN, b"Request Entity Too Large"
    if not group.targets:
        return 503, _PLAIN, b"Service Temporarily Unavailable"
    (target,) = group.targets
    multi = group.attributes.get("lambda.multi_value_headers.enabled") == "true"
    invoked = led(target, "elasticloadbalancing.amazonaws.com", group.arn, _balanced(question, group.arn, multi=multi))
    # The same page: an error of the function, or an answer of another form than was asked for, is a 502.
    form = "multiValueHeaders" if multi else "headers"
    if invoked is None or invoked.failed or form not in invoked.document:
        return 502, _PLAIN, b"Bad Gateway"
    return _said(invoked.document, invoked.document[form])


def _balanced(question: Question, group: str, *, multi: bool) -> dict[str, Any]:
    path, _, query = question.path.partition("?")
    seen = {**question.headers, "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-port": "80"}
    pairs = parse_qsl(query, keep_blank_values=True)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    values = (
        {"multiValueHeaders": {name: [value] for name, value in seen.items()}, "multiValueQueryStringParameters": many}
        if multi
        else {"headers": seen, "queryStringParameters": dict(pairs)}
    )
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": question.method,
        "path": path,
        **values,
        "body": base64.b64encode(question.body).decode(),
        "isBase64Encoded": True,
    }


def _holds(condition: Mapping[str, Any], host: str, path: str) -> bool:
    match condition["Field"]:
        case "host-header":
            return any(fnmatch.fnmatch(host.lower(), one.lower()) for one in condition["HostHeaderConfig"]["Values"])
        case "path-pattern":
            return any(fnmatch.fnmatchcase(path, one) for one in condition["PathPatternConfig"]["Values"])
        case _:
            return False


def _said(document: Mapping[str, Any], headers: Mapping[str, Any]) -> Reply:
    raw = document.get("body") or ""
    body = base64.b64decode(raw) if document.get("isBase64Encoded") else raw.encode()
    return int(document["statusCode"]), headers, body
