"""The short way of a plain request over HTTP, past the SDK's transport: calls to the seam, questions to the contract.

The SDK makes a task group, a connection and several streams for every request; a plain one needs none of them. Its
answer is the SDK's to the byte (`tests/serve/test_direct.py` holds the two against each other), and whatever is not
plain goes to the SDK's application unread. Nothing here imports the SDK before something is asked for that only the
SDK knows: where a process starts for one call, that import would be most of the time.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import pydantic_core

from mcp_tool.errors import RpcError
from mcp_tool.principal import Principal
from mcp_tool.record import KEY, Record
from mcp_tool.serve.http import noting, plain, shapes
from mcp_tool.serve.http.passing import LEVELS, LogLevel, without_credentials
from mcp_tool.serve.http.plain import Greeted, Plain
from mcp_tool.serve.http.reply import Reply
from mcp_tool.serve.http.shell import Application, Receive, Scope, Send
from mcp_tool.wire import HANDSHAKE, MODERN, Wire

if TYPE_CHECKING:
    from mcp.server.request_state import RequestStateBoundary
    from mcp.server.subscriptions import SubscriptionBus
    from pydantic import BaseModel

logger = logging.getLogger("mcp_tool.serve")

Answer = Callable[[str, Mapping[str, Any], Wire], Awaitable[dict[str, Any]]]
"""The seam: a tool's name, its arguments and the request; the result in wire form."""

_INTERNAL_ERROR: Final = -32603
_STAMP: Final = "io.modelcontextprotocol/serverInfo"
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))
_LOGGED: Final = "io.modelcontextprotocol/logLevel"
_NOTHING: Final = ((b"content-type", b"application/json"), (b"content-length", b"0"))


@dataclass(frozen=True)
class Behind:
    """The SDK's side of a server: what everything goes to that is not plain.

    Attributes:
        inner: The SDK's application.
        boundary: Seals what a call leaves for its next round.
        bus: Carries what subscribers are told.
    """

    inner: Application
    boundary: "RequestStateBoundary"
    bus: "SubscriptionBus"


@dataclass(frozen=True)
class Direct:
    """The ASGI application in front of the SDK's.

    Attributes:
        path: Where the endpoint is.
        tools: The tools that may be called this way: those whose headers need no comparison with their arguments.
        answer: The seam.
        log_level: What older clients asked to hear.
        ready: The answers that the contract holds, as `ready` made them.
        stamp: Who the server is, as results of the newer era say it.
        behind: Gives the SDK's side; where it is not there yet, it is loaded now.
    """

    path: str
    tools: frozenset[str]
    answer: Answer
    log_level: LogLevel
    ready: "Ready"
    stamp: Mapping[str, Any]
    behind: Callable[[], Awaitable[Behind]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain request; hand everything else on."""
        headers = plain.head(scope["headers"]) if scope["path"] == self.path and scope["method"] == "POST" else None
        if headers is None:
            await (await self.behind()).inner(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            found = plain.read(headers, first.get("body", b""), self.tools)
            if found is not None and await self._answered(found, scope, receive, send):
                return
        await (await self.behind()).inner(scope, _again(first, receive), send)

    async def _answered(self, found: Plain | Greeted, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether a plain request is answered now; False, and nothing done, where the contract has no answer to it."""
        if isinstance(found, Greeted):
            record = _record(scope)
            noting.note(record, plain.INITIALIZED, found.version or record.protocol, "")
            record.outcome = "ok"
            await send({"type": "http.response.start", "status": 202, "headers": _NOTHING})
            await send({"type": "http.response.body", "body": b""})
            return True
        if found.method == plain.CALL:
            async with Reply(receive, send) as reply:
                await self._answer(found, scope, reply)
            return True
        result = self.ready.get((found.version, found.method))
        if result is None:
            return False
        _note(_record(scope), found).outcome = "ok"
        identity = _json(found.request_id, modern=found.modern)
        await Reply(receive, send).end(200, f'{{"jsonrpc":"2.0","id":{identity},"result":{result}}}')
        return True

    async def _answer(self, call: Plain, scope: Scope, reply: Reply) -> None:
        line = _Line(self, call, scope, reply)
        _note(line.record, call)
        try:
            result = await self.answer(call.name, call.arguments, line)
            result = await self._shaped(call, scope, result)
        except Exception as error:  # noqa: BLE001 - as the SDK does: whatever it is, the client learns only that
            await _fail(call, line, error)
        else:
            line.record.outcome = line.record.outcome or "ok"
            await reply.end(200, _message(call, {"id": call.request_id, "result": result}))

    async def _shaped(self, call: Plain, scope: Scope, result: dict[str, Any]) -> dict[str, Any]:
        """A result as it goes to the wire: checked and ordered by the protocol's schema, stamped, sealed."""
        if call.modern:
            result = {"resultType": "complete", **result}
        shaped = shapes.result(result, modern=call.modern)
        if shaped is None:
            shaped = _shaped_by_sdk(call, result)
        if not call.modern:
            return shaped
        meta = shaped.get("_meta") or {}
        if meta.get(_STAMP) is None:
            shaped["_meta"] = {**meta, _STAMP: self.stamp}
        return await self._sealed(call, scope, shaped) if shaped.get("requestState") is not None else shaped

    async def _sealed(self, call: Plain, scope: Scope, shaped: dict[str, Any]) -> dict[str, Any]:
        from mcp.server.context import ServerRequestContext
        from starlette.requests import Request

        async def given(context: object) -> dict[str, Any]:  # noqa: ARG001 - the SDK calls it so
            return shaped

        context: ServerRequestContext[Any, Any] = ServerRequestContext(
            session=cast("Any", None),  # sealing looks at the request, never at the way back
            lifespan_context=None,
            protocol_version=call.version,
            method=plain.CALL,
            params=call.params,
            request_id=call.request_id,
            request=Request(scope),
        )
        sealed = await (await self.behind()).boundary(context, given)
        return cast("dict[str, Any]", sealed)


Ready = Mapping[tuple[str, str], str]
"""Results as JSON, by the protocol version that the request is served at, and method."""


def ready(contract: Mapping[str, Any], *, listen: bool) -> Ready:
    """The answers of a contract document that are the same for everybody.

    Args:
        contract: Its `answers` stand as they go to the wire.
        listen: Whether `subscriptions/listen` is served.
    """
    modern, legacy = dict(contract["answers"][MODERN]), contract["answers"]["legacy"]
    if not listen:
        modern["server/discover"] = modern["server/discover without listen"]
    found = {(MODERN, method): _json(modern[method], modern=True) for method in plain.ASKED & modern.keys()}
    for method in plain.ASKED & legacy.keys():
        found |= dict.fromkeys(((version, method) for version in HANDSHAKE), _json(legacy[method], modern=False))
    for version in HANDSHAKE:
        found[version, plain.PING] = "{}"
        greeting = {**legacy[plain.INITIALIZE], "protocolVersion": version}
        found[version, plain.INITIALIZE] = _json(greeting, modern=False)
    return found


def stamp(contract: Mapping[str, Any]) -> Mapping[str, Any]:
    """Who the server is, as it stands on every answer of the newer era."""
    found: Mapping[str, Any] = contract["answers"][MODERN]["tools/list"]["_meta"][_STAMP]
    return found


def _json(value: Any, *, modern: bool) -> str:
    """A value as the SDK writes it in an era."""
    return _COMPACT.encode(value) if modern else pydantic_core.to_json(value).decode()


def _record(scope: Scope) -> Record:
    kept = scope.get(KEY)
    return kept if isinstance(kept, Record) else Record()


def _note(record: Record, request: Plain) -> Record:
    noting.note(record, request.method, request.version, noting.named(request.client))
    record.follow_meta(request.meta)
    return record


def _again(first: Any, receive: Receive) -> Receive:
    waiting = [first]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


def _shaped_by_sdk(call: Plain, result: dict[str, Any]) -> dict[str, Any]:
    from mcp.shared.exceptions import MCPError
    from mcp_types import methods

    try:
        return methods.serialize_server_result(plain.CALL, call.version, result)
    except ValueError:  # pydantic's error is one
        logger.exception("handler for %r returned an invalid result", plain.CALL)
        raise MCPError(code=_INTERNAL_ERROR, message="Handler returned an invalid result") from None


async def _fail(call: Plain, line: "_Line", failure: Exception) -> None:
    import mcp_types as types
    from mcp.server.runner import modern_error_data
    from mcp.shared.exceptions import MCPError
    from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS

    if isinstance(failure, RpcError):
        error = MCPError(code=failure.code, message=failure.message, data=failure.data).error
    else:
        error = modern_error_data(failure)
    noting.failed(line.record, error.code)
    status = ERROR_CODE_HTTP_STATUS.get(error.code, 200) if call.modern else 200
    await line.reply.end(status, _text(call, types.JSONRPCError(jsonrpc="2.0", id=call.request_id, error=error)))


def _message(call: Plain, content: Mapping[str, Any]) -> str:
    """A JSON-RPC message as the SDK writes it in this era, of parts that its schema has nothing to say to."""
    return _json({"jsonrpc": "2.0", **content}, modern=call.modern)


def _text(call: Plain, message: "BaseModel") -> str:
    """A message of the SDK as it writes it in this era."""
    if not call.modern:
        return message.model_dump_json(by_alias=True, exclude_unset=True)
    return _COMPACT.encode(message.model_dump(mode="json", by_alias=True, exclude_none=True))


class _Line:
    """One plain call as the author's side sees it. Implements `mcp_tool.wire.Wire`."""

    input_responses: Final[Mapping[str, Any]] = {}
    request_state: Final = None
    can_ask: Final = False

    def __init__(self, direct: Direct, call: Plain, scope: Scope, reply: Reply) -> None:
        self._direct, self._call, self._scope, self.reply = direct, call, scope, reply
        self.request_id, self.protocol_version = call.request_id, call.version
        self.record = _record(scope)

    @property
    def principal(self) -> Principal | None:
        return None if self.record.principal.kind == "anonymous" else self.record.principal

    @property
    def headers(self) -> Mapping[str, str]:
        from starlette.datastructures import Headers

        return Headers(raw=without_credentials(self._scope["headers"]))

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        declared = self._call.meta.get("io.modelcontextprotocol/clientCapabilities") if self._call.modern else None
        if not declared:
            return {}
        import mcp_types as types

        known = types.ClientCapabilities.model_validate(declared, by_name=False)
        return known.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        token = self._call.meta.get("progressToken")
        if token is None:
            return
        told = {"progressToken": token, "progress": progress, "total": total, "message": message}
        await self._notify("notifications/progress", {key: value for key, value in told.items() if value is not None})

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        # The newer era's clients say with each call which levels they want to hear; without a word, none.
        wanted = self._call.meta.get(_LOGGED) if self._call.modern else self._direct.log_level.level
        if level not in LEVELS or wanted not in LEVELS or LEVELS.index(level) < LEVELS.index(wanted):
            return
        import mcp_types as types

        params = types.LoggingMessageNotificationParams.model_validate({"level": level, "data": data, "logger": logger})
        await self._notify("notifications/message", params.model_dump(by_alias=True, mode="json", exclude_none=True))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - there is nobody to ask
        from mcp.shared.exceptions import NoBackChannelError

        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        from mcp.shared.subscriptions import event_from_wire

        event = event_from_wire(method, dict(params or {}))
        if event is None:
            msg = f"no such event: {method} {json.dumps(dict(params or {}))}"
            raise ValueError(msg)
        await (await self._direct.behind()).bus.publish(event)

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        await self.reply.event(_message(self._call, {"method": method, "params": params}))


__all__ = ["Answer", "Behind", "Direct", "ready", "stamp"]
