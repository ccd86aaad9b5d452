"""Function URLs: each an address of its own on loopback, in front of which stands what AWS asks of a caller."""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from mcp_packager.testing.aws import signatures
from mcp_packager.testing.aws.access import let_through
from mcp_packager.testing.aws.account import ACCOUNT, REGION
from mcp_packager.testing.aws.running import CutError, Invoked, Streamed
from mcp_packager.testing.aws.state import Function, Url

_FORBIDDEN = (
    '{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'
)
KNOWN_HOSTS = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Caller:
    """Whose signature a request carries."""

    key: str
    account: str = ACCOUNT


Through = Callable[[Function, Url, Mapping[str, Any]], Invoked | Streamed | None]
"""Invokes what a URL leads to; ``None`` where Lambda would not (throttled)."""


class Urls:
    """The servers of all URLs. They are told apart by their ports."""

    def __init__(self) -> None:
        self.through: Through = lambda *_: None
        self._servers: dict[str, tuple[ThreadingHTTPServer, threading.Thread]] = {}

    def open(self, function: Function, url: Url) -> str:
        """Serve a URL; its address, with a slash at the end."""
        handler = type("Handler", (_Answering,), {"function": function, "url": url, "through": (self.through,)})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        self._servers[url.identity] = (server, thread)
        return f"http://127.0.0.1:{server.server_port}/"

    def close(self, url: Url) -> None:
        """Serve it no longer."""
        server, thread = self._servers.pop(url.identity)
        server.shutdown()
        server.server_close()
        thread.join(10)

    def close_all(self) -> None:
        """Serve none any longer."""
        for identity in list(self._servers):
            server, thread = self._servers.pop(identity)
            server.shutdown()
            server.server_close()
            thread.join(10)


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    function: Function
    url: Url
    through: tuple[Through]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = folded(self.headers)
        own = headers.get("host", "").startswith(KNOWN_HOSTS)
        caller = None
        if self.url.auth == "AWS_IAM":
            key = signatures.signer(self.command, self._address(), headers, body, "lambda")
            caller = Caller(key) if key else None
            if caller is None:
                self._reply(403, {"content-type": "application/json"}, _FORBIDDEN.encode())
                return
        if not let_through(self.function, self.url, caller.account if caller else None):
            self._reply(403, {"content-type": "application/json"}, _FORBIDDEN.encode())
            return
        domain = f"{self.url.identity}.lambda-url.{REGION}.on.aws"
        # Who tests rebinding sends a host of its own, which a function URL would not let through to this function.
        event = event_of(self, {**headers, "host": domain} if own else headers, body, domain, caller)
        invoked = self.through[0](self.function, self.url, event)
        if invoked is None:
            self._reply(
                429,
                {"content-type": "application/json"},
                b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"}',
            )
        elif isinstance(invoked, Streamed):
            self._stream(invoked)
        elif invoked.failed:
            # Lambda developer guide, "Invoking Lambda function URLs": an error of the function is a 502.
            self._reply(502, {"content-type": "application/json"}, b'{"Message":"Internal Server Error"}')
        else:
            answer = invoked.document
            raw = answer.get("body") or ""
            data = base64.b64decode(raw) if answer.get("isBase64Encoded") else raw.encode()
            self._reply(answer["statusCode"], answer.get("headers", {}), data)

    do_GET = do_POST = do_DELETE = do_OPTIONS = do_PUT = do_HEAD = _answer  # noqa: N815 - the standard library's names

    def _address(self) -> str:
        port = urlsplit(self.url.address).port
        return f"http://{self.headers.get('host', f'127.0.0.1:{port}')}{self.path}"

    def _reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, answer: Streamed) -> None:
        """Pass each piece on as it comes (Lambda developer guide, "Response streaming for Lambda functions")."""
        with contextlib.closing(answer.pieces) as pieces, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response_only(answer.head["statusCode"])
            for name, value in answer.head.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            try:
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except CutError:
                self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def folded(headers: Message) -> dict[str, str]:
    """Headers as an event has them: each once, its name in lower case."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]},{value}" if key in found else value
    return found


def event_of(
    request: BaseHTTPRequestHandler, headers: Mapping[str, str], body: bytes, domain: str, caller: Caller | None
) -> dict[str, Any]:
    """The event (payload format 2.0; Lambda developer guide, "Invoking Lambda function URLs")."""
    path, _, query = request.path.partition("?")
    context: dict[str, Any] = {
        "accountId": caller.account if caller else "anonymous",
        "apiId": domain.partition(".")[0],
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": request.command,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": headers.get("user-agent", ""),
        },
        "routeKey": "$default",
        "stage": "$default",
    }
    if caller is not None:
        context["authorizer"] = {
            "iam": {
                "accessKey": caller.key,
                "accountId": caller.account,
                "callerId": "AIDAEXAMPLE",
                "userArn": f"arn:aws:iam::{caller.account}:user/caller",
                "userId": "AIDAEXAMPLE",
            }
        }
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers),
        "requestContext": context,
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
