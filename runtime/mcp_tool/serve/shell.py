"""The ASGI shell around the SDK's application: everything a network asks of a server that the SDK leaves open.

health and readiness → Host and Origin → path → method → size → how many at once → the SDK
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_tool.config import Serve
from mcp_tool.record import KEY, Record
from mcp_tool.serve import log
from mcp_tool.serve.gates import SERVER_BUSY, Authenticator, Headers, Refusal
from mcp_tool.serve.names import Names

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LISTEN: Final = b"subscriptions/listen"
"""The one method whose answer stays open for as long as the client likes; known by its routing header."""


@dataclass
class Shell:
    """The server's outermost ASGI application.

    Attributes:
        inner: The SDK's application; it sees only requests that passed.
        authenticate: Finds out who is calling; None asks nobody.
        ready: Whether `/readyz` says so; false before the start is done and from the moment a stop was asked for.
        in_flight: Requests being answered, listen streams apart.
    """

    inner: Application
    settings: Serve
    names: Names
    authenticate: Authenticator | None = None
    ready: bool = False
    in_flight: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; nothing else is asked of it."""
        if scope["path"] == "/healthz":
            await _answer(send, 200, {"status": "ok"})
            return
        if scope["path"] == "/readyz":
            await _answer(send, 200 if self.ready else 503, {"status": "ready" if self.ready else "not ready"})
            return
        await self._logged(scope, receive, send)

    async def _logged(self, scope: Scope, receive: Receive, send: Send) -> None:
        watch, status = log.Stopwatch(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not self.ready:
                    # This connection will be closed soon. Whoever is told connects anew and loses no request on it.
                    message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        # Header values may carry optional white space (RFC 9110, 5.5), which httptools leaves in place.
        headers: Headers = {key: value.strip() for key, value in scope["headers"]}
        record = scope[KEY] = Record()
        try:
            await self._serve(record, scope, headers, receive, noting)
        finally:
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                mcp_method=headers.get(b"mcp-method", b"").decode("latin-1") or None,
                status=status,
                ms=watch.ms,
            )

    async def _serve(self, record: Record, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if self.authenticate is not None and (document := self.authenticate.metadata(scope, headers)) is not None:
            await _send(send, 200, document, ((b"cache-control", b"max-age=3600"),))
            return
        at_endpoint = (scope["path"].rstrip("/") or "/") == self.settings.path
        if refusal := self._refusal(scope["method"], headers, at_endpoint=at_endpoint):
            await _refuse(send, refusal)
            return
        if self.authenticate is not None:
            who = await self.authenticate(scope, headers)
            if isinstance(who, Refusal):
                await _refuse(send, who)
                return
            record.principal = who
        path = self.settings.path if at_endpoint else scope["path"]
        inner_scope = dict(
            scope,
            path=path,
            raw_path=path.encode() if at_endpoint else scope.get("raw_path"),
            headers=[(key, value.strip()) for key, value in scope["headers"]],
        )
        listening = headers.get(b"mcp-method") == LISTEN
        if not listening and self.in_flight >= self.settings.concurrency:
            await _refuse(send, Refusal(503, "The server is busy", "busy", SERVER_BUSY, ((b"retry-after", b"1"),)))
            return
        self.in_flight += not listening
        try:
            body = await _read(receive, self.settings.max_body)
            if body is None:
                text = f"The request is larger than {self.settings.max_body} bytes"
                await _refuse(send, Refusal(413, text, "too_large"))
            else:
                await self.inner(inner_scope, _replay(body, receive), send)
        finally:
            self.in_flight -= not listening

    def _refusal(self, method: str, headers: Headers, *, at_endpoint: bool) -> Refusal | None:
        """Why a request is not served, from its head alone."""
        if not self.names.host_is_ours(headers.get(b"host", b"").decode("latin-1")):
            return Refusal(421, "This server does not go by that Host", "host")
        origin = headers.get(b"origin")
        if origin is not None and not self.names.origin_is_trusted(origin.decode("latin-1")):
            return Refusal(403, "Pages of that Origin may not call this server", "origin")
        if at_endpoint and method != "POST":
            # A GET of the older protocol versions would open a stream on which nothing ever comes.
            return Refusal(405, "Only POST is served here", "method", headers=((b"allow", b"POST"),))
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self.settings.max_body:
            return Refusal(413, f"The request is larger than {self.settings.max_body} bytes", "too_large")
        return None


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None if it is longer than `limit` bytes. A client that leaves early leaves a short body."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            return None
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _refuse(send: Send, refusal: Refusal) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": refusal.code, "message": refusal.message}}
    await _answer(send, refusal.status, error, refusal.headers)


async def _answer(send: Send, status: int, document: object, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    await _send(send, status, json.dumps(document, separators=(",", ":")).encode(), headers)


async def _send(send: Send, status: int, body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    fixed = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
