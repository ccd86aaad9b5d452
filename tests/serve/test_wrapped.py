"""A server written with another library is served over the same transports, by the same rules."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.serve.process import HttpServer, command, http_server, make_bundle

SDK = '''
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from starlette.requests import Request
from starlette.responses import PlainTextResponse

print("printed while importing")


@asynccontextmanager
async def lifespan(server: MCPServer) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


server = MCPServer("theirs", version="3.1", instructions="Theirs", lifespan=lifespan)


@server.tool()
def greet(name: str, ctx: Context) -> str:
    """Greet somebody."""
    print("printed while serving")
    return f"{ctx.request_context.lifespan_context['greeting']} {name}"


@server.custom_route("/extra", methods=["GET"])
async def extra(request: Request) -> PlainTextResponse:
    return PlainTextResponse("extra")
'''

FASTMCP = '''
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastmcp import Context, FastMCP
from starlette.requests import Request
from starlette.responses import PlainTextResponse

print("printed while importing")


@asynccontextmanager
async def lifespan(server: FastMCP) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "hello"}


server = FastMCP("theirs", version="3.1", instructions="Theirs", lifespan=lifespan)


@server.tool
def greet(name: str, ctx: Context) -> str:
    """Greet somebody."""
    print("printed while serving")
    return f"{ctx.lifespan_context['greeting']} {name}"


@server.custom_route("/extra", methods=["GET"])
async def extra(request: Request) -> PlainTextResponse:
    return PlainTextResponse("extra")
'''


@pytest.fixture(scope="module", params=["sdk", "fastmcp"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = {"sdk": SDK, "fastmcp": FASTMCP}[request.param]
    return make_bundle(tmp_path_factory.mktemp(request.param) / "bundle", source, entrypoint="server:server")


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[HttpServer]:
    with http_server(bundle, {"serve": {"path": "/tools", "max_body": 4096}}) as running:
        yield running


async def greet(target: Any, mode: str) -> tuple[str, str | None, str | None, list[str], Any]:
    async with Client(target, mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        answer = await client.call_tool("greet", {"name": "you"})
        info = client.server_info
        assert info is not None
        return info.name, info.version, client.instructions, tools, answer.structured_content


EXPECTED = ("theirs", "3.1", "Theirs", ["greet"], {"result": "hello you"})


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_over_http(server: HttpServer, mode: str) -> None:
    assert server.url.endswith("/tools")
    assert asyncio.run(greet(server.url, mode)) == EXPECTED


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_over_stdio(bundle: Path, mode: str) -> None:
    line = command(bundle)
    target = StdioServerParameters(command=line[0], args=line[1:], env=dict(os.environ))
    assert asyncio.run(greet(target, mode)) == EXPECTED


def test_the_shell_stands_before_it(server: HttpServer) -> None:
    assert server.request("GET", "/healthz")[0] == 200
    assert server.request("GET", "/tools")[0] == 405
    assert server.request("POST", "/tools/", b"{}", {"host": "evil.test"})[0] == 421
    assert server.request("POST", "/tools", b"x" * 5000)[0] == 413
    assert server.request("GET", "/extra")[::2] == (200, b"extra")
