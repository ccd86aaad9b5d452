"""Starts the runtime as users' clients and platforms do: as a process, over HTTP or over pipes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

START = 30.0
"""Seconds a server may take to listen, on a busy machine."""

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


def make_bundle(folder: Path, source: str, **tool: Any) -> Path:
    """A bundle with one module `server` of that source, without `lib/`: this interpreter has the runtime."""
    (folder / "app").mkdir(parents=True)
    (folder / "app" / "server.py").write_text(source, encoding="utf-8")
    document = {"schema": 1, "name": "test-tool", "version": "1.2.3", "entrypoint": "server", "secrets": {}, "env": []}
    (folder / "tool.json").write_text(json.dumps(document | tool), encoding="utf-8")
    return folder


def fixture_bundle(folder: Path) -> Path:
    """The conformance fixture as a bundle."""
    folder.mkdir(parents=True)
    (folder / "app").symlink_to(Path(__file__).parents[1] / "conformance" / "fixture")
    document = {"schema": 1, "name": "conformance-fixture", "version": "1.0.0", "entrypoint": "everything"}
    document |= {"title": "Conformance", "instructions": "Call what you like", "description": "A fixture"}
    (folder / "tool.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def command(bundle: Path, *arguments: str, module: str = "mcp_tool") -> list[str]:
    """The command line that serves a bundle."""
    return [sys.executable, "-m", module, "serve", "--bundle", str(bundle), *arguments]


_WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(","), None))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def command_without(packages: Sequence[str], bundle: Path, *arguments: str, module: str = "mcp_tool") -> list[str]:
    """The same where these packages are not installed, such as "uvloop" and "httptools"."""
    python, _, _, *rest = command(bundle, *arguments)
    return [python, "-c", _WITHOUT, ",".join(packages), module, *rest]


@dataclass
class HttpServer:
    """A server that listens."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, body."""
        connection = self.connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def legacy(self, method: str, params: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """One request of the older era; the message with its answer."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        return message(self.request("POST", "/mcp", body, JSON | {"mcp-protocol-version": LEGACY} | headers)[2])

    def modern(self, method: str, params: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """One request of the newer era; the message with its answer."""
        sent = {"mcp-protocol-version": MODERN, "mcp-method": method}
        if "name" in params or "uri" in params:
            sent["mcp-name"] = params.get("name") or params["uri"]
        body = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": ENVELOPE}}
        ).encode()
        return message(self.request("POST", "/mcp", body, JSON | sent | headers)[2])

    def lines(self) -> list[dict[str, Any]]:
        """What it logged so far."""
        whole, _, _ = self.log.read_text(encoding="utf-8").rpartition("\n")  # the last one may be half written
        # At line feeds alone: what a client sent may hold what splitlines() takes for the end of a line.
        return [json.loads(line) for line in whole.split("\n") if line]

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


def message(body: bytes) -> dict[str, Any]:
    """The last JSON-RPC message of a body, JSON or event stream."""
    text = body.decode()
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")]
    answer: dict[str, Any] = json.loads(found[-1] if found else text)
    return answer


@contextlib.contextmanager
def http_server(
    bundle: Path,
    config: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    without: Sequence[str] = (),
    module: str = "mcp_tool",
) -> Iterator[HttpServer]:
    """Serve a bundle on a free port until the block ends, as if the packages of `without` were not installed."""
    log, settings = bundle / "stderr.log", bundle / "config.json"
    settings.write_text(json.dumps({"schema": 1, **(config or {})}), encoding="utf-8")
    given = ("--transport", "http", "--port", "0", "--config", str(settings), *arguments)
    if without:
        line = command_without(without, bundle, *given, module=module)
    else:
        line = command(bundle, *given, module=module)
    with log.open("wb") as stderr:
        process = subprocess.Popen(line, stdout=stderr, stderr=stderr, env={**os.environ, **(env or {})})
    try:
        yield HttpServer(process, _await_url(process, log), log)
    finally:
        process.kill()
        process.wait()


def _await_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines():
            if '"listening"' in line:
                url: str = json.loads(line)["url"]
                return url
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError(f"the server did not start ({process.poll()}):\n{log.read_text(encoding='utf-8')}")


@dataclass
class StdioServer:
    """A server on two pipes."""

    process: subprocess.Popen[bytes]

    @property
    def stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def send(self, **fields: Any) -> None:
        self.stdin.write(json.dumps({"jsonrpc": "2.0", **fields}).encode() + b"\n")
        self.stdin.flush()

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.stdout.readline())
        return answer

    def initialize(self, **capabilities: Any) -> dict[str, Any]:
        params = {
            "protocolVersion": LEGACY,
            "capabilities": capabilities,
            "clientInfo": {"name": "test", "version": "1"},
        }
        self.send(id="init", method="initialize", params=params)
        answer = self.receive()
        self.send(method="notifications/initialized")
        return answer

    def call(self, name: str, arguments: Mapping[str, Any] | None = None, identity: int = 1) -> None:
        self.send(id=identity, method="tools/call", params={"name": name, "arguments": dict(arguments or {})})


@contextlib.contextmanager
def stdio_server(
    bundle: Path, config: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> Iterator[StdioServer]:
    """Serve a bundle over pipes until the block ends."""
    arguments: list[str] = []
    if config is not None:
        (bundle / "config.json").write_text(json.dumps({"schema": 1, **config}), encoding="utf-8")
        arguments = ["--config", str(bundle / "config.json")]
    with (bundle / "stderr.log").open("wb") as stderr:
        process = subprocess.Popen(
            command(bundle, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **(env or {})},
        )
    try:
        yield StdioServer(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return _state(pid) not in {"", "Z"}


def _state(pid: int) -> str:
    if Path("/proc/self/stat").exists():
        try:
            told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return ""
        return told.rpartition(")")[2].split()[0]
    asked = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return asked.stdout.strip()[:1]
