"""What this runtime puts around the handlers of a server written with another library.

Its calls go through `Calls` as every call does; nothing it does takes longer than `serve.timeout`; what it pushes to a
client that cannot be reached is answered with the form that works.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import SubscriptionBus
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_tool import results
from mcp_tool.serve import pushed
from mcp_tool.serve.calls import Calls
from mcp_tool.serve.exchange import Exchange, LogLevel, record_of, without_credentials

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[Any]]

_BOUNDED: Final = ("resources/read", "prompts/get", "completion/complete")
_INTERNAL_ERROR: Final = -32603


def surround(server: Server[Any], calls: Calls, bus: SubscriptionBus, limit: float, forms: Mapping[str, str]) -> None:
    """Replace a server's handlers by the same ones, surrounded.

    Args:
        server: The SDK's server.
        calls: What surrounds every call.
        bus: Where changes are published.
        limit: Seconds that a request may take. A call that may ask its user on the way (older clients over stdio)
            takes as long as the user does.
        forms: The portable forms of the server's library.
    """
    entry = server.get_request_handler("tools/call")
    if entry is not None:
        handler = _calling(entry.handler, calls, bus, limit, forms)
        server.add_request_handler("tools/call", entry.params_type, handler)
    for method in _BOUNDED:
        entry = server.get_request_handler(method)
        if entry is not None:
            server.add_request_handler(method, entry.params_type, _bounded(entry.handler, limit))


class WithoutCredentials:
    """ASGI middleware: who has proved itself to this runtime need not show the author's code how."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve without the headers that carry credentials."""
        if scope["type"] == "http":
            scope = {**scope, "headers": without_credentials(scope["headers"])}
        await self._app(scope, receive, send)


def _calling(handler: Handler, calls: Calls, bus: SubscriptionBus, limit: float, forms: Mapping[str, str]) -> Handler:
    log_level = LogLevel()

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        record = record_of(context)
        failed = f"Error executing tool {params.name}"

        async def answer() -> dict[str, Any]:
            try:
                return _explained(_wire(await _within(handler(context, params), _limit(context, limit))), forms)
            except _Late:
                record.error_type = "timeout"
                return _error(context, f"{failed}: timed out after {limit:g} s")
            except NoBackChannelError as error:
                if error.method not in forms:
                    raise
                return _error(context, f"{failed}: {pushed.explanation(error.method, forms)}")

        wire = Exchange(context, bus, log_level, record)
        return await calls(params.name, params.arguments or {}, wire, answer)

    return call_tool


def _bounded(handler: Handler, limit: float) -> Handler:
    async def bounded(context: Context, params: Any) -> Any:
        try:
            return await _within(handler(context, params), _limit(context, limit))
        except _Late:
            record_of(context).error_type = "timeout"
            raise MCPError(code=_INTERNAL_ERROR, message=f"timed out after {limit:g} s") from None

    return bounded


def _limit(context: Context, limit: float) -> float | None:
    return None if context.session.can_send_request else limit


class _Late(Exception):  # noqa: N818 - no error of anybody's code: the time is over
    """A request took longer than it may. No `TimeoutError`, which the author's own code may raise."""


async def _within(work: Awaitable[Any], limit: float | None) -> Any:
    """Await `work`, and leave it behind when its time is over: a plain function in a thread cannot be ended.

    Raises:
        _Late: The time is over.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=limit)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_forget)
        raise
    if not done:
        task.cancel()
        task.add_done_callback(_forget)
        raise _Late
    return task.result()


def _forget(task: "asyncio.Future[Any]") -> None:
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told that nobody did


def _wire(result: Any) -> dict[str, Any]:
    """A handler's result as the SDK would write it."""
    if isinstance(result, BaseModel):
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)
    return dict(result)


def _error(context: Context, text: str) -> dict[str, Any]:
    modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
    return {**({"resultType": "complete"} if modern else {}), **results.error(text)}


def _explained(result: dict[str, Any], forms: Mapping[str, str]) -> dict[str, Any]:
    """The result; where it tells of a push that nothing carried, with the form that works."""
    if not result.get("isError"):
        return result
    for block in result.get("content", ()):
        method = pushed.method_in(block.get("text", ""))
        if method is not None:
            block["text"] = f"{block['text']} So: {pushed.explanation(method, forms)}"
    return result
