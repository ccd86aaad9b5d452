"""What the log says a request was, for every kind of request, whoever serves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serve.process import ENVELOPE, JSON, LEGACY, MODERN, HttpServer, http_server, make_bundle
from tests.serve.test_http import eventually

OWN = '''
from mcp_tool import RpcError, tool


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
def refuse() -> str:
    """Answer with an error of the protocol."""
    raise RpcError(-32042, "no")
'''

WRAPPED = '''
from mcp.server import MCPServer
from mcp.shared.exceptions import MCPError

server = MCPServer("theirs")


@server.tool()
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@server.tool()
def refuse() -> str:
    """Answer with an error of the protocol."""
    raise MCPError(-32042, "no")
'''

HELLO = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "older", "version": "0.1"}}


@pytest.fixture(scope="module", params=["own", "wrapped"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    folder = tmp_path_factory.mktemp(request.param)
    own = request.param == "own"
    bundle = make_bundle(folder / "bundle", OWN if own else WRAPPED, entrypoint="server" if own else "server:server")
    with http_server(bundle) as running:
        yield running


def line(server: HttpServer, before: int) -> dict[str, Any]:
    """The one line that the log has got since it had `before`."""

    def found() -> list[dict[str, Any]]:
        return [line for line in server.lines() if line.get("msg") == "request"][before:]

    assert eventually(lambda: len(found()) == 1), found()
    return found()[0]


def lines(server: HttpServer) -> int:
    return sum(line.get("msg") == "request" for line in server.lines())


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("initialize", HELLO, {"protocol": "2025-03-26", "client": "older/0.1", "outcome": "ok"}),
        ("ping", {}, {"protocol": LEGACY, "outcome": "ok"}),
        ("tools/list", {}, {"protocol": LEGACY, "outcome": "ok"}),
        ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, {"tool": "add", "outcome": "ok"}),
        ("tools/call", {"name": "refuse", "arguments": {}}, {"outcome": "failed", "error_type": "-32042"}),
        ("prompts/get", {"name": "none"}, {"outcome": "failed"}),
    ],
)
def test_of_older_clients(server: HttpServer, method: str, params: dict[str, Any], expected: dict[str, str]) -> None:
    before = lines(server)
    server.legacy(method, params)
    assert ({"method": method} | expected).items() <= line(server, before).items()


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("server/discover", {}, {"outcome": "ok"}),
        ("tools/list", {}, {"outcome": "ok"}),
        ("tools/call", {"name": "add", "arguments": {"a": 1, "b": 2}}, {"tool": "add", "outcome": "ok"}),
        ("tools/call", {"name": "refuse", "arguments": {}}, {"outcome": "failed", "error_type": "-32042"}),
        ("prompts/get", {"name": "none"}, {"outcome": "failed"}),
    ],
)
def test_of_newer_clients(server: HttpServer, method: str, params: dict[str, Any], expected: dict[str, str]) -> None:
    before = lines(server)
    server.modern(method, params)
    assert {"method": method, "protocol": MODERN, "client": "test/1", **expected}.items() <= line(
        server, before
    ).items()


def test_what_a_client_calls_itself_is_one_short_line(server: HttpServer) -> None:
    before = lines(server)
    strange = ENVELOPE | {"io.modelcontextprotocol/clientInfo": {"name": "a\nb\x1b" + "c" * 5000, "version": "1"}}
    document = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": strange}}
    head = {**JSON, "mcp-protocol-version": MODERN, "mcp-method": "tools/list"}
    assert server.request("POST", "/mcp", json.dumps(document).encode(), head)[0] == 200
    named = line(server, before)["client"]
    assert named.startswith("a?b?ccc")
    assert len(named) <= 100
