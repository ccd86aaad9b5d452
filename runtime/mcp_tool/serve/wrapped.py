"""A server the author wrote with another library: the SDK's `MCPServer`, or FastMCP 4 on top of it.

It is served by the same transports as everything else, and its contract is what it answers to a client in memory.
"""

import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from mcp.server import MCPServer
from mcp.server.request_state import RequestStateBoundary
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from mcp_tool.config import Config, Serve
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.sdk import state_security
from mcp_tool.serve.served import Served

if TYPE_CHECKING:
    from fastmcp import FastMCP


def serve_object(candidate: object, entrypoint: str, config: Config) -> Served:
    """Put an author's own server behind the transports.

    Raises:
        StartProblem: The object is neither an `MCPServer` nor a FastMCP server.
    """
    if isinstance(candidate, MCPServer):
        served = _mcp_server(candidate)
    elif _is_fastmcp(candidate):
        served = _fastmcp(candidate)
    else:
        raise StartProblem(
            f"entrypoint {entrypoint!r} is a {type(candidate).__name__}, not an MCP server",
            "name an mcp.server.MCPServer or a FastMCP server as module:object, "
            "or a module of decorated functions as module",
        )
    if config.serve.state_keys:
        _share_state_key(served, config)
    return served


def _share_state_key(served: Served, config: Config) -> None:
    """Replace the server's own sealing, whose key dies with the process, by the deployment's."""
    chain = served.server.middleware
    boundary = RequestStateBoundary(state_security(config), default_audience=served.server.name)
    places = [place for place, link in enumerate(chain) if isinstance(link, RequestStateBoundary)]
    if places:
        chain[places[0]] = boundary
    else:
        chain.append(boundary)


def _mcp_server(server: MCPServer[Any]) -> Served:
    def application(settings: Serve) -> Starlette:
        return server.streamable_http_app(
            streamable_http_path=settings.path,
            stateless_http=True,
            max_request_body_size=settings.max_body,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )

    # The SDK has no public way to its low-level server, which alone takes streams that are not sys.stdin's.
    return Served(server._lowlevel_server, application, contextlib.nullcontext)  # noqa: SLF001 - see above


def _is_fastmcp(candidate: object) -> bool:
    # By name first: importing fastmcp to ask would cost every other server most of a second.
    if not any(base.__module__.startswith("fastmcp.") for base in type(candidate).__mro__):
        return False
    from fastmcp import FastMCP

    return isinstance(candidate, FastMCP)


def _fastmcp(candidate: Any) -> Served:
    server: FastMCP[Any] = candidate

    def application(settings: Serve) -> Starlette:
        return server.http_app(path=settings.path, stateless_http=True, host_origin_protection=False)

    # Over HTTP its application enters the same lifespan once more; FastMCP counts.
    running: Callable[[], AbstractAsyncContextManager[object]] = server._lifespan_manager  # noqa: SLF001 - what its own stdio server enters
    return Served(server._mcp_server, application, running)  # noqa: SLF001 - as above
