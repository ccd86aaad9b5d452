"""Replicas of a server written with another library share changes and questions as all others do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.replicas.fleet import Endpoint, Fleet, Replica, call, eventually, fleet
from tests.replicas.listening import NOTE, PROMPTS, TOOLS, UPDATED, Listener
from tests.serve.process import LEGACY, MODERN, make_bundle

pytestmark = [pytest.mark.real("nginx", "redis"), pytest.mark.xdist_group("replicas")]

SDK = '''
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver import Context, Elicit, Resolve
from pydantic import BaseModel

server = MCPServer("theirs", version="3.1")


class Name(BaseModel):
    name: str


async def ask_name() -> Elicit[Name]:
    return Elicit("Who are you?", Name)


@server.tool()
async def tools_changed(ctx: Context) -> str:
    """Say that the tools changed."""
    await ctx.notify_tools_changed()
    return "told"


@server.tool()
async def prompts_changed(ctx: Context) -> str:
    """Say that the prompts changed."""
    await ctx.notify_prompts_changed()
    return "told"


@server.tool()
async def updated(uri: str, ctx: Context) -> str:
    """Say that a resource changed."""
    await ctx.notify_resource_updated(uri)
    return "told"


@server.tool()
async def greet(name: Annotated[Name, Resolve(ask_name)]) -> str:
    """Greet somebody."""
    return f"hello {name.name}"
'''

FASTMCP = '''
from fastmcp import Context, FastMCP
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

server = FastMCP()

FORM = {"type": "object", "properties": {"name": {"type": "string"}}}


@server.tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@server.tool
def greet(ctx: Context) -> str | InputRequiredResult:
    """Greet somebody."""
    if ctx.input_responses is None:
        params = ElicitRequestFormParams(message="Who are you?", requested_schema=FORM)
        return InputRequiredResult(input_requests={"name": ElicitRequest(params=params)}, request_state="kept")
    return f"hello {ctx.input_responses['name'].content['name']}, {ctx.request_state}"
'''


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("foreign") / "bundle", SDK, entrypoint="server:server")


@pytest.fixture(scope="module")
def pair(theirs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("pair"), theirs, 2) as running:
        yield running


def test_their_changes_reach_every_listener_once(pair: Fleet) -> None:
    one, other = pair.replicas
    with Listener(one) as near, Listener(other) as far:
        for _ in range(3):
            for where in (one, other):
                assert where.ask(MODERN, "tools/call", call("tools_changed"))[0]["result"]["isError"] is False
        for where in (one, other):
            where.ask(MODERN, "tools/call", call("prompts_changed"))
        assert eventually(lambda: near.heard[PROMPTS] == far.heard[PROMPTS] == 2)
        assert (near.heard[TOOLS], far.heard[TOOLS]) == (6, 6)


def test_a_resource_that_changed_is_told_to_those_who_asked_for_it(pair: Fleet) -> None:
    one, other = pair.replicas
    with Listener(other) as far:
        for uri in ("note://2", NOTE):
            assert one.ask(MODERN, "tools/call", call("updated", uri=uri))[0]["result"]["isError"] is False
        assert eventually(lambda: far.heard[UPDATED] > 0)
        one.ask(MODERN, "tools/call", call("tools_changed"))
        assert eventually(lambda: far.heard[TOOLS] > 0)
        assert far.heard[UPDATED] == 1


def greeted(asking: Endpoint, answering: Endpoint) -> str:
    """What a tool says after a question that one replica asked and another gets the answer to."""
    asked = asking.ask(MODERN, "tools/call", call("greet"), elicitation={})[0]["result"]
    (key,) = asked["inputRequests"]
    answers = {key: {"action": "accept", "content": {"name": "ada"}}}
    again = {**call("greet"), "inputResponses": answers, "requestState": asked["requestState"]}
    answer, _ = answering.ask(MODERN, "tools/call", again, elicitation={})
    assert "result" in answer, answer
    text: str = answer["result"]["content"][0]["text"]
    return text


def test_their_questions_cross_replicas(pair: Fleet) -> None:
    one, other = pair.replicas
    assert [greeted(one, other), greeted(other, one)] == ["hello ada"] * 2


def test_so_do_those_of_a_server_that_has_another_name_in_every_process(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", FASTMCP, entrypoint="server:server")
    with fleet(tmp_path, bundle, 2, redis=False) as unnamed:
        one, other = unnamed.replicas
        assert [greeted(one, other), greeted(other, one)] == ["hello ada, kept"] * 2
        discovered = [where.ask(MODERN, "server/discover", {})[0]["result"]["_meta"] for where in (one, other)]
        assert discovered[0] == discovered[1]


def test_an_older_client_is_told_why_it_is_not_asked(pair: Fleet) -> None:
    result = pair.front.ask(LEGACY, "tools/call", call("greet"))[0]["result"]
    assert result["isError"] is True
    assert "clients of 2026-07-28" in result["content"][0]["text"]


def announced(where: Endpoint) -> list[Any]:
    """What discover says of changes that clients would be told of, and whether they can listen."""
    capabilities = where.ask(MODERN, "server/discover", {})[0]["result"]["capabilities"]
    flags = [kind.get("listChanged") for kind in capabilities.values() if isinstance(kind, dict)]
    listens = where.status(MODERN, "subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    return [any(flags), listens]


@pytest.mark.parametrize("source", [SDK, FASTMCP])
def test_nothing_is_announced_that_nothing_carries(tmp_path: Path, source: str) -> None:
    bundle = make_bundle(tmp_path / "bundle", source, entrypoint="server:server")
    replica = Replica(0, tmp_path / "silent", bundle, {"serve": {"listen": False}})
    replica.start()
    try:
        replica.wait()
        assert announced(replica) == [False, 404]
    finally:
        replica.kill()
