"""MCP over streamable HTTP: one socket, one uvicorn, the shell, and an orderly end.

On SIGTERM or SIGINT the server says "not ready", after `drain_delay` it stops accepting, refuses what still comes over
connections that it has, and ends the listen streams; calls in flight finish within `drain`, and the process exits 0.
A process that has lost too many threads ends itself the same way, and exits `RECYCLED`.
"""

import asyncio
import contextlib
import importlib.util
import logging
import signal
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import Literal, cast

import uvicorn
from sse_starlette.sse import AppStatus

from mcp_tool.config import Serve
from mcp_tool.serve.http.connections import Sweep, is_idle, let_nobody_in
from mcp_tool.serve.http.forks import keep_out
from mcp_tool.serve.http.shell import Shell
from mcp_tool.serve.problem import StartProblem
from mcp_tool.serve.stdio import cut_off_after
from mcp_tool.serve.watchdog import watching

logger = logging.getLogger("mcp_tool.serve")

RECYCLED = 75
"""Exit code of a process that ends itself to be started anew (EX_TEMPFAIL of sysexits.h)."""

_AFTER_DRAIN = 3.0
"""Seconds for the author's clean-up once the last call is over."""

_SETTLING = 0.1
"""Seconds that connections get which were made while the server stopped accepting: their requests are on the way."""

_LOOKS = 10
"""Ticks of uvicorn, a tenth of a second each, between two looks at its connections."""


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
        self._sweep = Sweep(self.server_state.connections)
        self._listening: Sequence[socket.socket] = ()
        self._end: asyncio.Task[None] | None = None
        self._until = 0.0
        self.exit_code = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._listening = sockets or ()
        self._shell.ready = not self._stopping
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOKS == 0:
            self._sweep()
        if self._shell.readiness.worn and not self._stopping:
            logger.error("too many threads are lost: this process ends, to be started anew")
            self.exit_code = RECYCLED
            self._stop(asyncio.get_running_loop())
        if self._shell.draining:
            self.should_exit = not self._shell.in_flight or asyncio.get_running_loop().time() > self._until
        return await super().on_tick(counter) or self.force_exit

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        loop = asyncio.get_running_loop()

        def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a signal handler
            if self._stopping:
                self.force_exit = number == signal.SIGINT
                return
            self._stop(loop)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        self._stopping, self._shell.ready = True, False
        self._shell.unready = "threads" if self.exit_code == RECYCLED else "draining"
        settings = self._shell.settings
        # From here, so that it also ends a server whose event loop a tool blocks.
        cut_off_after(settings.drain_delay + settings.drain + _AFTER_DRAIN, self.exit_code)
        loop.call_soon_threadsafe(self._wind_down)

    def _wind_down(self) -> None:
        self._end = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        settings = self._shell.settings
        yielding = self._handed_over and self.exit_code == 0
        if yielding:
            # Somebody else accepts on these sockets by now. What was accepted here is answered within the delay, so
            # that no connection is closed while its first request is on the way.
            self._accept_no_more()
        await asyncio.sleep(settings.drain_delay)
        if not yielding:
            await self._accept_the_last()
        self._close_listens()
        for connection in list(self.server_state.connections):
            if is_idle(connection):
                connection.transport.close()
        if self.server_state.connections:
            await asyncio.sleep(_SETTLING)
        self._shell.draining = True
        self._until = asyncio.get_running_loop().time() + settings.drain

    def _accept_no_more(self) -> None:
        for server in self.servers:
            _stop_accepting(server, asyncio.get_running_loop())

    async def _accept_the_last(self) -> None:
        """Close the listening sockets, with nobody left in their queues: who is there would be reset."""
        if self._handed_over:
            self._accept_no_more()
            return  # whoever comes next takes over the queue
        loop, taken = asyncio.get_running_loop(), list[socket.socket]()
        for listening in self._listening:
            let_nobody_in(listening)
        await asyncio.sleep(_SETTLING / 2)
        if isinstance(loop, asyncio.SelectorEventLoop):
            self._accept_no_more()
            await asyncio.sleep(_SETTLING / 2)
        for listening in self._listening:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listening.accept()[0])
        for server in self.servers:
            server.close()
        for connection in taken:
            connection.setblocking(False)  # noqa: FBT003 - socket's own signature
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        # As uvicorn's startup makes one for each connection.
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=None)


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
) -> int:
    """Serve until SIGTERM or SIGINT, or until too many threads are lost.

    Returns:
        The exit code, when the last call is answered or its time is over.

    Sockets that were `handed_over` are left to their next server at once; others accept during `drain_delay` too,
    since a load balancer takes a while to notice.
    """
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]  # sse_starlette leaves it untyped
    settings: Serve = shell.settings
    config = uvicorn.Config(
        shell,
        loop="none",
        http=_protocol(settings.max_body),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(settings.keep_alive),
        timeout_graceful_shutdown=1,  # what is left of `drain` by then is over
    )
    # Entered here, not by uvicorn, which would print a traceback of its own where it fails.
    async with lifespan:
        keep_out(sockets)
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        with watching() as watch:

            def begin() -> None:
                ready()
                watch()

            server = _Uvicorn(config, shell, close_listens, begin, handed_over=handed_over)
            await server.serve(sockets=list(sockets))
        return server.exit_code


def _is_news(record: logging.LogRecord) -> bool:
    """Not that an answer did not reach its end: the client left, or the shell has told why."""
    return "without completing response" not in record.getMessage()


def _protocol(max_body: int) -> "type[asyncio.Protocol] | Literal['h11']":
    if not importlib.util.find_spec("httptools"):
        return "h11"
    from mcp_tool.serve.http.protocol import bounded

    return bounded(max_body)


def new_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's event loop where it is installed, else asyncio's."""
    if importlib.util.find_spec("uvloop"):
        import uvloop  # type: ignore[import-not-found,unused-ignore]  # an extra, not always there

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    return asyncio.new_event_loop()
