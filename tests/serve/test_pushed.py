"""A server of another library that asks its client in the middle of a call: over HTTP the error names the other way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.serve.process import HttpServer, http_server, make_bundle

SDK = """
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("words", version="1")
tool = server.tool()
"""
FASTMCP = """
from fastmcp import Context, FastMCP

server = FastMCP("words", version="1")
tool = server.tool
"""
TOOLS = '''
from mcp_types import SamplingMessage, TextContent
from pydantic import BaseModel


class Sure(BaseModel):
    yes: bool


@tool
async def elicit(ctx: Context) -> str:
    """Ask the user."""
    return (await ctx.elicit("Sure?", Sure)).action


@tool
async def roots(ctx: Context) -> str:
    """Ask for folders."""
    return str(await ctx.session.list_roots())


@tool
async def sample(ctx: Context) -> str:
    """Ask the model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text="hello"))
    return str(await ctx.session.create_message([message], max_tokens=5))


@tool
async def wrong() -> str:
    """Fail by itself."""
    raise ValueError("elicitation/create roots/list")
'''
FORMS = {
    "sdk": {"elicit": "returns Elicit(", "roots": "returns ListRoots(", "sample": "returns Sample("},
    "fastmcp": dict.fromkeys(("elicit", "roots", "sample"), "InputRequiredResult"),
}
METHODS = {"elicit": "elicitation/create", "roots": "roots/list", "sample": "sampling/createMessage"}


@pytest.fixture(scope="module", params=["sdk", "fastmcp"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, HttpServer]]:
    source = {"sdk": SDK, "fastmcp": FASTMCP}[request.param] + TOOLS
    bundle = make_bundle(tmp_path_factory.mktemp(request.param) / "bundle", source, entrypoint="server:server")
    with http_server(bundle) as server:
        yield request.param, server


def said(server: HttpServer, era: str, tool: str) -> str:
    params = {"name": tool, "arguments": {}}
    answer = server.modern("tools/call", params) if era == "modern" else server.legacy("tools/call", params)
    assert answer["result"]["isError"] is True
    return str(answer["result"]["content"][0]["text"])


@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("tool", METHODS)
def test_the_error_names_what_was_sent_and_the_portable_form(
    served: tuple[str, HttpServer], tool: str, era: str
) -> None:
    library, server = served
    text = said(server, era, tool)
    assert f"it sends {METHODS[tool]} in the middle of a call" in text
    assert FORMS[library][tool] in text


def test_an_error_of_the_tools_own_is_left_as_it_is(served: tuple[str, HttpServer]) -> None:
    _, server = served
    assert "portable form" not in said(server, "modern", "wrong")
