"""The ASGI shell around the SDK's application: everything a network asks of a server that the SDK leaves open.

health → record → Host and Origin → well-known metadata → path and method → draining → who is it → the tool's scopes →
rate → how many at once → size → the SDK
"""

import asyncio
import itertools
import json
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_tool.config import Serve
from mcp_tool.record import CURRENT, KEY, Record
from mcp_tool.serve.http.gates import (
    INTERNAL_ERROR,
    PEER,
    PLATFORM,
    SERVER_BUSY,
    Authenticator,
    Headers,
    Limiter,
    Platform,
    Refusal,
)
from mcp_tool.serve.http.names import Names
from mcp_tool.serve.http.proxies import Proxies
from mcp_tool.serve.http.ready import Readiness
from mcp_tool.serve.http.scopes import ToolScopes
from mcp_tool.serve.observe import log
from mcp_tool.wire import MODERN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders = tuple[tuple[bytes, bytes], ...]

logger = logging.getLogger("mcp_tool.serve")

LISTEN: Final = b"subscriptions/listen"
"""The one method whose answer stays open for as long as the client likes; known by its routing header."""

BODY: Final = 20.0
"""Seconds from a request's head to the end of its body; a slower one holds a place that others could use."""

LISTENERS: Final = 10
"""Open listen streams, as a multiple of the calls that may be in flight."""

_MODERN: Final = MODERN.encode()
_WELL_KNOWN: Final = "/.well-known/"
_CLOSE: Final = (b"connection", b"close")
_FOR_PAGES: Final = ((b"access-control-allow-origin", b"*"),)
_DECIDING: Final = frozenset({b"host", b"origin", b"authorization", b"content-length"})
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_LONGEST: Final = 128
"""Characters of what the client says that are kept for the log."""

_DRAINING: Final = Refusal(503, "The server is going away", "draining", SERVER_BUSY, ((b"retry-after", b"1"), _CLOSE))
_BUSY: Final = Refusal(503, "The server is busy", "busy", SERVER_BUSY, ((b"retry-after", b"1"),))
_METHOD: Final = Refusal(405, "Only POST is served here", "method", headers=((b"allow", b"POST"),))
_READ_ONLY: Final = Refusal(405, "Only GET is served here", "method", headers=((b"allow", b"GET, HEAD"),))
_HOST: Final = Refusal(421, "This server does not go by that Host", "host")
_ORIGIN: Final = Refusal(403, "Pages of that Origin may not call this server", "origin")
_REPEATED: Final = Refusal(400, "A header that decides who may call comes more than once", "malformed")
_TWO_LENGTHS: Final = Refusal(  # RFC 9112, 6.3: somebody on the way may have believed the other one
    400, "A request has either a length or an encoding that ends by itself", "malformed", headers=(_CLOSE,)
)
_TOO_SLOW: Final = Refusal(408, "The request's body did not come in time", "too_slow", headers=(_CLOSE,))
_FAILED: Final = Refusal(500, "Internal error", "", INTERNAL_ERROR)


class GoneError(Exception):
    """The client left before its request was whole."""


@dataclass
class Shell:
    """The server's outermost ASGI application.

    Attributes:
        inner: The SDK's application; it sees only requests that passed.
        authenticate: Finds out who is calling; None asks nobody.
        scopes: By tool, the scopes that its caller must have.
        limit: Counts each caller's requests; None counts nobody's.
        readiness: What `/readyz` says beside `ready`.
        seen: Told of every request at its end, refused ones included; health checks are not told of.
        ready: Whether `/readyz` says so; false before the start is done and from the moment a stop was asked for.
        unready: Why not, in one word: "starting", "draining" or "threads".
        draining: Whether new requests are refused: after the time that a load balancer had to notice.
        in_flight: Requests being answered, listen streams apart.
    """

    inner: Application
    settings: Serve
    names: Names
    authenticate: Authenticator | None = None
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    limit: Limiter | None = None
    readiness: Readiness = field(default_factory=lambda: Readiness({}))
    seen: Callable[[Record], None] = log.request
    ready: bool = False
    unready: str = "starting"
    draining: bool = False
    in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._proxies = Proxies(self.settings.trusted_proxies)
        # Who may do everything needs no look at what the tool asks for.
        self._tool_scopes = ToolScopes(self.scopes if self.authenticate is not None else {})
        self._too_large = Refusal(413, f"The request is larger than {self.settings.max_body} bytes", "too_large")
        self._ids = map(f"{secrets.token_hex(8)}-{{:x}}".format, itertools.count(1))
        self._listening = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; nothing else is asked of it."""
        path = scope["path"]
        if path == "/healthz":
            await _answer(send, 200, {"status": "ok"})
        elif path == "/readyz":
            await self._say_whether_ready(send)
        else:
            await self._recorded(scope, receive, send)

    async def takes_requests(self) -> bool:
        """Whether `/readyz` says yes."""
        return not await self._reasons()

    async def _reasons(self) -> tuple[str, ...]:
        return await self.readiness.reasons() if self.ready else (self.unready,)

    async def _say_whether_ready(self, send: Send) -> None:
        if reasons := await self._reasons():
            await _answer(send, 503, {"status": "not ready", "reasons": reasons})
        else:
            await _answer(send, 200, {"status": "ready"})

    async def _recorded(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Header values may carry optional white space (RFC 9110, 5.5), which httptools leaves in place.
        raw = scope["headers"] = [(key, value.strip()) for key, value in scope["headers"]]
        read: Headers = dict(reversed(raw))
        record = scope[KEY] = Record()
        CURRENT.set(record)
        given = read.get(b"x-request-id")
        sane = given is not None and _REQUEST_ID.fullmatch(given)
        record.request_id = given.decode() if given is not None and sane else next(self._ids)
        told = (b"x-request-id", record.request_id.encode())

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                headers = [*message.get("headers", ()), told]
                if not self.ready:
                    # This connection will be closed soon: whoever is told connects anew and loses no request on it.
                    headers = [*(pair for pair in headers if pair[0] != b"connection"), _CLOSE]
                message = {**message, "headers": headers}
            try:
                await send(message)
            except RuntimeError as error:
                # uvloop says so of a connection that the client has reset; asyncio says nothing.
                if "is closed" not in str(error):
                    raise
                record.outcome = "gone"

        _note_head(record, read)
        try:
            refusal = await self._served(_Request(record, scope, read, receive, noting))
            if refusal is not None:
                record.refused, record.outcome = refusal.reason, "refused"
                await _refuse(noting, refusal)
        except GoneError:
            record.outcome = "gone"
        except Exception as error:
            record.outcome, record.error_type = "failed", type(error).__name__
            logger.exception("answering a request failed")
            if not record.status:
                await _refuse(noting, _FAILED)
        finally:
            record.outcome = record.outcome or _outcome(record.status)
            self.seen(record)

    async def _served(self, request: "_Request") -> Refusal | None:
        """Pass a request on if every gate lets it through; else why not."""
        scope = request.scope
        if refusal := self._unwelcome(request):
            return refusal
        path = scope["path"]
        if self.authenticate is not None and path.startswith(_WELL_KNOWN):
            document = self.authenticate.metadata(scope, request.headers)
            if document is not None:
                return await _show(request, document)
        origin = request.headers.get(b"origin")
        if origin is not None and not self.names.origin_is_trusted(origin.decode("latin-1")):
            return _ORIGIN
        if (path.rstrip("/") or "/") == self.settings.path:
            if scope["method"] != "POST":
                # A GET of the older protocol versions would open a stream on which nothing ever comes.
                return _METHOD
            if path != self.settings.path:
                scope["path"], scope["raw_path"] = self.settings.path, self.settings.path.encode()
        if self.draining:
            return _DRAINING
        if self.authenticate is not None and (refusal := await self._unknown(self.authenticate, request)):
            return refusal
        if self.limit is not None and (refusal := await self.limit(request.record.principal, request.record.address)):
            return refusal
        return await self._admitted(request)

    def _unwelcome(self, request: "_Request") -> Refusal | None:
        """Why a request is not served, from its head alone; notes where it came from on the way."""
        scope, headers, record = request.scope, request.headers, request.record
        if len(headers) != len(scope["headers"]) and _repeats(scope["headers"]):
            return _REPEATED
        if b"transfer-encoding" in headers and b"content-length" in headers:
            return _TWO_LENGTHS
        client = scope.get("client")
        record.address = client[0] if client else ""
        platform = scope.get(PLATFORM)
        if isinstance(platform, Platform):
            record.address, scope["scheme"] = platform.address, platform.scheme
            is_ours = headers.get(b"host", b"").decode("latin-1").lower() == platform.host.lower()
        else:
            if self._proxies:
                self._believe(request)
            is_ours = self.names.host_is_ours(headers.get(b"host", b"").decode("latin-1"))
        return None if is_ours else _HOST

    def _believe(self, request: "_Request") -> None:
        """Take client, scheme and host from what a trusted proxy says of them."""
        scope, record = request.scope, request.record
        scope[PEER] = record.address
        origin = self._proxies.origin(record.address, request.headers, scope["headers"])
        if origin.address != record.address:
            record.address, scope["client"] = origin.address, (origin.address, 0)
        if origin.scheme:
            scope["scheme"] = origin.scheme
        if origin.host:
            request.headers[b"host"] = origin.host.encode("latin-1")

    async def _unknown(self, authenticate: Authenticator, request: "_Request") -> Refusal | None:
        """Why the caller may not call, or not this tool; notes who it is."""
        who = await authenticate(request.scope, request.headers)
        if isinstance(who, Refusal):
            return who
        request.record.principal = who
        if self._tool_scopes:
            needed = self._tool_scopes.by_head(request.headers)
            if needed is None:
                request.look = True
            elif not who.may(needed):
                return authenticate.forbidden(request.scope, request.headers, needed)
        return None

    async def _admitted(self, request: "_Request") -> Refusal | None:
        """Hold a place while a request is answered, if there is one."""
        headers = request.headers
        # Only the newer era's headers are held against the body; others could say so to be counted out.
        if headers.get(b"mcp-method") == LISTEN and headers.get(b"mcp-protocol-version") == _MODERN:
            if self._listening >= self.settings.concurrency * LISTENERS:
                return _BUSY
            self._listening += 1
            try:
                return await self._sized(request)
            finally:
                self._listening -= 1
        if self.in_flight >= self.settings.concurrency:
            return _BUSY
        self.in_flight += 1
        try:
            return await self._sized(request)
        finally:
            self.in_flight -= 1

    async def _sized(self, request: "_Request") -> Refusal | None:
        """Read the body, if it is not too large and comes in time, and hand it on."""
        length = request.headers.get(b"content-length", b"")
        if len(length) > 18 or (length.isdigit() and int(length) > self.settings.max_body):
            return self._too_large
        try:
            async with asyncio.timeout(BODY):
                body = await _read(request.receive, self.settings.max_body)
        except TimeoutError:
            return _TOO_SLOW
        if body is None:
            return self._too_large
        if request.look and self.authenticate is not None:
            needed = self._tool_scopes.by_body(body)
            if not request.record.principal.may(needed):
                return self.authenticate.forbidden(request.scope, request.headers, needed)
        await self.inner(request.scope, _replay(body, request.receive), request.send)
        return None


@dataclass(slots=True)
class _Request:
    """One request on its way through the gates; `look` asks the last one to look for the tool in the body."""

    record: Record
    scope: Scope
    headers: Headers
    receive: Receive
    send: Send
    look: bool = False


def _outcome(status: int) -> str:
    match status:
        case 0:
            return "gone"
        case _ if status < 400:
            return "ok"
        case _:
            return "failed"


def _note_head(record: Record, headers: Headers) -> None:
    """What the head of a request says of it, for the log; nothing is decided by it."""
    if method := headers.get(b"mcp-method"):
        record.method = method[:_LONGEST].decode("latin-1")
    if protocol := headers.get(b"mcp-protocol-version"):
        record.protocol = protocol[:_LONGEST].decode("latin-1")
    if traceparent := headers.get(b"traceparent"):
        record.follow(traceparent.decode("latin-1"))


def _repeats(raw: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a header that somebody decides by comes twice: another reader could believe the other one."""
    deciding = [name for name, _ in raw if name in _DECIDING]
    return len(deciding) != len(set(deciding))


async def _show(request: _Request, document: bytes) -> Refusal | None:
    """Show a public document, to pages of any origin too: clients in browsers read it first; the SDK's is shown so."""
    match request.scope["method"]:
        case "GET" | "HEAD":
            await _send(request.send, 200, document, ((b"cache-control", b"max-age=3600"), *_FOR_PAGES))
        case "OPTIONS":  # since such clients send MCP-Protocol-Version along
            await _send(request.send, 200, b"", (*_FOR_PAGES, (b"access-control-allow-headers", b"*")))
        case _:
            return _READ_ONLY
    return None


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body; None if it is longer than `limit` bytes.

    Raises:
        GoneError: The client left before the end.
    """
    message = await receive()
    if message["type"] != "http.request":
        raise GoneError
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= limit else None
    chunks, size = [body], len(body)
    while size <= limit:
        message = await receive()
        if message["type"] != "http.request":
            raise GoneError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if not message.get("more_body", False):
            return b"".join(chunks) if size <= limit else None
    return None


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


async def _answer(send: Send, status: int, document: object, headers: RawHeaders = ()) -> None:
    await _send(send, status, json.dumps(document, separators=(",", ":")).encode(), headers)


async def _send(send: Send, status: int, body: bytes, headers: RawHeaders = ()) -> None:
    fixed = ((b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
