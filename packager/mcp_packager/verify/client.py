"""A small MCP client over HTTP, standard library only, that speaks both eras of the protocol.

The legacy era opens with ``initialize`` and ``notifications/initialized`` (2025-11-25 and before); the modern one
(2026-07-28) sends each request complete in itself, with the version in ``_meta`` and in headers.
"""

from __future__ import annotations

import http
import itertools
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from mcp_packager import __version__
from mcp_packager.errors import PackError, Problem, WorldError
from mcp_packager.verify.exchange import Address, RefusedError, exchange
from mcp_packager.verify.headers import header_value, parameter_headers

LEGACY_VERSION: Final = "2025-11-25"
MODERN_VERSION: Final = "2026-07-28"
CLIENT_INFO: Final = {"name": "mcp-pack", "version": __version__}
_META: Final = "io.modelcontextprotocol/"
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_MOST_PAGES: Final = 1000
_SHORTEST: Final = 0.1
"""Seconds that a wait counts for at least, so that it comes to an end also with a server that says none."""

Progress = Callable[[float, float | None, str | None], None]
"""``(progress, total, message)``, as the server tells them."""


class Era(StrEnum):
    """The two forms of the protocol."""

    LEGACY = "legacy"
    MODERN = "modern"


class RpcError(WorldError):
    """The server answered with a JSON-RPC error."""

    def __init__(self, method: str, code: int, message: str, data: Any = None) -> None:
        super().__init__(
            Problem(
                f"the server refused {method}: {message}",
                "check the arguments against the tool's schema",
                found=f"JSON-RPC error {code}",
            )
        )
        self.code = code
        self.data = data


class McpClient:
    """Talks to one endpoint in one era. Holds no connection between calls.

    ``headers`` go with every request (``Authorization``, say). ``token`` is asked before each one for the bearer
    token to send, for tokens that do not live long. ``timeout`` is in seconds for each call; ``patience`` is how many
    it waits, all in all, where the server says that it is called too often.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        era: Era = Era.MODERN,
        timeout: float = 30.0,
        token: Callable[[], str] | None = None,
        patience: float = 0.0,
    ) -> None:
        self.url = url
        self.era = era
        self._address = Address.of(url)
        self._headers = dict(headers or {})
        self._token = token
        self._patience = patience
        self._timeout = timeout
        self._ids = itertools.count(1)
        self._session: dict[str, str] = {}
        self._server: dict[str, Any] | None = None
        self._schemas: dict[str, Mapping[str, Any]] = {}

    @classmethod
    def connect(cls, url: str, headers: Mapping[str, str] | None = None, *, timeout: float = 30.0) -> McpClient:
        """A client in the newest era that the server speaks.

        Raises:
            PackError: the server cannot be reached or lets nobody in.
        """
        modern = cls(url, headers, era=Era.MODERN, timeout=timeout)
        try:
            modern.discover()
        except (RpcError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.status in {401, 403, 421, 429, 503}:
                raise
            legacy = cls(url, headers, era=Era.LEGACY, timeout=timeout)
            legacy.discover()
            return legacy
        return modern

    def discover(self) -> dict[str, Any]:
        """What the server says of itself: the result of ``server/discover`` or of ``initialize``. Asked once."""
        if self._server is None:
            match self.era:
                case Era.MODERN:
                    self._server = self._ask("server/discover", {}, self._timeout, None)
                case Era.LEGACY:
                    self._server = self._initialize()
        return self._server

    def list_all(self, method: str, key: str) -> list[dict[str, Any]]:
        """Every item of a paged listing, such as ``("tools/list", "tools")``.

        Raises:
            WorldError: the pages go in a circle.
        """
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            result = self.request(method, {} if cursor is None else {"cursor": cursor})
            items.extend(result.get(key, []))
            cursor = result.get("nextCursor")
            if cursor is None:
                return items
            if cursor in seen:
                break
            seen.add(cursor)
        raise WorldError(Problem(f"{self.url} gives the same page of {method} again and again", "mend the server"))

    def list_tools(self) -> list[dict[str, Any]]:
        """Every tool's definition, as it stands on the wire."""
        tools = self.list_all("tools/list", "tools")
        self._schemas = {tool["name"]: tool.get("inputSchema", {}) for tool in tools}
        return tools

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        timeout: float | None = None,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:
        """Call a tool and give its result as it stands on the wire (``content``, ``isError``, …).

        Raises:
            RpcError: the server answered with an error of the protocol.
            PackError: the server cannot be reached or did not answer in time.
        """
        if self.era is Era.MODERN and not self._schemas:
            # A schema may ask for an argument to be told in a header too; only the listing says so.
            self.list_tools()
        params = {"name": name, "arguments": dict(arguments)}
        return self.request("tools/call", params, timeout=timeout, on_progress=on_progress)

    def request(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        timeout: float | None = None,
        on_progress: Progress | None = None,
    ) -> dict[str, Any]:
        """One request of the protocol, and its result."""
        if self.era is Era.LEGACY:
            self.discover()
        return self._ask(method, params, timeout or self._timeout, on_progress)

    def _initialize(self) -> dict[str, Any]:
        params = {"protocolVersion": LEGACY_VERSION, "capabilities": {}, "clientInfo": CLIENT_INFO}
        result = self._ask("initialize", params, self._timeout, None)
        self._session["MCP-Protocol-Version"] = str(result.get("protocolVersion", LEGACY_VERSION))
        self._tell("notifications/initialized")
        return result

    def _tell(self, method: str) -> None:
        try:
            for _ in exchange(self._address, {"jsonrpc": "2.0", "method": method}, self._common(), self._timeout):
                pass
        except RefusedError as error:
            if not self._waited(error):
                raise
            self._tell(method)

    def _ask(
        self, method: str, params: Mapping[str, Any], timeout: float, on_progress: Progress | None
    ) -> dict[str, Any]:
        number = next(self._ids)
        full = self._with_meta(params, number if on_progress else None)
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": full}
        try:
            for headers, message in exchange(self._address, body, self._headers_for(method, params), timeout):
                if method == "initialize" and "mcp-session-id" in headers:
                    self._session["Mcp-Session-Id"] = headers["mcp-session-id"]
                if message.get("id") == number and ("result" in message or "error" in message):
                    return _result(method, message)
                if message.get("method") == "notifications/progress" and on_progress:
                    told = message.get("params", {})
                    on_progress(told.get("progress", 0.0), told.get("total"), told.get("message"))
        except RefusedError as error:
            if self._waited(error):
                return self._ask(method, params, timeout, on_progress)
            raise _rpc_inside(method, error) or error from None
        raise WorldError(
            Problem(f"{self.url} ended its answer to {method} without a result", "look at the server's logs")
        )

    def _waited(self, refusal: RefusedError) -> bool:
        """Wait as long as the server says, if that is within our patience."""
        if refusal.status != http.HTTPStatus.TOO_MANY_REQUESTS or refusal.wait is None:
            return False
        if self._patience <= 0 or refusal.wait > self._patience:
            return False
        self._patience -= max(refusal.wait, _SHORTEST)
        time.sleep(refusal.wait)
        return True

    def _with_meta(self, params: Mapping[str, Any], token: int | None) -> dict[str, Any]:
        meta: dict[str, Any] = {}
        if self.era is Era.MODERN:
            meta = {
                f"{_META}protocolVersion": MODERN_VERSION,
                f"{_META}clientInfo": CLIENT_INFO,
                f"{_META}clientCapabilities": {},
            }
        if token is not None:
            meta["progressToken"] = token
        return {**params, "_meta": meta} if meta else dict(params)

    def _headers_for(self, method: str, params: Mapping[str, Any]) -> dict[str, str]:
        headers = self._common()
        if self.era is Era.MODERN:
            headers |= {"MCP-Protocol-Version": MODERN_VERSION, "Mcp-Method": method}
            if method in _NAMED:
                headers["Mcp-Name"] = header_value(str(params[_NAMED[method]]))
            if method == "tools/call":
                schema = self._schemas.get(str(params["name"]), {})
                headers |= parameter_headers(schema, params.get("arguments", {}))
        return headers

    def _common(self) -> dict[str, str]:
        """What goes with every message."""
        shown = {} if self._token is None else {"Authorization": f"Bearer {self._token()}"}
        return {**self._headers, **shown, **self._session}


def _result(method: str, message: Mapping[str, Any]) -> dict[str, Any]:
    error = message.get("error")
    if error is not None:
        raise RpcError(method, error.get("code", 0), error.get("message", ""), error.get("data"))
    result = message["result"]
    if not isinstance(result, dict):
        raise WorldError(
            Problem(f"the result of {method} is not an object", "mend the server", found=repr(result)[:200])
        )
    return result


def _rpc_inside(method: str, refusal: RefusedError) -> PackError | None:
    """Some JSON-RPC errors travel in a response of status 400 or 404; those are the server's word, not the path's."""
    if refusal.status not in {400, 404}:
        return None
    import json  # only on this path

    try:
        message = json.loads(refusal.body)
        error = message["error"]
        return RpcError(method, int(error["code"]), str(error["message"]), error.get("data"))
    except (ValueError, KeyError, TypeError):
        return None
