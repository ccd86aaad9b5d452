"""Tells a server written with another library who is calling, in the way that its library asks for it."""

from collections.abc import Mapping
from typing import Any

from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_tool.principal import Principal
from mcp_tool.record import KEY, Record


class Introduced:
    """ASGI middleware: the SDK's and FastMCP's `get_access_token()` give whom this runtime has let in.

    The `token` in it is empty: the client's own is not passed on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve with the caller made known."""
        record = scope.get(KEY)
        if not isinstance(record, Record) or record.principal.kind == "anonymous":
            await self._app(scope, receive, send)
            return
        before = auth_context_var.set(AuthenticatedUser(_introduction(record.principal)))
        try:
            await self._app(scope, receive, send)
        finally:
            auth_context_var.reset(before)


def _introduction(principal: Principal) -> AccessToken:
    return AccessToken(
        token="",
        client_id=principal.client_id or principal.subject,
        scopes=sorted(principal.scopes),
        subject=principal.subject,
        claims=_plain(principal.claims),
    )


def _plain(value: Any) -> Any:
    """Claims as JSON has them, as a copy that the author may change."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
