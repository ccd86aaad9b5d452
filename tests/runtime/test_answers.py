"""The answers in the contract are, byte for byte, what the SDK's servers send over HTTP, in both eras."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

import httpx
import mcp_types as types
import pytest
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import BaseModel, Field

from mcp_tool import prompt, resource, tool
from mcp_tool.app import App
from tests.runtime.conftest import MakeApp

LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
DOCUMENT: Mapping[str, Any] = {
    "title": "The Fixture",
    "description": "What it is for",
    "instructions": "Be kind — and brief.",
}
OPEN = TransportSecuritySettings(enable_dns_rebinding_protection=False)


class Node(BaseModel):
    value: Annotated[int, Field(ge=0)]
    children: "list[Node]" = []


def grow(node: Node, größe: int = 1) -> Node:  # noqa: PLC2401 - names beyond ASCII are the point
    """Grow a tree."""
    return node


async def region(where: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> dict[str, int]:
    """Say where — with words of any script: 日本."""
    return {}


def note(note_id: str, lines: str = "3") -> str:
    """A note."""
    return note_id


def static() -> str:
    """What never changes."""
    return ""


def greet(name: str, tone: str = "kind") -> str:
    """Greet someone."""
    return name


def declare() -> None:
    icons = [{"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"]}]
    tool(
        title="Grow", read_only=True, destructive=False, idempotent=True, open_world=False, icons=icons, meta={"m": 1}
    )(grow)
    tool(region)
    resource("a://static", title="S", mime_type="text/markdown", annotations={"audience": ["user"]}, size=3)(static)
    resource("note://{note_id}{?lines}", icons=icons, meta={"m": 2})(note)
    prompt(title="G", icons=icons)(greet)
    explicit = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "additionalProperties": False,
        "type": "object",
        "$defs": {"a": {"type": "string"}},
        "properties": {"where": {"$ref": "#/$defs/a"}},
    }
    tool("explicit", input_schema=explicit)(region)


def lowlevel(app: App, *, listen: bool) -> Server[Any]:
    """The SDK's server of the same definitions, read into its own types."""
    offered = app.plans
    listed = {
        "tools/list": {"tools": [plan.definition for plan in offered.tools.values()]},
        "resources/list": {"resources": [plan.definition for plan in offered.resources.values()]},
        "resources/templates/list": {"resourceTemplates": [plan.definition for plan in offered.templates.values()]},
        "prompts/list": {"prompts": [plan.definition for plan in offered.prompts.values()]},
    }

    def lister(method: str, params: Any, result: type[BaseModel]) -> None:
        async def handle(context: Any, params: Any) -> Any:
            return result.model_validate(listed[method])

        server.add_request_handler(method, params, handle)

    async def nothing(context: Any, params: Any) -> dict[str, Any]:
        return {}

    server: Server[Any] = Server("fixture", version="1.2.3", **DOCUMENT)
    lister("tools/list", types.PaginatedRequestParams, types.ListToolsResult)
    lister("resources/list", types.PaginatedRequestParams, types.ListResourcesResult)
    lister("resources/templates/list", types.PaginatedRequestParams, types.ListResourceTemplatesResult)
    lister("prompts/list", types.PaginatedRequestParams, types.ListPromptsResult)
    server.add_request_handler("completion/complete", types.CompleteRequestParams, nothing)
    server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, nothing)
    server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, nothing)
    if listen:
        handler = ListenHandler(InMemorySubscriptionBus())
        server.add_request_handler("subscriptions/listen", types.SubscriptionsListenRequestParams, handler)
    return server


def mcp_server() -> MCPServer[Any]:
    """The SDK's other server, of the same functions."""
    icon = types.Icon(src="https://example.com/i.png", mime_type="image/png", sizes=["48x48"])
    hints = types.ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    server: MCPServer[Any] = MCPServer("fixture", version="1.2.3", **DOCUMENT)
    server.tool(title="Grow", annotations=hints, icons=[icon], meta={"m": 1})(grow)
    server.tool()(region)
    server.resource("note://{note_id}{?lines}", icons=[icon], meta={"m": 2})(note)
    server.prompt(title="G", icons=[icon])(greet)
    return server


def asked(server: Server[Any] | MCPServer[Any], version: str, calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """The results' bytes, as text, over HTTP."""
    application = server.streamable_http_app(stateless_http=True, json_response=True, transport_security=OPEN)
    modern = version == "2026-07-28"
    envelope = {"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}}

    async def run() -> list[str]:
        found = []
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=application), base_url="http://test") as client,
        ):
            for method, given in calls:
                headers = {"accept": "application/json, text/event-stream"}
                if modern:
                    headers |= {"mcp-protocol-version": version, "mcp-method": method}
                elif method != "initialize":
                    headers["mcp-protocol-version"] = version
                params = {**given, "_meta": envelope} if modern else given
                request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                response = await client.post("/mcp", json=request, headers=headers)
                start = '{"jsonrpc":"2.0","id":1,"result":'
                assert response.text.startswith(start), response.text
                found.append(response.text[len(start) : -1])
        return found

    return asyncio.run(run())


def as_sent(answer: Any, era: str) -> str:
    # The SDK writes what is not ASCII as it is in the older era, and escaped in the newer one.
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=era != "legacy")


HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


@pytest.mark.parametrize(
    ("era", "version", "first"),
    [
        ("legacy", "2025-11-25", ("initialize", HELLO)),
        ("2026-07-28", "2026-07-28", ("server/discover", {})),
    ],
)
def test_a_low_level_server_of_the_same_definitions(
    make_app: MakeApp, era: str, version: str, first: tuple[str, dict[str, Any]]
) -> None:
    declare()
    app = make_app(**DOCUMENT)
    contract = app.contract()
    calls = [first, *((method, {}) for method in LISTS)]
    sent = asked(lowlevel(app, listen=True), version, calls)
    for (method, _), text in zip(calls, sent, strict=True):
        assert as_sent(contract["answers"][era][method], era) == text


def test_discover_without_listen(make_app: MakeApp) -> None:
    declare()
    app = make_app(**DOCUMENT)
    contract = app.contract()
    (text,) = asked(lowlevel(app, listen=False), "2026-07-28", [("server/discover", {})])
    assert as_sent(contract["answers"]["2026-07-28"]["server/discover without listen"], "2026-07-28") == text


def test_nothing_more_said_than_a_name(make_app: MakeApp) -> None:
    tool(grow)
    contract = make_app().contract()
    server: Server[Any] = Server("fixture", version="1.2.3")
    server.middleware.clear()
    (text,) = asked(server, "2026-07-28", [("server/discover", {})])
    said = {**json.loads(text), "capabilities": contract["answers"]["2026-07-28"]["server/discover"]["capabilities"]}
    assert contract["answers"]["2026-07-28"]["server/discover"] == said


@pytest.mark.parametrize(("era", "version"), [("legacy", "2025-11-25"), ("2026-07-28", "2026-07-28")])
def test_an_mcp_server_of_the_same_functions(make_app: MakeApp, era: str, version: str) -> None:
    icons = [{"src": "https://example.com/i.png", "mimeType": "image/png", "sizes": ["48x48"]}]
    options: dict[str, Any] = {"icons": icons}
    hints: dict[str, Any] = {"read_only": True, "destructive": False, "idempotent": True, "open_world": False}
    tool(title="Grow", meta={"m": 1}, **hints, **options)(grow)
    tool(region)
    resource("note://{note_id}{?lines}", meta={"m": 2}, **options)(note)
    prompt(title="G", **options)(greet)
    contract = make_app(**DOCUMENT).contract()
    sent = asked(mcp_server(), version, [(method, {}) for method in LISTS])
    for method, text in zip(LISTS, sent, strict=True):
        assert as_sent(contract["answers"][era][method], era) == text
