"""What this runtime adds to a server written with another library: an end to calls, reasons, records, no secrets."""

from __future__ import annotations

import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serve.process import LEGACY, MODERN, HttpServer, http_server, make_bundle, stdio_server
from tests.serve.test_http import eventually

SDK = '''
import asyncio
import time

from mcp import types
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

server = MCPServer("theirs", version="3.1")


class Name(BaseModel):
    name: str


@server.tool()
async def hang() -> str:
    """Never come back."""
    await asyncio.sleep(600)
    return "late"


@server.tool()
def block() -> str:
    """Come back long after the caller was told."""
    time.sleep(3)
    return "late"


@server.tool()
async def ask(ctx: Context) -> str:
    """Ask the user in the middle of the call."""
    return str(await ctx.elicit("Who are you?", Name))


@server.tool()
async def sample(ctx: Context) -> str:
    """Ask the model in the middle of the call."""
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="Hello"))
    return str(await ctx.session.create_message(messages=[message], max_tokens=5))


@server.tool()
async def roots(ctx: Context) -> str:
    """Ask for the client's folders in the middle of the call."""
    return str(await ctx.session.list_roots())


@server.tool()
async def own_timeout() -> str:
    """Fail with the error that a time limit has, too."""
    raise TimeoutError("theirs")


@server.tool()
def headers(ctx: Context) -> list[str]:
    """Tell which headers a tool sees."""
    return sorted(ctx.headers or ())


@server.resource("slow://{name}")
async def slow(name: str) -> str:
    """Never come back."""
    await asyncio.sleep(600)
    return name
'''

FASTMCP = '''
import asyncio
import time

from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_headers
from mcp_types import SamplingMessage, TextContent
from pydantic import BaseModel

server = FastMCP("theirs", version="3.1")


class Name(BaseModel):
    name: str


@server.tool
async def hang() -> str:
    """Never come back."""
    await asyncio.sleep(600)
    return "late"


@server.tool
def block() -> str:
    """Come back long after the caller was told."""
    time.sleep(3)
    return "late"


@server.tool
async def ask(ctx: Context) -> str:
    """Ask the user in the middle of the call."""
    return str(await ctx.elicit("Who are you?", Name))


@server.tool
async def sample(ctx: Context) -> str:
    """Ask the model in the middle of the call."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text="Hello"))
    return str(await ctx.session.create_message(messages=[message], max_tokens=5))


@server.tool
async def roots(ctx: Context) -> str:
    """Ask for the client's folders in the middle of the call."""
    return str(await ctx.session.list_roots())


@server.tool
async def own_timeout() -> str:
    """Fail with the error that a time limit has, too."""
    raise TimeoutError("theirs")


@server.tool
def headers() -> list[str]:
    """Tell which headers a tool sees."""
    return sorted(get_http_headers(include_all=True))


@server.resource("slow://{name}")
async def slow(name: str) -> str:
    """Never come back."""
    await asyncio.sleep(600)
    return name
'''

KEY = "a-key-" + "k" * 40
PORTABLE = {"sdk": "Resolve(ask)", "fastmcp": "InputRequiredResult"}


@pytest.fixture(scope="module", params=["sdk", "fastmcp"])
def library(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def bundle(library: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = {"sdk": SDK, "fastmcp": FASTMCP}[library]
    return make_bundle(tmp_path_factory.mktemp(library) / "bundle", source, entrypoint="server:server")


@pytest.fixture(scope="module")
def server(bundle: Path) -> Iterator[HttpServer]:
    (bundle / "key").write_text(KEY, encoding="utf-8")
    auth = {"mode": "bearer", "keys": [{"file": str(bundle / "key")}]}
    with http_server(bundle, {"serve": {"timeout": 0.5, "auth": auth}}) as running:
        yield running


def call(server: HttpServer, era: str, method: str, **params: Any) -> dict[str, Any]:
    ask = server.legacy if era == LEGACY else server.modern
    return ask(method, params, authorization=f"Bearer {KEY}")


def tool(server: HttpServer, era: str, name: str) -> dict[str, Any]:
    answer = call(server, era, "tools/call", name=name, arguments={})
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


def text(result: dict[str, Any]) -> str:
    found: str = result["content"][0]["text"]
    return found


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("name", ["hang", "block"])
def test_a_call_ends_in_time(server: HttpServer, era: str, name: str) -> None:
    start = time.monotonic()
    result = tool(server, era, name)
    assert time.monotonic() - start < 5
    assert result["isError"] is True
    assert text(result) == f"Error executing tool {name}: timed out after 0.5 s"


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_so_does_reading_a_resource(server: HttpServer, era: str) -> None:
    answer = call(server, era, "resources/read", uri="slow://x")
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32603, "timed out after 0.5 s")


def test_a_thread_that_does_not_come_back_is_lost_until_it_does(bundle: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("*.log"))
    metrics = {"host": "127.0.0.1", "port": 0}
    with http_server(copied, {"serve": {"timeout": 0.2}, "metrics": metrics}) as server:
        server.modern("tools/call", {"name": "block", "arguments": {}})
        assert eventually(lambda: any("its thread is lost, as 1 of 40" in line["msg"] for line in server.lines()))
        port = next(line["port"] for line in server.lines() if line["msg"] == "serving metrics")

        def lost() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text: str = answer.read().decode()
            return next(line for line in text.splitlines() if line.startswith("mcp_server_lost_threads")).split()[-1]

        assert lost() == "1"
        assert eventually(lambda: lost() == "0", 15)


def test_an_error_of_the_authors_code_is_no_time_limit(server: HttpServer) -> None:
    result = tool(server, MODERN, "own_timeout")
    assert result["isError"] is True
    assert "timed out" not in text(result)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize(
    ("name", "method"), [("ask", "elicitation/create"), ("sample", "sampling/createMessage"), ("roots", "roots/list")]
)
def test_what_cannot_be_pushed_is_told_with_the_form_that_works(
    server: HttpServer, library: str, era: str, name: str, method: str
) -> None:
    result = tool(server, era, name)
    assert result["isError"] is True
    assert method in text(result)
    assert PORTABLE[library] in text(result)


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_the_callers_key_reaches_no_tool(server: HttpServer, era: str) -> None:
    shown = tool(server, era, "headers")["structuredContent"]["result"]
    assert "content-type" in shown
    assert "authorization" not in shown


def test_on_a_pipe_an_older_client_is_asked_for_as_long_as_it_likes(bundle: Path, tmp_path: Path) -> None:
    with stdio_server(shutil.copytree(bundle, tmp_path / "bundle"), {"serve": {"timeout": 0.3}}) as server:
        server.initialize(elicitation={})
        server.call("ask")
        question = server.receive()
        assert question["method"] == "elicitation/create"
        time.sleep(0.6)  # longer than a call may take: the user thinks, which is what is tested
        server.send(id=question["id"], result={"action": "accept", "content": {"name": "ada"}})
        assert "ada" in text(server.receive()["result"])


def test_the_log_says_what_was_asked(server: HttpServer) -> None:
    tool(server, MODERN, "headers")
    line = next(line for line in reversed(server.lines()) if line.get("msg") == "request")
    assert {"protocol": MODERN, "client": "test/1", "outcome": "ok"}.items() <= line.items()
