"""A function behind a port of this machine: for clients of ours that speak HTTP, where AWS wants something else.

One way invokes the function, a version without URL too, with the events that its URL would send; the other passes
requests on to its URL, signed with the credentials at hand.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from mcp_packager.errors import PackError

DOMAIN: Final = "invoked.lambda-url.invalid"
"""The name that an invoked function is told it was asked under; it belongs to nobody (RFC 2606)."""

_BAD_GATEWAY: Final = 502
_HOP: Final = frozenset({"connection", "host", "content-length", "transfer-encoding", "keep-alive", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Names of headers are in lower case; the path has its query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Answer = Callable[[Request], Response]


@contextmanager
def listening(answer: Answer) -> Iterator[str]:
    """Answer on loopback while the context is open; yields where, without a slash at the end.

    Whoever else is on this machine finds nothing: paths begin with a word that is told to nobody else.
    """
    word = f"/{secrets.token_urlsafe(16)}"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            if not self.path.startswith(f"{word}/"):
                self._send(Response(404, {}, b""))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path.removeprefix(word), headers, body)
            try:
                self._send(answer(request))
            except PackError as error:
                self._send(Response(_BAD_GATEWAY, {"content-type": "text/plain"}, str(error).encode()))

        def _send(self, response: Response) -> None:
            self.send_response(response.status)
            for name, value in response.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("content-length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_POST = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the standard library's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True, name="mcp-pack-lambda")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{word}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def event_of(request: Request, caller: Mapping[str, str] | None) -> dict[str, Any]:
    """A request as the event of a function URL, payload format 2.0 (Lambda developer guide, "Invoking URLs").

    ``caller`` is whom AWS has asked who they are: ``userArn`` and ``accountId``. The answer is wanted in one piece,
    also of a function that streams: only its URL passes a stream on.
    """
    path, _, query = request.path.partition("?")
    headers = {name: value for name, value in request.headers.items() if name not in _HOP}
    context: dict[str, Any] = {
        "domainName": DOMAIN,
        "http": {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        "stage": "$default",
        "mcpPack": {"answer": "whole"},
    }
    if caller is not None:
        context["authorizer"] = {"iam": dict(caller)}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {**headers, "host": DOMAIN},
        "requestContext": context,
        "body": base64.b64encode(request.body).decode(),
        "isBase64Encoded": True,
    }


def response_of(payload: bytes) -> Response | None:
    """What a function answered; ``None`` for what is no answer to such an event."""
    try:
        said = json.loads(payload)
        text = str(said.get("body") or "")
        body = base64.b64decode(text) if said.get("isBase64Encoded") else text.encode()
        return Response(int(said["statusCode"]), {str(k): str(v) for k, v in said.get("headers", {}).items()}, body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
