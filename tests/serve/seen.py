"""Three servers that must look the same from outside: the app, a test double behind the seam, a server of the SDK's."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from tests.serve.process import JSON, LEGACY, HttpServer, http_server, make_bundle

Found = TypeVar("Found")

APP = '''
import asyncio
import logging
import threading
import time

from mcp_tool import ToolError, tool

logger = logging.getLogger("author")


@tool
def add(a: int, b: int = 0, password: str = "") -> int:
    """Add two numbers."""
    logger.info("adding in a thread")
    return a + b


@tool
async def told(text: str = "") -> str:
    """Log on the event loop."""
    logger.info("told %s", text)
    return "told"


@tool
def fail() -> str:
    """Fail as announced."""
    raise ToolError("no")


@tool
def crash() -> str:
    """Fail otherwise."""
    raise ValueError("no")


@tool(timeout=0.05)
async def slow() -> str:
    """Take too long."""
    await asyncio.sleep(60)
    return ""


@tool
async def hold() -> str:
    """Last."""
    await asyncio.sleep(60)
    return ""


@tool
async def block(seconds: float) -> str:
    """Hold up the event loop."""
    time.sleep(seconds)
    return ""
'''

WRAPPED = '''
import asyncio

from mcp.server import MCPServer

server = MCPServer("seen")


@server.tool()
def add(a: int, b: int = 0, password: str = "") -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no")


@server.tool()
def crash() -> str:
    """Fail otherwise; the SDK knows no difference."""
    raise ValueError("no")


@server.tool()
async def slow() -> str:
    """Take too long."""
    await asyncio.sleep(60)
    return ""


@server.tool()
async def hold() -> str:
    """Last."""
    await asyncio.sleep(60)
    return ""
'''


@dataclass(frozen=True)
class Kind:
    """One way to answer calls; `failures` is how each tool's end is counted."""

    name: str
    source: str
    entrypoint: str = "server"
    module: str = "mcp_tool"
    crash: str = "crash"
    timeout: float = 60.0

    def failures(self) -> dict[str, str]:
        return {"fail": "tool_error", "crash": self.crash, "slow": "timeout"}


KINDS = (
    Kind("app", APP),
    Kind("double", APP, module="tests.serve.seen_double"),
    Kind("wrapped", WRAPPED, "server:server", crash="tool_error", timeout=2.0),
)


def bundle_of(folder: Path, kind: Kind, **tool: Any) -> Path:
    """A bundle of that kind, with its contract, as a build leaves it."""
    bundle = make_bundle(folder, kind.source, name="seen", entrypoint=kind.entrypoint, **tool)
    line = [sys.executable, "-m", "mcp_tool", "contract", "--bundle", str(bundle)]
    subprocess.run([*line, "--output", str(bundle / "contract.json")], check=True, timeout=60)
    return bundle


@dataclass
class Watched:
    """A server, and what it tells of itself."""

    server: HttpServer
    kind: Kind
    contract: Mapping[str, Any]

    def call(self, name: str, arguments: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        return self.server.modern("tools/call", {"name": name, "arguments": dict(arguments or {})}, **headers)

    def older(self, name: str, arguments: Mapping[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        return self.server.legacy("tools/call", {"name": name, "arguments": dict(arguments or {})}, **headers)

    def status(self, name: str, **headers: str) -> int:
        """Only the HTTP status of a call."""
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}}
        sent = JSON | {"mcp-protocol-version": LEGACY} | headers
        return self.server.request("POST", "/mcp", json.dumps(message).encode(), sent)[0]

    def line(self, request_id: str, **fields: Any) -> dict[str, Any]:
        """The first line of a request with these fields; the answer may be there before the line is."""
        wanted = {"request_id": request_id, **fields}
        return wait_for(lambda: next((line for line in self.server.lines() if wanted.items() <= line.items()), None))

    def entries(self) -> list[dict[str, Any]]:
        """The audit entries on standard error."""
        return [line for line in self.server.lines() if line.get("stream") == "audit"]

    def metrics_url(self) -> str:
        port = wait_for(
            lambda: next((line["port"] for line in self.server.lines() if line["msg"] == "serving metrics"), None)
        )
        return f"http://127.0.0.1:{port}"

    def text(self) -> str:
        with urllib.request.urlopen(f"{self.metrics_url()}/metrics", timeout=20) as answer:
            text: str = answer.read().decode()
            return text

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample by name and labels, as Prometheus' own parser reads them."""
        return samples(self.text())

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a text, by name and labels; none may stand there twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


@contextlib.contextmanager
def watched(
    bundle: Path, kind: Kind, config: Mapping[str, Any], env: Mapping[str, str] | None = None
) -> Iterator[Watched]:
    """Serve a bundle of that kind."""
    serve = {"timeout": kind.timeout, **config.get("serve", {})}
    contract = json.loads((bundle / "contract.json").read_text(encoding="utf-8"))
    with http_server(bundle, {**config, "serve": serve}, env, module=kind.module) as server:
        yield Watched(server, kind, contract)


def wait_for(look: Callable[[], Found | None], seconds: float = 20.0) -> Found:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
    return found
