"""HTTP in front of a function in the emulator: each request becomes an event, and its answer an HTTP answer.

What a function URL does, as far as clients see it. One request at a time, as in one execution environment.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.lambda_.asking import DOMAIN
from tests.lambda_.emulator import Emulated


@contextlib.contextmanager
def bridged(function: Emulated) -> Iterator[str]:
    """Serve the function on loopback until the block ends; yields the endpoint's URL."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            event = _event(self, self.rfile.read(length))
            with turn:
                invoked = function.invoke(event)
            if invoked.failed:
                self.send_error(502)
                return
            answer = invoked.document
            body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
            self.send_response(answer["statusCode"])
            for name, value in answer.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the standard library's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _event(request: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
    """The request as an event: names in lower case, the host under which the function is known."""
    path, _, query = request.path.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    # Who tests rebinding sends a host of its own, which a function URL would not let through to this function.
    own = headers.get("host", "").startswith(("127.0.0.1", "localhost"))
    if own:
        headers["host"] = DOMAIN
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "domainName": DOMAIN,
            "http": {"method": request.command, "path": path, "sourceIp": "127.0.0.1"},
            "stage": "$default",
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
