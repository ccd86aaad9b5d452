"""A server the author wrote with another library: the SDK's `MCPServer`, or FastMCP 4 on top of it.

It is served by the same transports as everything else, and its contract is what it answers to a client in memory.
Its own handlers answer; what surrounds them (`surrounding.py`) is this runtime's.
"""

import contextlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server import MCPServer
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, authenticated_principal
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, SubscriptionBus
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from mcp_tool.config import Config, Serve
from mcp_tool.serve.http.noting import Greetings, noted
from mcp_tool.serve.observe.calls import Calls
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.sdk import events, pushed
from mcp_tool.serve.sdk.exchange import caller
from mcp_tool.serve.sdk.introducing import Introduced
from mcp_tool.serve.sdk.server import state_security
from mcp_tool.serve.sdk.surrounding import WithoutCredentials, surround
from mcp_tool.serve.served import Served

if TYPE_CHECKING:
    from fastmcp import FastMCP

_LISTEN = "subscriptions/listen"

_UNNAMED = re.compile(r"FastMCP-[0-9a-f]{4}")
"""What FastMCP calls a server that nobody named: something else in every process."""


@dataclass(frozen=True)
class _Foreign:
    """What is known of a server by its library.

    Attributes:
        server: The SDK's server beneath it.
        application: Its ASGI application for the given settings.
        running: Its own start and stop.
        forms: How it asks its client in a way that works everywhere (`pushed.py`).
        bus: Where it publishes changes, where that is known; None where it has no `subscriptions/listen`.
    """

    server: Server[Any]
    application: Callable[[Serve], Starlette]
    running: Callable[[], AbstractAsyncContextManager[object]]
    forms: Mapping[str, str]
    bus: events.Bus | None = None


def serve_object(candidate: object, tool: Mapping[str, Any], config: Config, calls: Calls) -> Served:
    """Put an author's own server behind the transports.

    Args:
        candidate: What the entrypoint names.
        tool: The `tool.json` document. Its name is the same on every replica, whatever the server is called.
        config: Where the server runs.
        calls: What surrounds every call.

    Raises:
        StartProblem: The object is neither an `MCPServer` nor a FastMCP server.
    """
    if isinstance(candidate, MCPServer):
        foreign = _mcp_server(candidate, tool["name"], config)
    elif _is_fastmcp(candidate):
        foreign = _fastmcp(candidate, tool["name"])
    else:
        raise StartProblem(
            f"entrypoint {tool['entrypoint']!r} is a {type(candidate).__name__}, not an MCP server",
            "name an mcp.server.MCPServer or a FastMCP server as module:object, "
            "or a module of decorated functions as module",
        )
    server = foreign.server
    _seal(server, tool["name"], config)
    if not config.serve.listen:
        # What is not served is not announced: the SDK derives the one from the other, and offers no way to withdraw.
        server._request_handlers.pop(_LISTEN, None)  # noqa: SLF001 - see above
    listening = server.get_request_handler(_LISTEN)
    listens = [listening.handler] if listening and isinstance(listening.handler, ListenHandler) else []
    behind = surround(server, calls, foreign.bus or events.Local(), config.serve.timeout, foreign.forms)
    noted(server)
    return Served(server, _application(foreign, config), _running(foreign), listens, runner=behind)


def _application(foreign: _Foreign, config: Config) -> Callable[[Serve], Starlette]:
    asked = config.serve.auth is not None and config.serve.auth.mode != "none"

    def application(settings: Serve) -> Starlette:
        made = foreign.application(settings)
        made.add_middleware(Greetings)
        if asked:
            made.add_middleware(WithoutCredentials)
            made.add_middleware(Introduced)
        return made

    return application


def _running(foreign: _Foreign) -> Callable[[], AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def running() -> AsyncIterator[None]:
        async with (foreign.bus or events.Local()).running(), foreign.running():
            yield

    return running


def _seal(server: Server[Any], name: str, config: Config) -> None:
    """Bind the server's multi-round-trip state to the deployment's keys, where it has some, and to the caller."""
    chain = server.middleware
    places = [place for place, link in enumerate(chain) if isinstance(link, RequestStateBoundary)]
    if config.serve.state_keys or not places:
        boundary = RequestStateBoundary(state_security(config), default_audience=name)
        if places:
            chain[places[0]] = boundary
        else:
            chain.append(boundary)
        return
    for place in places:
        theirs = chain[place]
        # The author's own keys stay; who the caller is, only this runtime's shell knows.
        policy = theirs._security if isinstance(theirs, RequestStateBoundary) else None  # noqa: SLF001 - as given by the author
        if policy is not None and policy.bind_principal is authenticated_principal:
            policy.bind_principal = caller


def _mcp_server(server: MCPServer[Any], name: str, config: Config) -> _Foreign:
    # The SDK has no public way to its low-level server, which alone takes streams that are not sys.stdin's.
    lowlevel = server._lowlevel_server  # noqa: SLF001 - see above

    def application(settings: Serve) -> Starlette:
        return server.streamable_http_app(
            streamable_http_path=settings.path,
            stateless_http=True,
            max_request_body_size=settings.max_body,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )

    bus = None
    theirs: SubscriptionBus = server._subscriptions  # noqa: SLF001 - a bus is given to the constructor, and it is made by then
    if lowlevel.get_request_handler(_LISTEN) is not None and type(theirs) is InMemorySubscriptionBus:
        # An author who brought another bus keeps it.
        bus = events.bus(config, name)
        server._subscriptions = bus  # noqa: SLF001 - as above
        lowlevel.add_request_handler(_LISTEN, types.SubscriptionsListenRequestParams, ListenHandler(bus))
    return _Foreign(lowlevel, application, contextlib.nullcontext, pushed.SDK, bus)


def _is_fastmcp(candidate: object) -> bool:
    # By name first: importing fastmcp to ask would cost every other server most of a second.
    if not any(base.__module__.startswith("fastmcp.") for base in type(candidate).__mro__):
        return False
    from fastmcp import FastMCP

    return isinstance(candidate, FastMCP)


def _fastmcp(candidate: Any, name: str) -> _Foreign:
    server: FastMCP[Any] = candidate
    # It paints its log lines for a terminal; here every line is JSON, as the root logger writes it.
    logger = logging.getLogger("fastmcp")
    logger.handlers.clear()
    logger.propagate = True

    def application(settings: Serve) -> Starlette:
        return server.http_app(path=settings.path, stateless_http=True, host_origin_protection=False)

    # Over HTTP its application enters the same lifespan once more; FastMCP counts.
    running: Callable[[], AbstractAsyncContextManager[object]] = server._lifespan_manager  # noqa: SLF001 - what its own stdio server enters
    lowlevel = server._mcp_server  # noqa: SLF001 - as above
    if _UNNAMED.fullmatch(lowlevel.name):
        lowlevel.name = name
    return _Foreign(lowlevel, application, running, pushed.FASTMCP)
