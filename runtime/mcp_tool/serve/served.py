"""What the transports serve, however it was written: a tool of this runtime, an MCPServer, a FastMCP server."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcp.server.lowlevel import Server
from mcp.server.subscriptions import ListenHandler
from starlette.applications import Starlette

from mcp_tool.config import Serve
from mcp_tool.serve.http.shell import Application


class Threads(Protocol):
    """Threads that functions run in which may not come back."""

    @property
    def lost(self) -> int:
        """How many are lost now."""

    @property
    def worn(self) -> bool:
        """Whether so many are that the process should be replaced."""


@dataclass(frozen=True)
class Served:
    """One server, ready to be put behind a transport.

    Attributes:
        server: The SDK's server, for stdio.
        application: Makes the SDK's ASGI application for the given settings; called once.
        running: The author's own start and stop, entered around the transport.
        listens: What serves `subscriptions/listen`; empty where nothing does.
        scopes: By tool, the OAuth scopes that its caller must have; empty for a server written with another library.
        shortened: Puts what answers plain calls past the SDK's transport in front of the application.
        runner: Where the author's plain functions run, as far as threads can be lost there.
    """

    server: Server[Any]
    application: Callable[[Serve], Starlette]
    running: Callable[[], AbstractAsyncContextManager[object]]
    listens: Sequence[ListenHandler] = ()
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    shortened: Callable[[Application], Application] = lambda inner: inner
    runner: Threads | None = None

    def close_listens(self) -> None:
        """End every open `subscriptions/listen` stream with its proper last message."""
        for handler in self.listens:
            handler.close()
