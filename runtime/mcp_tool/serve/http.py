"""MCP over streamable HTTP: one socket, one uvicorn, the shell, and an orderly end.

On SIGTERM or SIGINT the server says "not ready", after `drain_delay` it stops accepting and ends the listen streams,
calls in flight finish within `drain`, and the process exits 0.
"""

import asyncio
import contextlib
import importlib.util
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from mcp_tool.config import Serve
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.shell import Shell
from mcp_tool.serve.stdio import cut_off_after

_AFTER_DRAIN = 2.0
"""Seconds for the author's clean-up once the last call is over."""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet, so that nobody connects before there is an answer.

    Raises:
        StartProblem: The address is taken, not this machine's, or not allowed.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(info[0], info[1])
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(info[4])
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StartProblem(
            f"cannot listen on {host} port {port}: {reason}", "choose another --port (0: any free one) or --host"
        ) from None
    bound.setblocking(False)  # noqa: FBT003 - socket's own signature
    return bound


def inherited(descriptors: Sequence[int]) -> tuple[socket.socket, ...]:
    """Sockets that whoever started this process holds open: a new server takes them over while the old one drains.

    Raises:
        StartProblem: A descriptor is not an open socket.
    """
    sockets = []
    for descriptor in descriptors:
        try:
            taken = socket.socket(fileno=descriptor)
        except OSError as error:
            raise StartProblem(
                f"file descriptor {descriptor} is not a socket: {error.strerror}", "pass a bound socket with --fd"
            ) from None
        taken.setblocking(False)  # noqa: FBT003 - socket's own signature
        taken.set_inheritable(False)
        sockets.append(taken)
    return tuple(sockets)


def url(bound: socket.socket, path: str) -> str:
    """Where the endpoint is, as this machine reaches it."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


class _Uvicorn(uvicorn.Server):
    """uvicorn whose end is ours to arrange; left alone it drops older clients' streams and dies of the signal."""

    def __init__(
        self,
        config: uvicorn.Config,
        shell: Shell,
        close_listens: Callable[[], None],
        ready: Callable[[], None],
        *,
        handed_over: bool,
    ) -> None:
        super().__init__(config)
        self._handed_over = handed_over
        self._shell = shell
        self._close_listens = close_listens
        self._ready = ready
        self._stopping = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._shell.ready = not self._stopping
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
            if self._stopping:
                self.force_exit = number == signal.SIGINT
                return
            self._stopping, self._shell.ready = True, False
            settings = self._shell.settings
            # From here, so that it also ends a server whose event loop a tool blocks.
            cut_off_after(settings.drain_delay + settings.drain + _AFTER_DRAIN)
            loop.call_soon_threadsafe(self._wind_down, settings.drain_delay)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wind_down(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        if self._handed_over:
            # Somebody else accepts on these sockets by now. What was accepted here is answered within the delay, so
            # that no connection is closed while its first request is on the way.
            for server in self.servers:
                _stop_accepting(server, loop)
        loop.call_later(delay, self._finish)

    def _finish(self) -> None:
        self._close_listens()
        self.should_exit = True


def _stop_accepting(server: asyncio.Server, loop: asyncio.AbstractEventLoop) -> None:
    """Accept no further connection, and lose none that was accepted a moment ago.

    asyncio's `Server.close` drops those whose transport is not made yet: `_attach` refuses them, and the client sees
    a reset (CPython 3.11, asyncio/base_events.py). uvloop accepts and makes the transport in one step.
    """
    if isinstance(loop, asyncio.SelectorEventLoop):
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
    else:
        server.close()


async def serve(
    shell: Shell,
    lifespan: AbstractAsyncContextManager[object],
    sockets: Sequence[socket.socket],
    close_listens: Callable[[], None],
    ready: Callable[[], None],
    *,
    handed_over: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT; returns when the last call is answered or its time is over.

    Sockets that were `handed_over` are left to their next server at once; others accept during `drain_delay` too,
    since a load balancer takes a while to notice.
    """
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # sse_starlette leaves it untyped
    settings: Serve = shell.settings
    config = uvicorn.Config(
        shell,
        loop="none",
        http="httptools" if importlib.util.find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.keep_alive),
        timeout_graceful_shutdown=max(1, int(settings.drain)),
    )
    # Entered here, not by uvicorn, which would print a traceback of its own where it fails.
    async with lifespan:
        server = _Uvicorn(config, shell, close_listens, ready, handed_over=handed_over)
        await server.serve(sockets=list(sockets))


def new_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's event loop where it is installed, else asyncio's."""
    if importlib.util.find_spec("uvloop"):
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # an extra, not always there

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()
