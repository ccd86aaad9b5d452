"""What a server answers to a client that only looks: asked in memory, in both eras, without starting its lifespan."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage

from mcp_tool.wire import MODERN

LEGACY = "2025-11-25"
LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")

_ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_INITIALIZE = {
    "protocolVersion": LEGACY,
    "capabilities": {},
    "clientInfo": {"name": "mcp-tool-runtime", "version": "0"},
}


async def answers(server: Server[Any]) -> dict[str, dict[str, Any]]:
    """Each era's results by method, in wire form, as the `answers` of a contract hold them.

    A method the server does not serve is left out. Lists that come in pages are put together.
    """
    legacy = await _converse(server, [("initialize", _INITIALIZE), *((method, {}) for method in LISTS)])
    modern = await _converse(server, [(method, {"_meta": _ENVELOPE}) for method in ("server/discover", *LISTS)])
    return {"legacy": legacy, MODERN: modern}


async def _converse(server: Server[Any], requests: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Send requests one after the other over a connection of their own; results by method."""
    to_server, reading = anyio.create_memory_object_stream[SessionMessage | Exception](1)
    writing, from_server = anyio.create_memory_object_stream[SessionMessage](1)
    results: dict[str, Any] = {}

    async def ask(identity: int, method: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        request = types.JSONRPCRequest(jsonrpc="2.0", id=identity, method=method, params=dict(params))
        await to_server.send(SessionMessage(request))
        async for answer in from_server:
            if isinstance(answer.message, types.JSONRPCResponse):
                return answer.message.result
            if isinstance(answer.message, types.JSONRPCError):
                return None
        return None

    async with anyio.create_task_group() as group, to_server, from_server:
        group.start_soon(_serve, server, reading, writing)
        for identity, (method, params) in enumerate(requests):
            result = await ask(identity, method, params)
            if result is not None:
                results[method] = await _whole(result, method, params, ask)
            if method == "initialize":
                note = types.JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized")
                await to_server.send(SessionMessage(note))
        group.cancel_scope.cancel()
    return results


async def _serve(server: Server[Any], reading: Any, writing: Any) -> None:
    options = server.create_initialization_options()
    # Not Server.run: that would enter the lifespan, which may open what is not there while a bundle is built.
    await serve_dual_era_loop(server, reading, writing, lifespan_state={}, init_options=options)


async def _whole(result: dict[str, Any], method: str, params: Mapping[str, Any], ask: Any) -> dict[str, Any]:
    """A list with its further pages appended."""
    whole, cursor, page = dict(result), result.pop("nextCursor", None), 1
    whole.pop("nextCursor", None)
    while cursor is not None:
        more = await ask(1000 + page, method, {**params, "cursor": cursor}) or {}
        for key, value in more.items():
            if isinstance(value, list):
                whole[key] = [*whole[key], *value]
        cursor, page = more.get("nextCursor"), page + 1
    return whole
