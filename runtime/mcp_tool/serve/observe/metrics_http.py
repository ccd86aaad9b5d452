"""`/metrics` on a port of its own, which nothing that faces clients routes to.

Not a part of the endpoint's server: no gate stands before it, and it answers while the endpoint drains.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

from mcp_tool.serve.http import forks as http_forks

logger = logging.getLogger("mcp_tool.serve")

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
RETRY: Final = 1.0
"""Seconds between two tries for the address: the server of the release before still has it while it drains."""

_LONGEST: Final = 8192
_PATIENCE: Final = 10.0
"""Bytes of a request's head, and seconds until it is there."""
_WINDOW: Final = 15.0
"""Seconds for which the worst lag of the event loop is kept at least, and twice of it at most."""
_LOOK: Final = 0.25


@contextlib.asynccontextmanager
async def serving(host: str, port: int, text: Callable[[], Awaitable[str]]) -> AsyncIterator[None]:
    """Serve the text while the block runs. An address in use is tried again and again, in the background."""
    task = asyncio.create_task(_serve(host, port, text))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _serve(host: str, port: int, text: Callable[[], Awaitable[str]]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(await _answer(head, text))
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
        writer.close()

    server, told = None, False
    while server is None:
        try:
            server = await asyncio.start_server(answer, host, port, limit=_LONGEST, reuse_address=True)
        except OSError as error:
            if not told:
                logger.warning("metrics cannot be served on %s port %d yet: %s", host, port, error.strerror or error)
            told = True
            await asyncio.sleep(RETRY)
    http_forks.keep_out(server.sockets)
    bound = server.sockets[0].getsockname()
    logger.info("serving metrics", extra={"fields": {"host": bound[0], "port": bound[1]}})
    try:
        await asyncio.Event().wait()
    finally:
        server.close()


async def _answer(head: bytes, text: Callable[[], Awaitable[str]]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in {b"GET", b"HEAD"}:
        return _response("405 Method Not Allowed", "only GET is served here\n")
    match path:
        case b"/metrics":
            return _response("200 OK", await text(), CONTENT_TYPE, bare=method == b"HEAD")
        case b"/healthz":
            return _response("200 OK", "ok\n", bare=method == b"HEAD")
        case _:
            return _response("404 Not Found", "there is /metrics and /healthz\n", bare=method == b"HEAD")


def _response(status: str, body: str, kind: str = "text/plain; charset=utf-8", *, bare: bool = False) -> bytes:
    data = body.encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    return head.encode("latin-1") + (b"" if bare else data)


class Lag:
    """How late the event loop runs what is due: the worst of the last quarter to half minute, in seconds."""

    def __init__(self) -> None:
        self._now = self._before = self._until = 0.0
        self._handle: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """The worst lag."""
        return max(self._now, self._before)

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the running event loop during the block."""
        loop = asyncio.get_running_loop()
        self._until = loop.time() + _WINDOW
        self._await(loop)
        try:
            yield
        finally:
            if self._handle is not None:
                self._handle.cancel()

    def _await(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + _LOOK
        self._handle = loop.call_at(due, self._look, loop, due)

    def _look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        if now > self._until:
            self._before, self._now, self._until = self._now, 0.0, now + _WINDOW
        self._now = max(self._now, now - due)
        self._await(loop)
