"""Real registries on loopback, and a proxy in front of one that misbehaves as it is told."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import subprocess
import threading
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from tests import real_parts

_DEADLINE = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def registry(
    folder: Path,
    *,
    http_settings: dict[str, Any] | None = None,
    auth: dict[str, Any] | None = None,
    storage: dict[str, Any] | None = None,
) -> Iterator[str]:
    """``docker-registry`` with its data in ``folder``, or where another's ``storage`` is; its ``host:port``."""
    address = str((http_settings or {}).get("addr") or f"127.0.0.1:{free_port()}")
    folder.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": storage or {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": address, **(http_settings or {})},
    }
    if auth:
        settings["auth"] = auth
    file = folder / "registry.yml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [real_parts.PARTS["docker-registry"](), "serve", file], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _until_listening(address, server, folder / "log")
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _until_listening(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + _DEADLINE
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        time.sleep(0.02)
    raise AssertionError(f"no registry: {log.read_text()}")


@dataclass
class Seen:
    """What went through the proxy: method and path of each request, and the bytes of bodies."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0

    def count(self, method: str) -> int:
        return sum(1 for name, _ in self.requests if name == method)


Rule = Callable[[str, str, int], int | tuple[int, dict[str, str]] | None]
"""``(method, path, how many before it)`` → nothing, a status to answer with (and headers), or -1: break half-way."""


@contextlib.contextmanager
def proxy(
    target: str, rule: Rule = lambda _method, _path, _before: None, *, delay: float = 0.0
) -> Iterator[tuple[str, Seen]]:
    """A proxy in front of a registry; ``delay`` seconds go by before each request is passed on."""
    seen = Seen()
    lock = threading.Lock()

    class Handler(_Passing):
        upstream = target

        def _pass(self) -> None:
            with lock:
                before = seen.count(self.command)
                seen.requests.append((self.command, self.path))
            time.sleep(delay)
            answer = rule(self.command, self.path, before)
            length = int(self.headers.get("content-length") or 0)
            if answer == -1:
                self.rfile.read(length // 2)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            body = self.rfile.read(length)
            with lock:
                seen.sent += len(body)
            if answer is None:
                self._forward(body)
                return
            status, headers = answer if isinstance(answer, tuple) else (answer, {})
            self._reply(status, headers, b'{"errors":[{"code":"TOLD","message":"as the test wants"}]}')

    with _serving(Handler) as address:
        yield address, seen


class _Passing(BaseHTTPRequestHandler):
    """Passes requests on to ``upstream``; a subclass says which."""

    protocol_version = "HTTP/1.1"
    upstream: ClassVar[str]

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle_one_request()

    def do_GET(self) -> None:
        self._pass()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - as above

    @abstractmethod
    def _pass(self) -> None: ...

    def _forward(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection(self.upstream, timeout=20)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        upstream.request(self.command, self.path, body, {**headers, "Host": self.headers["Host"]})
        response = upstream.getresponse()
        data = response.read()
        dropped = {"connection", "transfer-encoding"}
        kept = {name: value for name, value in response.getheaders() if name.lower() not in dropped}
        self._reply(response.status, kept, data)
        upstream.close()

    def _reply(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def token_front(target: str, asked: list[str], shown: list[str]) -> Iterator[str]:
    """A front that wants the token of a realm, and the realm itself, which knows ``person`` by ``secret-word``."""
    known = "Basic " + base64.b64encode(b"person:secret-word").decode()

    class Handler(_Passing):
        upstream = target

        def _pass(self) -> None:
            proof = self.headers.get("authorization", "")
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith("/token"):
                asked.append(self.path)
                name = b'{"token":"made-for-person"}'
                self._reply(200, {}, name) if proof == known else self._reply(401, {}, b"{}")
            elif proof.startswith("Bearer "):
                shown.append(proof)
                self._forward(body)
            else:
                realm = f'Bearer realm="http://{self.headers["Host"]}/token",service="test"'
                self._reply(401, {"WWW-Authenticate": realm}, b"{}")

    with _serving(Handler) as address:
        yield address
