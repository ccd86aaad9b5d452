from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mcp_targets.local.supervisor.machine import bound, port_of

Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="session", params=["stateful", "stateless", "stateless-json"])
def sdk_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An SDK server in each of its ways to answer over HTTP."""
    listening = bound("127.0.0.1", 0)
    script = Path(__file__).with_name("sdk_server.py")
    process = subprocess.Popen(
        [sys.executable, str(script), request.param, str(listening.fileno())], pass_fds=[listening.fileno()]
    )
    try:
        _await(port_of(listening), process)
        yield f"http://127.0.0.1:{port_of(listening)}/mcp"
    finally:
        process.kill()
        process.wait()
        listening.close()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/nothing")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the SDK's server did not start")


Handler = Callable[[str, str, dict[str, str], bytes], Answer]


@contextmanager
def stub(handler: Handler) -> Iterator[str]:
    """A server that answers as a test says: ``(method, path, headers, body) -> (status, headers, body)``."""

    class Stub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, sent, data = handler(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in sent.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815  # the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # as it is inherited
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_json(document: Any, status: int = 200) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(document).encode()
