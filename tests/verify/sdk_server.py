"""A server of the SDK's own, as its users write it, for the client to be held against."""

from __future__ import annotations

import sys

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("judge", version="1.0")


@server.tool()
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@server.tool(name="greet_ünï")
def greet(name: str) -> str:
    """Greet with a name that no header can hold."""
    return f"hello {name}"


@server.tool()
async def count(context: Context, to: int) -> str:
    """Count, telling how far it is."""
    for number in range(to):
        await context.report_progress(number + 1, to, f"step {number + 1}")
    return "done"


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("inside")


@server.resource("note://today")
def today() -> str:
    """What is on."""
    return "nothing"


@server.resource("note://{day}/plan")
def plan(day: str) -> str:
    """What is planned."""
    return day


@server.prompt()
def ask(topic: str) -> str:
    """Ask about a topic."""
    return f"What about {topic}?"


if __name__ == "__main__":
    mode, fd = sys.argv[1], int(sys.argv[2])
    app = server.streamable_http_app(stateless_http="stateless" in mode, json_response="json" in mode)
    uvicorn.Server(uvicorn.Config(app, log_level="error", fd=fd)).run()
