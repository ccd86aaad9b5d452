"""The short way of a plain request over HTTP, past the SDK's transport: calls to the seam, questions to the contract.

The SDK makes a task group, a connection and several streams for every request; a plain one needs none of them. Its
answer is the SDK's to the byte (`tests/serve/test_direct.py` holds the two against each other), made with the SDK's
own schemas, and whatever is not plain goes to the SDK's application unread.
"""

import functools
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import mcp_types as types
import pydantic_core
from mcp.server.connection import allowed_log_levels
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary
from mcp.server.runner import modern_error_data
from mcp.server.subscriptions import SubscriptionBus
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS
from mcp.shared.subscriptions import event_from_wire
from mcp_types import methods
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request

from mcp_tool.errors import RpcError
from mcp_tool.principal import Principal
from mcp_tool.record import KEY, Record
from mcp_tool.serve.http import noting, plain
from mcp_tool.serve.http.plain import Plain
from mcp_tool.serve.http.reply import Reply
from mcp_tool.serve.http.shell import Application, Receive, Scope, Send
from mcp_tool.serve.sdk.exchange import LogLevel, without_credentials
from mcp_tool.wire import MODERN, Wire

logger = logging.getLogger("mcp_tool.serve")

Answer = Callable[[str, Mapping[str, Any], Wire], Awaitable[dict[str, Any]]]
"""The seam: a tool's name, its arguments and the request; the result in wire form."""

_INTERNAL_ERROR: Final = -32603
_SENDER: Final = "io.modelcontextprotocol/clientInfo"
_STAMP: Final = "io.modelcontextprotocol/serverInfo"
_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True)
class Direct:
    """The ASGI application in front of the SDK's.

    Attributes:
        inner: The SDK's application.
        path: Where the endpoint is.
        tools: The tools that may be called this way: those whose headers need no comparison with their arguments.
        answer: The seam.
        server: The SDK's server; it says who it is, and its schemas are kept.
        boundary: Seals what a call leaves for its next round.
        bus: Carries what subscribers are told.
        log_level: What older clients asked to hear.
        ready: The answers that the contract holds, as `ready` made them.
    """

    inner: Application
    path: str
    tools: frozenset[str]
    answer: Answer
    server: Server[Any]
    boundary: RequestStateBoundary
    bus: SubscriptionBus
    log_level: LogLevel
    ready: "Ready"

    @functools.cached_property
    def _stamp(self) -> Mapping[str, Any]:
        return self.server.server_info_stamp  # a deep copy with every access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a plain call; hand everything else on."""
        headers = plain.head(scope["headers"]) if scope["path"] == self.path and scope["method"] == "POST" else None
        if headers is None:
            await self.inner(scope, receive, send)
            return
        first = await receive()
        if first["type"] == "http.request" and not first.get("more_body"):
            found = plain.read(headers, first.get("body", b""), self.tools)
            if found is not None and found.method == plain.CALL:
                async with Reply(receive, send) as reply:
                    await self._answer(found, scope, reply)
                return
            if found is not None and (result := self.ready.get((found.modern, found.method))) is not None:
                _note(_record(scope), found).outcome = "ok"
                identity = _json(found.request_id, modern=found.modern)
                await Reply(receive, send).end(200, f'{{"jsonrpc":"2.0","id":{identity},"result":{result}}}')
                return
        await self.inner(scope, _again(first, receive), send)

    async def _answer(self, call: Plain, scope: Scope, reply: Reply) -> None:
        line = _Line(self, call, scope, reply)
        _note(line.record, call)
        try:
            result = await self.answer(call.name, call.arguments, line)
            result = await self._shaped(call, scope, result)
        except RpcError as error:
            await _fail(call, line, MCPError(code=error.code, message=error.message, data=error.data).error)
        except Exception as error:  # noqa: BLE001 - as the SDK does: whatever it is, the client learns only that
            await _fail(call, line, modern_error_data(error))
        else:
            line.record.outcome = line.record.outcome or "ok"
            await reply.end(200, _text(call, types.JSONRPCResponse(jsonrpc="2.0", id=call.request_id, result=result)))

    async def _shaped(self, call: Plain, scope: Scope, result: dict[str, Any]) -> dict[str, Any]:
        """A result as it goes to the wire: checked and ordered by the protocol's schema, stamped, sealed."""
        if call.modern:
            result = {"resultType": "complete", **result}
        try:
            shaped = methods.serialize_server_result(plain.CALL, call.version, result)
        except ValidationError:
            logger.exception("handler for %r returned an invalid result", plain.CALL)
            raise MCPError(code=_INTERNAL_ERROR, message="Handler returned an invalid result") from None
        if not call.modern:
            return shaped
        meta = shaped.get("_meta") or {}
        if meta.get(_STAMP) is None:
            shaped["_meta"] = {**meta, _STAMP: self._stamp}
        return await self._sealed(call, scope, shaped) if shaped.get("requestState") is not None else shaped

    async def _sealed(self, call: Plain, scope: Scope, shaped: dict[str, Any]) -> dict[str, Any]:
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
        sealed = await self.boundary(context, given)
        return cast("dict[str, Any]", sealed)


Ready = Mapping[tuple[bool, str], str]
"""Results as JSON, by whether the era is the newer one, and method."""


def ready(contract: Mapping[str, Any], *, listen: bool) -> Ready:
    """The answers of a contract document that are the same for everybody.

    Args:
        contract: Its `answers` stand as they go to the wire.
        listen: Whether `subscriptions/listen` is served.
    """
    modern, legacy = dict(contract["answers"][MODERN]), contract["answers"]["legacy"]
    if not listen:
        modern["server/discover"] = modern["server/discover without listen"]
    eras = ((True, modern), (False, legacy))
    return {
        (era, method): _json(answers[method], modern=era)
        for era, answers in eras
        for method in plain.ASKED & answers.keys()
    }


def _json(value: Any, *, modern: bool) -> str:
    """A value as the SDK writes it in an era."""
    return _COMPACT.encode(value) if modern else pydantic_core.to_json(value).decode()


def _record(scope: Scope) -> Record:
    kept = scope.get(KEY)
    return kept if isinstance(kept, Record) else Record()


def _note(record: Record, request: Plain) -> Record:
    noting.note(record, request.method, request.version, noting.named(request.meta.get(_SENDER)))
    record.follow_meta(request.meta)
    return record


def _again(first: Any, receive: Receive) -> Receive:
    waiting = [first]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


async def _fail(call: Plain, line: "_Line", error: types.ErrorData) -> None:
    noting.failed(line.record, error.code)
    status = ERROR_CODE_HTTP_STATUS.get(error.code, 200) if call.modern else 200
    await line.reply.end(status, _text(call, types.JSONRPCError(jsonrpc="2.0", id=call.request_id, error=error)))


def _text(call: Plain, message: BaseModel) -> str:
    """A message as the SDK writes it in this era."""
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
        return Headers(raw=without_credentials(self._scope["headers"]))

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        declared = self._call.meta.get("io.modelcontextprotocol/clientCapabilities") if self._call.modern else None
        if declared is None:
            return {}
        known = types.ClientCapabilities.model_validate(declared, by_name=False)
        return known.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        token = self._call.meta.get("progressToken")
        if token is None:
            return
        told = {"progressToken": token, "progress": progress, "total": total, "message": message}
        await self._notify("notifications/progress", {key: value for key, value in told.items() if value is not None})

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        if level not in allowed_log_levels(self.protocol_version, self._call.meta):
            return
        if not self._call.modern and not self._direct.log_level.lets_through(level):
            return
        params = types.LoggingMessageNotificationParams.model_validate({"level": level, "data": data, "logger": logger})
        await self._notify("notifications/message", params.model_dump(by_alias=True, mode="json", exclude_none=True))

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - there is nobody to ask
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        event = event_from_wire(method, dict(params or {}))
        if event is None:
            msg = f"no such event: {method} {json.dumps(dict(params or {}))}"
            raise ValueError(msg)
        await self._direct.bus.publish(event)

    async def _notify(self, method: str, params: dict[str, Any]) -> None:
        message = types.JSONRPCNotification(jsonrpc="2.0", method=method, params=params)
        await self.reply.event(_text(self._call, message))


__all__ = ["Answer", "Direct", "ready"]
