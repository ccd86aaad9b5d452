"""What the manifest says of the server does what it says, deployed on this machine from nothing but that file."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mcp_packager.verify import McpClient, RefusedError
from tests import real_parts
from tests.pipeline.projects import data, destroyed_afterwards, project
from tests.pipeline.test_run import free_port

MANIFEST = """
[tool]
name = "told"
version = "1.0.0"
entrypoint = "server"

[secrets.REDIS]

[services.store]
external = "127.0.0.1:{redis}"
provides = {{ STORE = "{{host}}:{{port}}" }}

[serve]
max_body = "8KiB"
events = "env:REDIS"
rate = {{ calls = 1000, per = "1h", burst = {burst}, shared = true }}
trusted_proxies = ["127.0.0.0/8"]

[serve.metrics]
port = {metrics}

[serve.telemetry]
otlp = "http://127.0.0.1:{collector}"

[serve.audit]
to = "file"

[[verify.call]]
tool = "shout"
arguments = {{ text = "hello" }}
"""
PATIENCE = 60.0
BURST = 60
"""More than a deploy's own look takes, less than a client sends in a moment."""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A Redis with a password: its port and its whole address."""
    port = free_port()
    line = [str(real_parts.redis()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "opens"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: listens(port))
        yield port, f"redis://:opens@127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def collector() -> Iterator[tuple[int, list[str]]]:
    """Takes whatever is sent to it: its port, and the paths that were asked for."""
    seen: list[str] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as it is inherited
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def listens(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def asked(client: McpClient) -> int:
    try:
        client.list_tools()
    except RefusedError as error:
        return error.status
    return 200


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError):
            if look():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read(url: str, client: str = "192.0.2.1") -> str:
    request = urllib.request.Request(url, headers={"X-Forwarded-For": client})
    with urllib.request.urlopen(request, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.real("redis")
@pytest.mark.timeout(300)
def test_everything_at_once(tmp_path: Path, redis: tuple[int, str], collector: tuple[int, list[str]]) -> None:
    metrics = free_port()
    text = MANIFEST.format(redis=redis[0], burst=BURST, metrics=metrics, collector=collector[0])
    folder = project(tmp_path / "told", manifest=text)
    with destroyed_afterwards(folder):
        (done,) = data(folder, "deploy", "--yes", env={"REDIS": redis[1]})["deployments"]
        url = done["endpoint"]["url"]
        assert json.loads((folder / "mcp-tool.lock").read_text())["runtime"]["extras"] == ["fast", "otel", "redis"]

        client = McpClient(url, {"X-Forwarded-For": "192.0.2.1"})
        assert client.call_tool("shout", {"text": "abc"})["structuredContent"] == {"result": "ABC"}
        with pytest.raises(RefusedError) as large:
            client.call_tool("shout", {"text": "a" * 9000})
        assert large.value.status == 413

        # The proxy named in the manifest is believed, so each address has a rate of its own.
        assert 429 in {asked(client) for _ in range(BURST + 1)}
        assert asked(McpClient(url, {"X-Forwarded-For": "192.0.2.2"})) == 200

        eventually(lambda: "shout" in read(f"http://127.0.0.1:{metrics}/metrics"))
        with pytest.raises(urllib.error.HTTPError):
            read(url.replace("/mcp", "/metrics"))
        (audit,) = Path(os.environ["MCP_PACK_HOME"]).rglob("audit.log")
        eventually(lambda: '"shout"' in audit.read_text(encoding="utf-8"))
        assert data(folder, "status")["deployments"][0]["services"][0]["reachable"] is True
        assert not data(folder, "plan", env={"REDIS": redis[1]})["changes_due"]
    # What was not sent yet is sent when the server ends.
    assert any("/v1/traces" in path for path in collector[1])
