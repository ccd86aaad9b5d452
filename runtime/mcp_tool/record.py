"""What is known of one request while it is served; at its end one log line is made of it."""

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from mcp_tool.principal import ANONYMOUS, Principal

KEY = "mcp_tool.record"
"""Key in the ASGI scope under which the shell leaves the request's record."""

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
"""W3C Trace Context, section 3.2; versions to come may say more at the end."""

_CARRIED: Final = ("traceparent", "tracestate", "baggage")
_LONGEST: Final = 512
"""Characters of a `tracestate` that everybody must pass on (W3C Trace Context, section 3.3.1.5)."""


@dataclass(slots=True)
class Record:
    """One request. Whoever finds something out writes it here; nothing that a client sent is here unbounded.

    Attributes:
        request_id: The id that logs and the caller share: `X-Request-Id` where it is sane, else made here.
        trace_id, span_id: Of the W3C `traceparent`, where one came or tracing is on; 32 and 16 hexadecimal digits.
        carrier: The trace context that came in the request's `_meta`, for the spans made here.
        transport: "http" or "stdio".
        protocol: Protocol version the request is served at.
        method: MCP method, such as "tools/call".
        tool: The tool's name, only if there is such a tool.
        principal: Who is calling.
        client: Name and version that the client says it has.
        address: The client's address; behind trusted proxies the one they name.
        status: HTTP status of the answer; 0 on stdio and before there is one.
        refused: The reason of a refusal, as `Refusal.reason`.
        outcome: "ok", "error" (the tool answered with one), "asked" (the tool wants an answer first), "refused",
            "failed" (a JSON-RPC error) or "gone" (the client left, or ended the call).
        error_type: For `outcome` "error" and "failed": "tool_error" (the author raised it), "timeout", "crash",
            "arguments" (they do not fit), "secrets" (some are not set), "unknown_tool", or the JSON-RPC code.
        counted: Whether metrics and audit have it already; whoever surrounds a call writes both.
        started: `time.perf_counter()` at its begin.
    """

    transport: str = "http"
    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    carrier: Mapping[str, str] = field(default_factory=dict)
    protocol: str = ""
    method: str = ""
    tool: str = ""
    principal: Principal = ANONYMOUS
    client: str = ""
    address: str = ""
    status: int = 0
    refused: str = ""
    outcome: str = ""
    error_type: str = ""
    counted: bool = False
    started: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Since its begin."""
        return time.perf_counter() - self.started

    def follow(self, traceparent: str) -> bool:
        """Take over the ids of a W3C `traceparent`; False, and nothing done, for what is none."""
        found = _TRACEPARENT.fullmatch(traceparent, endpos=_LONGEST)
        if found is None or (found[3] is not None and traceparent.startswith("00")):
            return False
        self.trace_id, self.span_id = found[1], found[2]
        return True

    def follow_meta(self, meta: Mapping[str, Any]) -> None:
        """Take over the trace context of a request's `_meta`, which goes before that of the HTTP headers."""
        traceparent = meta.get("traceparent")
        if isinstance(traceparent, str) and self.follow(traceparent):
            found = ((name, meta.get(name)) for name in _CARRIED)
            self.carrier = {
                name: value for name, value in found if isinstance(value, str) and len(value) <= 16 * _LONGEST
            }


CURRENT: ContextVar[Record | None] = ContextVar("mcp_tool.record", default=None)
"""The request that the running code serves; also in the threads of plain functions. The author's log lines carry it."""

ON_STDIO: Final[dict[str | int, Record]] = {}
"""The requests of the one client on stdio that are not answered yet, by JSON-RPC id."""
