"""Servers of others, to be measured against in the same set-up: one process, one core, uvloop and httptools.

    python -m benchmarks.peers PEER DESCRIPTOR     serve PEER on an open socket; PEER is one of `PEERS`

Each MCP server offers two tools: `echo` answers with what it was given, `steps` reports progress once before it does.
"""

import logging
import socket
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import uvicorn


def starlette() -> Any:
    """A bare JSON echo: what the machine, uvicorn and Starlette take without any MCP."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    return Starlette(routes=[Route("/mcp", echo, methods=["POST"])])


def sdk(*, json_response: bool) -> Any:
    """The SDK's own high-level server and application."""
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context

    server = MCPServer("echo", version="1", log_level="WARNING")

    @server.tool()
    async def echo(text: str) -> str:
        """Give a text back."""
        return text

    @server.tool()
    async def steps(text: str, ctx: Context) -> str:
        """Give a text back after a word on the way."""
        await ctx.report_progress(1, 2)
        return text

    return server.streamable_http_app(stateless_http=True, json_response=json_response)


def fastmcp() -> Any:
    """FastMCP 4 on top of the SDK."""
    from fastmcp import Context, FastMCP

    server: FastMCP[Any] = FastMCP("echo", version="1")

    @server.tool
    async def echo(text: str) -> str:
        """Give a text back."""
        return text

    @server.tool
    async def steps(text: str, ctx: Context) -> str:
        """Give a text back after a word on the way."""
        await ctx.report_progress(1, 2)
        return text

    return server.http_app(stateless_http=True)


PEERS: Final[Mapping[str, Callable[[], Any]]] = MappingProxyType(
    {
        "starlette": starlette,
        "sdk": lambda: sdk(json_response=False),
        "sdk-json": lambda: sdk(json_response=True),
        "fastmcp": fastmcp,
    }
)


def main(name: str, descriptor: int) -> None:
    """Serve until the process is ended. Nobody logs: a line for every request would be held against them."""
    logging.basicConfig(level=logging.WARNING)
    logging.disable(logging.INFO)
    listening = socket.socket(fileno=descriptor)
    config = uvicorn.Config(
        PEERS[name](), loop="uvloop", http="httptools", ws="none", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
