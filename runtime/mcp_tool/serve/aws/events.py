"""Lambda's HTTP events, as requests, and answers in the form that each of them wants.

Three forms come in (Lambda developer guide, "Invoking Lambda function URLs"; API Gateway developer guide, "Working with
AWS Lambda proxy integrations"; Elastic Load Balancing user guide, "Lambda functions as targets"):

    url   function URL, HTTP API: {"version": "2.0", "rawPath", "rawQueryString", "headers", "cookies", "body",
          "isBase64Encoded", "requestContext": {"http": {"method", "sourceIp"}, "domainName", "stage", "authorizer"}}
    rest  REST API, HTTP API in format 1.0: {"httpMethod", "path", "headers", "multiValueHeaders",
          "multiValueQueryStringParameters", "requestContext": {"domainName", "identity": {"sourceIp"}, "authorizer"}}
    alb   load balancer: {"httpMethod", "path", "headers" | "multiValueHeaders", "queryStringParameters" | …,
          "requestContext": {"elb": {"targetGroupArn"}}}; values of the query come as they were sent
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import unquote, urlencode

from mcp_tool.serve.http.gates import Platform

Form = Literal["url", "rest", "alb", "alb-multi"]
Raw = Sequence[tuple[bytes, bytes]]

MOST: Final[Mapping[Form, int]] = {"url": 6_291_456, "rest": 6_291_456, "alb": 1_000_000, "alb-multi": 1_000_000}
"""Bytes of an answer that is not streamed (Lambda quotas: 6 MB for synchronous calls; load balancer: 1 MB)."""

_OWN_HOP: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"upgrade"})
"""Headers about a connection; the one to the client is the platform's (RFC 9110, 7.6.1)."""

_TEXTUAL: Final = (b"application/json", b"text/")


class UnknownEventError(ValueError):
    """What the function was invoked with is no HTTP request."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came as an event.

    Attributes:
        form: Which form the event has, and the answer is to have.
        path, query: The path as it came, without the stage's prefix; the query encoded, without its `?`.
        headers: By lower-case name.
        platform: What the platform says of it.
        whole: Whether the answer is wanted in one piece though answers are streamed: who invokes the function itself
            asks so, with `{"mcpPack": {"answer": "whole"}}` in the `requestContext`.
    """

    form: Form
    method: str
    path: str
    query: str
    headers: Raw
    body: bytes
    platform: Platform
    whole: bool = False

    def scope(self) -> dict[str, Any]:
        """The ASGI scope, without what the platform says."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": self.platform.scheme,
            "path": unquote(self.path),
            "raw_path": self.path.encode(),
            "root_path": "",
            "query_string": self.query.encode(),
            "headers": list(self.headers),
            "client": (self.platform.address, 0),
            "server": (self.platform.host, 443 if self.platform.scheme == "https" else 80),
        }


def read(event: Any, host_is_ours: Callable[[str], bool]) -> Asked:
    """The request in an event.

    Args:
        event: As Lambda hands it over.
        host_is_ours: Whether a Host header names this server, where the platform has no word on it: behind a load
            balancer, whose rules may let any name through.

    Raises:
        UnknownEventError: It is none of the forms above.
    """
    match event:
        case {"version": "2.0", "requestContext": {"http": {"method": str()}}}:
            return _by_url(event)
        case {"requestContext": {"elb": dict()}, "httpMethod": str(), "path": str()}:
            return _by_balancer(event, host_is_ours)
        case {"requestContext": dict(), "httpMethod": str(), "path": str()}:
            return _by_rest(event)
        case _:
            msg = "the function was invoked with an event that is no HTTP request of a URL, an API or a load balancer"
            raise UnknownEventError(msg)


def _by_url(event: Mapping[str, Any]) -> Asked:
    context, http = event["requestContext"], event["requestContext"]["http"]
    headers = dict(event.get("headers") or {})
    if cookies := event.get("cookies"):
        headers["cookie"] = "; ".join(cookies)
    stage, path = context.get("stage") or "$default", event.get("rawPath") or "/"
    if stage != "$default":
        path = path.removeprefix(f"/{stage}") or "/"
    platform = Platform(
        host=context.get("domainName") or "", address=http.get("sourceIp") or "", identity=_identity(context)
    )
    return Asked(
        "url",
        http["method"],
        path,
        event.get("rawQueryString") or "",
        _raw(headers.items()),
        _body(event),
        platform,
        (context.get("mcpPack") or {}).get("answer") == "whole",
    )


def _by_rest(event: Mapping[str, Any]) -> Asked:
    context = event["requestContext"]
    many = event.get("multiValueQueryStringParameters") or _single(event.get("queryStringParameters"))
    platform = Platform(
        host=context.get("domainName") or "",
        address=(context.get("identity") or {}).get("sourceIp") or "",
        identity=_identity(context),
    )
    query = urlencode([(name, value) for name, values in many.items() for value in values])
    return Asked("rest", event["httpMethod"], event["path"], query, _raw(_headers(event)), _body(event), platform)


def _by_balancer(event: Mapping[str, Any], host_is_ours: Callable[[str], bool]) -> Asked:
    headers = _raw(_headers(event))
    found = dict(headers)
    host = found.get(b"host", b"").decode("latin-1")
    multi = event.get("multiValueHeaders") is not None
    many = event.get("multiValueQueryStringParameters") or _single(event.get("queryStringParameters"))
    # The balancer adds the address that it saw at the end of what the client may have written there itself.
    address = found.get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip()
    platform = Platform(
        host=host if host_is_ours(host) else "",
        scheme=found.get(b"x-forwarded-proto", b"https").decode("latin-1"),
        address=address,
        identity={"elb": event["requestContext"]["elb"]},
    )
    query = "&".join(f"{name}={value}" for name, values in many.items() for value in values)
    form: Form = "alb-multi" if multi else "alb"
    return Asked(form, event["httpMethod"], event["path"], query, headers, _body(event), platform)


def _identity(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What `mcp_tool.serve.auth.platform` reads of the caller; None where the platform has asked nobody."""
    told = {name: context[name] for name in ("authorizer", "identity") if context.get(name)}
    return told or None


def _headers(event: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    many = event.get("multiValueHeaders")
    if many is not None:
        return ((name, value) for name, values in many.items() for value in values)
    return (event.get("headers") or {}).items()


def _single(given: Mapping[str, str] | None) -> Mapping[str, Sequence[str]]:
    return {name: (value,) for name, value in (given or {}).items()}


def _raw(headers: Iterable[tuple[str, str]]) -> Raw:
    return [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in headers]


def _body(event: Mapping[str, Any]) -> bytes:
    text = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return text.encode() if isinstance(text, str) else b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        msg = "the event's body is said to be base64 and is not"
        raise UnknownEventError(msg) from None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, whole."""

    status: int
    headers: Raw
    body: bytes


def write(answer: Answered, form: Form) -> dict[str, Any]:
    """The answer as the event's form wants it."""
    headers = [(name, value) for name, value in answer.headers if name not in _OWN_HOP]
    text, coded = _text(answer.body, dict(headers).get(b"content-type", b""))
    written: dict[str, Any] = {"statusCode": answer.status, "body": text, "isBase64Encoded": coded}
    match form:
        case "url":
            return {**written, **joined(headers)}
        case "rest" | "alb-multi":
            written["multiValueHeaders"] = _multi(headers)
        case "alb":
            written["headers"] = {name: values[-1] for name, values in _multi(headers).items()}
    if form != "rest":
        written["statusDescription"] = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    return written


def joined(headers: Raw) -> dict[str, Any]:
    """Headers in payload format 2.0, which is also that of a stream's prelude: each once, cookies apart."""
    found: dict[str, str] = {}
    cookies = []
    for name, value in headers:
        if name in _OWN_HOP:
            continue
        if name == b"set-cookie":
            cookies.append(value.decode("latin-1"))
            continue
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return {"headers": found, "cookies": cookies} if cookies else {"headers": found}


def too_large(written: Mapping[str, Any], form: Form) -> bool:
    """Whether the platform would refuse to pass an answer on: what counts is its size as JSON."""
    body = written["body"]
    if len(body) * 6 < MOST[form]:  # an escape takes six signs at most
        return False
    return len(json.dumps(written, ensure_ascii=False).encode("utf-8", "surrogatepass")) > MOST[form]


def _multi(headers: Raw) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found


def _text(body: bytes, kind: bytes) -> tuple[str, bool]:
    if not body or kind.startswith(_TEXTUAL):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(body).decode("ascii"), True
