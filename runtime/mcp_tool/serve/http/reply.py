"""One HTTP answer that is JSON until something has to be said before it, and an event stream from then on.

The wire form of both, and the pings that keep a silent stream open, are those of the SDK's transports
(`mcp.server._streamable_http_modern`, `mcp.server.streamable_http`).
"""

import asyncio
from typing import Final, Self

from mcp_tool.serve.http.shell import Receive, Send

PING_AFTER: Final = 15.0
"""Seconds of silence after which a stream says that it lives: half of what proxies usually wait, and less."""

_LOOK_AFTER: Final = 0.05
"""Seconds after which an answer takes so long that its client may have left; a quick one is not worth a task."""

_JSON: Final = (b"content-type", b"application/json")
_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


class Reply:
    """The way back of one request. Entered around the work; ends the work when the client leaves.

    Attributes:
        gone: Whether the client left before the end.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._streams = False
        self._over = False
        self._watch: asyncio.Task[None] | None = None
        self.gone = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.current_task()
        self._last = self._loop.time()
        self._look = self._loop.call_later(_LOOK_AFTER, self._start_watching)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._over = True
        self._look.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self.gone and kind is not None and issubclass(kind, asyncio.CancelledError) and self._work is not None:
            return self._work.uncancel() == 0  # it was us who cancelled, and nobody else
        return False

    async def event(self, message: str) -> None:
        """Say something before the answer, as a JSON-RPC message; from here on the answer is a stream."""
        if not self._over:
            await self._say(_event(message))

    async def end(self, status: int, message: str) -> None:
        """Give the answer, a JSON-RPC message. The status is that of the stream where one has begun."""
        self._over = True
        if self._streams:
            await self._send({"type": "http.response.body", "body": _event(message), "more_body": False})
            return
        body = message.encode()
        headers = [(b"content-length", str(len(body)).encode()), _JSON]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _say(self, frame: bytes) -> None:
        self._last = self._loop.time()
        if not self._streams:
            self._streams = True
            await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})

    def _start_watching(self) -> None:
        self._watch = self._loop.create_task(self._watching())

    async def _watching(self) -> None:
        leaving = asyncio.ensure_future(self._left())
        try:
            while not self._over:
                silent = self._loop.time() - self._last
                await asyncio.wait({leaving}, timeout=max(0.0, PING_AFTER - silent))
                if leaving.done():
                    self._leave()
                    return
                if self._loop.time() - self._last >= PING_AFTER and not self._over:
                    await self._say(b": ping\r\n\r\n")
        finally:
            leaving.cancel()

    async def _left(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _leave(self) -> None:
        if not self._over and self._work is not None:
            self.gone = True
            self._work.cancel()


def _event(message: str) -> bytes:
    return f"event: message\r\ndata: {message}\r\n\r\n".encode()
