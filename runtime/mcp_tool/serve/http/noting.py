"""Writes down what a request is: its method, its protocol version, who says they send it.

The names of methods are the specification's, so that nothing a client made up becomes a label.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mcp_tool.record import CURRENT, KEY, Record
from mcp_tool.wire import HANDSHAKE

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Handler = Callable[["ServerRequestContext[Any, Any]", Any], Awaitable[Any]]

_INTERNAL_ERROR: Final = -32603

_LONGEST: Final = 100
"""Characters of what a client calls itself."""

_PEEKED: Final = 16 * 1024
"""Bytes of a body that is read for its method alone. What is noted this way is short: a greeting, a notification."""


def noted(server: "Server[Any]") -> None:
    """Have every handler of a server fill the record of the request it serves."""
    from mcp_types.methods import SPEC_CLIENT_METHODS

    for method in SPEC_CLIENT_METHODS - {"initialize"}:
        entry = server.get_request_handler(method)
        if entry is not None:
            server.add_request_handler(method, entry.params_type, _noting(method, entry.handler))


def _noting(method: str, handler: Handler) -> Handler:
    from mcp.shared.exceptions import MCPError

    from mcp_tool.serve.sdk.exchange import record_of

    async def noting(context: "ServerRequestContext[Any, Any]", params: Any) -> Any:
        record = record_of(context)
        known = context.session.client_params
        info = known.client_info if known is not None else None
        note(
            record,
            method,
            context.protocol_version,
            named({"name": info.name, "version": info.version} if info is not None else None),
        )
        record.follow_meta(context.meta or {})
        token = CURRENT.set(record)
        try:
            result = await handler(context, params)
        except MCPError as error:
            failed(record, error.code)
            raise
        except Exception:
            failed(record, _INTERNAL_ERROR)  # what the SDK makes of it
            raise
        finally:
            CURRENT.reset(token)
        record.outcome = record.outcome or "ok"
        return result

    return noting


def note(record: Record, method: str, protocol: str, sender: str) -> None:
    """What a request is; what was found out before stays where nothing is known now."""
    record.method, record.protocol = method, protocol
    record.client = sender or record.client


def failed(record: Record, code: int) -> None:
    """The request was answered with a JSON-RPC error."""
    record.outcome = record.outcome or "failed"
    record.error_type = record.error_type or str(code)


def named(info: object) -> str:
    """What a client calls itself in its `clientInfo`, on one line and of bounded length."""
    if not isinstance(info, Mapping):
        return ""
    text = f"{info.get('name', '')}/{info.get('version', '')}"[:_LONGEST]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class Greetings:
    """ASGI middleware that notes what has no handler of its own: `initialize` and notifications of older clients.

    The shell hands on a body in one piece. A newer client names the method in a header, so that its body is not read.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Look at the body as it goes by."""
        record = scope.get(KEY)
        if scope["type"] != "http" or record is None:
            await self._app(scope, receive, send)
            return

        async def looking() -> "Message":
            message = await receive()
            body = message.get("body", b"")
            if len(body) <= _PEEKED and (b'"initialize"' in body or b'"notifications/' in body):
                _peek(record, body)
            return message

        await self._app(scope, looking, send)


def _peek(record: Record, body: bytes) -> None:
    from mcp_types.methods import SPEC_CLIENT_NOTIFICATION_METHODS

    try:
        match json.loads(body):
            case {"method": "initialize", "params": {"clientInfo": dict() as info, "protocolVersion": str() as asked}}:
                served = asked if asked in HANDSHAKE else HANDSHAKE[-1]
                note(record, "initialize", served, named(info))
            case {"method": str() as method} if method in SPEC_CLIENT_NOTIFICATION_METHODS:
                note(record, method, record.protocol, "")
    except (ValueError, RecursionError):
        pass  # the SDK says what is wrong with it
