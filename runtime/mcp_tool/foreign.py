"""The contract of a server written with another library: what it answers over a connection in memory.

Its lifespan does not run: what the author opens there is not needed to list tools.
"""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp.shared.memory import create_client_server_memory_streams
from mcp.shared.message import SessionMessage

from mcp_tool import __version__, answers
from mcp_tool.contract import assemble
from mcp_tool.errors import ContractError, ContractProblem, Place

_ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": answers.MODERN_VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "mcp_tool", "version": __version__},
}
_METHOD_NOT_FOUND: Final = -32601
_NO_KNOBS: Final[Mapping[str, Any]] = {"timeout": None, "secrets": [], "scopes": [], "asks": True}


def contract(tool: Mapping[str, Any], bundle: Path) -> dict[str, Any]:
    """The contract document of the server that a `module:object` entrypoint names.

    Raises:
        EntrypointError: There is no such object, or importing it failed.
        ContractError: It is no MCP server, or one that does not answer.
    """
    from mcp_tool.config import Config
    from mcp_tool.serve import author
    from mcp_tool.serve.observe.calls import Calls
    from mcp_tool.serve.problem import StartProblem
    from mcp_tool.serve.sdk import wrapped

    entrypoint = tool["entrypoint"]
    candidate = author.load_object(entrypoint)
    place = Place(str(bundle / "app"))
    try:
        config = Config.model_validate({"schema": 1})
        server = wrapped.serve_object(candidate, tool, config, Calls()).server
    except StartProblem as problem:
        raise ContractError([ContractProblem(place, problem.what, problem.fix)]) from None
    try:
        listed, ready = asyncio.run(asyncio.wait_for(_ask(server), timeout=30))
    except (MCPError, TimeoutError) as error:
        what = f"{entrypoint} does not list what it offers: {type(error).__name__}: {error}"
        raise ContractError([ContractProblem(place, what, "list it without what the lifespan opens")]) from None
    knobs = {found["name"]: dict(_NO_KNOBS) for found in listed["tools"]}
    return assemble(listed, knobs, ready)


async def _ask(server: Server[Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    @contextlib.asynccontextmanager
    async def nothing(_: Server[Any]) -> AsyncIterator[dict[str, Any]]:
        yield {}

    server.lifespan = nothing
    legacy: dict[str, Any] = {}
    async with _connection(server) as client:
        hello = {
            "protocolVersion": answers.LEGACY_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "mcp_tool", "version": __version__},
        }
        legacy["initialize"] = await client.request("initialize", hello)
        await client.notify("notifications/initialized")
        listed: dict[str, list[Any]] = {}
        for method, key in answers.LISTS.items():
            legacy[method], listed[key] = await client.everything(method, key, {})
    modern: dict[str, Any] = {}
    async with _connection(server) as client:
        discovered = await client.request("server/discover", {"_meta": _ENVELOPE})
        modern["server/discover"] = discovered
        modern["server/discover without listen"] = _without_listen(discovered)
        for method, key in answers.LISTS.items():
            modern[method], _ = await client.everything(method, key, {"_meta": _ENVELOPE})
    return listed, {"legacy": legacy, answers.MODERN_VERSION: modern}


def _without_listen(discovered: Mapping[str, Any]) -> dict[str, Any]:
    """What the SDK answers where `subscriptions/listen` is not served: nothing announces changes."""
    answer = copy.deepcopy(dict(discovered))
    for kind in answer["capabilities"].values():
        for flag in ("listChanged", "subscribe"):
            if flag in kind:
                kind[flag] = False
    return answer


@contextlib.asynccontextmanager
async def _connection(server: Server[Any]) -> AsyncIterator["_Client"]:
    async with create_client_server_memory_streams() as (client, served):
        running = asyncio.create_task(server.run(*served, server.create_initialization_options()))
        try:
            yield _Client(*client)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


class _Client:
    """Requests one after the other, results as they stand on the wire."""

    def __init__(self, incoming: Any, outgoing: Any) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._last = 0

    async def notify(self, method: str) -> None:
        await self._outgoing.send(SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method=method)))

    async def request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self._last += 1
        call = types.JSONRPCRequest(jsonrpc="2.0", id=self._last, method=method, params=dict(params))
        await self._outgoing.send(SessionMessage(call))
        while True:
            message = (await self._incoming.receive()).message
            match message:
                case types.JSONRPCResponse(id=self._last, result=result):
                    return dict(result)
                case types.JSONRPCError(id=self._last, error=error):
                    raise MCPError.from_error_data(error)
                case _:
                    continue

    async def everything(self, method: str, key: str, params: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """The first page of a list, and all its entries; an empty page where the server has no such list."""
        try:
            first = await self.request(method, params)
        except MCPError as error:
            if error.code != _METHOD_NOT_FOUND:
                raise
            return {key: []}, []
        entries, page = list(first[key]), first
        while page.get("nextCursor"):
            page = await self.request(method, {**params, "cursor": page["nextCursor"]})
            entries.extend(page[key])
        return first, entries
