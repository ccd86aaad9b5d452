"""What this runtime puts around the handlers of a server written with another library.

Its calls go through `Calls` as every call does; nothing it does takes longer than `serve.timeout`; what it pushes to a
client that cannot be reached is answered with the form that works.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import mcp_types as types
from anyio import CancelScope
from anyio.to_thread import current_default_thread_limiter
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import SubscriptionBus
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_tool import results
from mcp_tool.record import CURRENT
from mcp_tool.running import LOSABLE, THREADS
from mcp_tool.serve.http.passing import LogLevel, without_credentials
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.sdk import pushed
from mcp_tool.serve.sdk.exchange import Exchange, record_of

Context = ServerRequestContext[Any, Any]
Handler = Callable[[Context, Any], Awaitable[Any]]

_BOUNDED: Final = ("resources/read", "prompts/get", "completion/complete")
_INTERNAL_ERROR: Final = -32603

GRACE: Final = 1.0
"""Seconds that a function gets to end once it is told to."""

logger = logging.getLogger("mcp_tool.call")


class LeftBehind:
    """Functions that did not come back though nobody waits for them: their threads are lost to others.

    Both libraries run plain functions by `anyio.to_thread`, whose threads are bounded for the whole process.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._losable = int(THREADS * LOSABLE)

    @property
    def worn(self) -> bool:
        """Whether more are lost than are replaced: the process should be."""
        return self.lost > self._losable

    def leave(self, task: "asyncio.Task[Any]", scope: CancelScope, name: str) -> None:
        """End a task that nobody waits for; what has not ended `GRACE` seconds later is lost until it does."""
        # Cancelled by its scope, not as a task: that waits for a thread, and so shows whether it comes back.
        scope.cancel()
        task.add_done_callback(_forget)
        asyncio.get_running_loop().call_later(GRACE, self._look, task, name)

    def _look(self, task: "asyncio.Task[Any]", name: str) -> None:
        if task.done():
            return
        self._lose(1)
        logger.warning("%s does not come back: its thread is lost, as %d of %d are now", name, self.lost, THREADS)
        task.add_done_callback(lambda _: self._lose(-1))

    def _lose(self, change: int) -> None:
        self.lost += change
        # Others take the places of those that are lost, until too many are.
        current_default_thread_limiter().total_tokens = THREADS + min(self.lost, self._losable)


def surround(
    server: Server[Any], calls: Calls, bus: SubscriptionBus, limit: float, forms: Mapping[str, str]
) -> LeftBehind:
    """Replace a server's handlers by the same ones, surrounded.

    Args:
        server: The SDK's server.
        calls: What surrounds every call.
        bus: Where changes are published.
        limit: Seconds that a request may take. A call that may ask its user on the way (older clients over stdio)
            takes as long as the user does.
        forms: The portable forms of the server's library.

    Returns:
        What counts the threads that are lost to functions that do not come back.
    """
    behind = LeftBehind()
    entry = server.get_request_handler("tools/call")
    if entry is not None:
        handler = _calling(_Timed(entry.handler, limit, behind), calls, bus, forms)
        server.add_request_handler("tools/call", entry.params_type, handler)
    for method in _BOUNDED:
        entry = server.get_request_handler(method)
        if entry is not None:
            server.add_request_handler(method, entry.params_type, _bounded(_Timed(entry.handler, limit, behind)))
    return behind


class WithoutCredentials:
    """ASGI middleware: who has proved itself to this runtime need not show the author's code how."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve without the headers that carry credentials."""
        if scope["type"] == "http":
            scope = {**scope, "headers": without_credentials(scope["headers"])}
        await self._app(scope, receive, send)


def _calling(handler: "_Timed", calls: Calls, bus: SubscriptionBus, forms: Mapping[str, str]) -> Handler:
    log_level = LogLevel()

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> dict[str, Any]:
        record = record_of(context)
        failed = f"Error executing tool {params.name}"

        async def answer() -> dict[str, Any]:
            try:
                return _explained(_wire(await handler(context, params, params.name)), forms)
            except _Late:
                record.error_type = "timeout"
                return _error(context, f"{failed}: timed out after {handler.limit:g} s")
            except MCPError as error:
                if not isinstance(error, NoBackChannelError) or error.method not in forms:
                    record.error_type = str(error.code)
                    raise
                return _error(context, f"{failed}: {pushed.explanation(error.method, forms)}")

        wire = Exchange(context, bus, log_level, record)
        return await calls(params.name, params.arguments or {}, wire, answer)

    return call_tool


def _bounded(handler: "_Timed") -> Handler:
    async def bounded(context: Context, params: Any) -> Any:
        try:
            return await handler(context, params, context.method)
        except _Late:
            record_of(context).error_type = "timeout"
            raise MCPError(code=_INTERNAL_ERROR, message=f"timed out after {handler.limit:g} s") from None

    return bounded


class _Late(Exception):  # noqa: N818 - no error of anybody's code: the time is over
    """A request took longer than it may. No `TimeoutError`, which the author's own code may raise."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """A handler that is left behind when its time is over: a plain function in a thread cannot be ended."""

    handler: Handler
    limit: float
    behind: LeftBehind

    async def __call__(self, context: Context, params: Any, name: str) -> Any:
        """What the handler gives.

        Raises:
            _Late: The time is over.
        """
        scope = CancelScope()
        task = asyncio.create_task(_scoped(scope, self.handler(context, params)))
        limit = None if context.session.can_send_request else self.limit
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
        except asyncio.CancelledError:
            self.behind.leave(task, scope, name)
            raise
        if not done:
            self.behind.leave(task, scope, name)
            raise _Late
        return task.result()


async def _scoped(scope: CancelScope, work: Awaitable[Any]) -> Any:
    record = CURRENT.get()  # noqa: F841 - where the watchdog finds it, in another thread
    with scope:
        return await work


def _forget(task: "asyncio.Task[Any]") -> None:
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
