"""One request as the author's side sees it: the runtime's `Wire` over the SDK's request context."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import mcp_types as types
from mcp.server.connection import allowed_log_levels
from mcp.server.context import ServerRequestContext
from mcp.server.request_state import authenticated_principal
from mcp.server.subscriptions import SubscriptionBus
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.subscriptions import event_from_wire, event_to_notification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from mcp_tool.principal import Principal
from mcp_tool.record import CURRENT, KEY, ON_STDIO, Record
from mcp_tool.serve.http.passing import LogLevel, without_credentials

_ASKING: Final[Mapping[str, tuple[type[BaseModel], type[BaseModel]]]] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}


def record_of(context: ServerRequestContext[Any, Any]) -> Record:
    """What the HTTP shell notes of this request; on stdio, where nobody stands before us, what is noted of it here."""
    request: HTTPConnection | None = context.request
    kept = _on_stdio(context.request_id) if request is None else request.scope.get(KEY)
    return kept if isinstance(kept, Record) else Record(transport="stdio" if request is None else "http")


def _on_stdio(identity: str | int | None) -> Record | None:
    """What the stdio transport notes of a request; a notification has only what is noted of it here."""
    return CURRENT.get() or (ON_STDIO.get(identity) if identity is not None else None)


def caller(context: ServerRequestContext[Any, Any]) -> str | None:
    """Whom a request's state belongs to: what one caller was asked, no other may answer.

    Falls back on who the SDK's own authentication found, for a server that brings its own.
    """
    principal = record_of(context).principal
    if principal.kind == "anonymous":
        return authenticated_principal(context)
    return json.dumps([principal.kind, principal.issuer, principal.subject, principal.client_id])


@dataclass(frozen=True)
class Exchange:
    """The way back to the client for one request. Implements `mcp_tool.wire.Wire`."""

    context: ServerRequestContext[Any, Any]
    bus: SubscriptionBus
    log_level: LogLevel
    record: Record

    @property
    def request_id(self) -> str | int | None:
        """The JSON-RPC id."""
        return self.context.request_id

    @property
    def protocol_version(self) -> str:
        """The protocol version this request is served at, such as "2026-07-28"."""
        return self.context.protocol_version

    @property
    def principal(self) -> Principal | None:
        """Who is calling, as the HTTP shell found out; None where nobody asked."""
        return None if self.record.principal.kind == "anonymous" else self.record.principal

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The HTTP request's headers by lower-case name, credentials apart; None on stdio."""
        request: HTTPConnection | None = self.context.request
        return None if request is None else Headers(raw=without_credentials(request.headers.raw))

    @property
    def client_capabilities(self) -> Mapping[str, Any]:
        """What the client declared, in wire form; empty where it declared nothing."""
        declared = self.context.session.client_capabilities
        return {} if declared is None else declared.model_dump(by_alias=True, mode="json", exclude_none=True)

    @property
    def input_responses(self) -> Mapping[str, Any]:
        """The client's answers to what an earlier round of this call asked."""
        return (self.context.params or {}).get("inputResponses") or {}

    @property
    def request_state(self) -> str | None:
        """What an earlier round of this call left, already verified and opened."""
        return (self.context.params or {}).get("requestState")

    @property
    def can_ask(self) -> bool:
        """Whether the client can be asked while the call runs: older protocol versions, over stdio."""
        return self.context.session.can_send_request

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Report progress; nothing is sent to a client that did not ask for it."""
        await self.context.session.report_progress(progress, total, message)

    async def log(self, level: str, data: Any, logger: str | None = None) -> None:
        """Send a log message for this request, if the client wants that level."""
        if level not in allowed_log_levels(self.protocol_version, self.context.meta):
            return
        if self.protocol_version not in MODERN_PROTOCOL_VERSIONS and not self.log_level.lets_through(level):
            return
        params = types.LoggingMessageNotificationParams.model_validate({"level": level, "data": data, "logger": logger})
        await self.context.session.send_notification(
            types.LoggingMessageNotification(params=params), related_request_id=self.context.request_id
        )

    async def ask(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the client and wait for its answer (only where `can_ask`).

        Args:
            method: "elicitation/create", "sampling/createMessage" or "roots/list".
            params: The request's params in wire form.

        Returns:
            The client's result in wire form.
        """
        request_type, result_type = _ASKING[method]
        request = request_type.model_validate({"method": method, "params": dict(params)}, by_name=False)
        result = await self.context.session.send_request(
            request,  # type: ignore[arg-type]  # one of the three types of _ASKING
            result_type,
            metadata=ServerMessageMetadata(related_request_id=self.context.request_id),
        )
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def notify(self, method: str, params: Mapping[str, Any] | None = None) -> None:
        """Tell subscribed clients that a list or a resource changed.

        Args:
            method: "notifications/{tools,prompts,resources}/list_changed" or "notifications/resources/updated".
            params: `{"uri": …}` for an updated resource.
        """
        event = event_from_wire(method, dict(params or {}))
        if event is None:
            msg = f"no such event: {method} {json.dumps(dict(params or {}))}"
            raise ValueError(msg)
        await self.bus.publish(event)
        if self.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            notification = event_to_notification(event, {})
            if notification.params is not None:
                notification.params.meta = None  # names the stream it belongs to, which older versions do not have
            await self.context.session.send_notification(notification)
